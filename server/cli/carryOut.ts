/**
 * Carries an addition out: fetch, convert, verify, self-test, install. Each step leaves what it has done in the work
 * folder, so that the same command goes on where it was stopped; the bundle appears among the models in one step.
 */
import { existsSync } from 'node:fs'
import { copyFile, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { BundleError, throwIfAborted } from '../base/errors.ts'
import { absent } from '../base/hasCode.ts'
import { checkConvertible } from '../model/checkConvertible.ts'
import { type ConvertOptions, convertModel } from '../model/convert.ts'
import { asFullDisk } from '../model/download.ts'
import { downloadAll } from '../model/downloadAll.ts'
import type { Net } from '../model/hub.ts'
import { readManifest } from '../model/manifest.ts'
import { type FileVerdict, verifyBundle } from '../model/openBundle.ts'
import { refreshBundle } from '../model/refreshBundle.ts'
import { downloadsFolder, installModel } from '../model/store.ts'
import { isHeld } from '../model/workLock.ts'
import { type Addition, fetchDir, isBundle, plainFilesIn, type Quant, type Source, stagedDir } from './addition.ts'
import type { ProgressBar } from './progressBar.ts'
import { type SelfTest, selfTest } from './selfTest.ts'

export interface CarryOutOptions {
  readonly quant: Quant
  readonly facts: NonNullable<ConvertOptions['facts']>
  readonly keepSource: boolean
  readonly bar: (title: string) => ProgressBar
  readonly say: (line: string) => void
}

/**
 * @returns the folder of the installed model.
 * @throws {Aborted} when the signal of `net` fires.
 * @throws {UserError} when a step fails; what was fetched and converted stays.
 */
export async function carryOut(addition: Addition, net: Net, options: CarryOutOptions): Promise<string> {
  const { name, source, workDir } = addition
  const { signal } = net
  const staged = stagedDir(workDir)
  if (source.kind === 'repository') await fetchAll(source, workDir, net, options)
  if (source.kind === 'folder' && source.isBundle) await copyBundle(source.dir, staged, options, signal)
  else if (!isBundle(addition)) await convert(addition, options, signal)
  throwIfAborted(signal)

  let bad = await badFiles(staged, signal)
  const graphs = new Set((await readManifest(staged)).graphs.map(({ file }) => file))
  if (bad.length > 0 && bad.every(({ path }) => graphs.has(path))) {
    options.say('its graph is not the one that this version makes, so it is made again')
    await refreshBundle(staged)
    bad = await badFiles(staged, signal)
  }
  if (bad.length > 0) {
    const list = bad.map(({ path, problem }) => `${path}: ${problem}`).join('; ')
    // What is gone is fetched, or made again, by the next run.
    if (isBundle(addition)) for (const { path } of bad) await rm(join(staged, path), { force: true })
    else await rm(staged, { recursive: true, force: true })
    throw new BundleError(`${name}: ${list}; it was not installed, run the command again`)
  }
  options.say(selfTestLine(await selfTest(staged, signal), addition))
  throwIfAborted(signal)
  const dir = await installModel(staged, name)
  if (source.kind === 'repository' && options.keepSource && source.wanted.kind === 'weights') {
    await writeFile(join(workDir, keptMark), '')
    options.say(`the files it was made from stay in ${fetchDir(workDir, source)}`)
  } else await rm(workDir, { recursive: true, force: true })
  await removeOlder(addition)
  return dir
}

async function badFiles(dir: string, signal: AbortSignal): Promise<FileVerdict[]> {
  return (await verifyBundle(dir, () => throwIfAborted(signal))).filter(({ problem }) => problem)
}

/** Small files first, and what they tell, before the weights. */
async function fetchAll(
  source: Extract<Source, { kind: 'repository' }>,
  workDir: string,
  net: Net,
  { bar, facts }: CarryOutOptions,
): Promise<void> {
  const { repository, wanted } = source
  const shown = bar('downloading')
  const noting = { ...net, note: shown.note }
  const dir = fetchDir(workDir, source)
  try {
    if (wanted.kind === 'weights') {
      const small = wanted.files.filter(({ path }) => !path.endsWith('.safetensors'))
      await downloadAll(repository, small, dir, noting)
      await checkConvertible(dir, repository.id, facts)
    }
    await downloadAll(repository, wanted.files, dir, noting, shown.update)
  } finally {
    shown.end()
  }
}

async function copyBundle(from: string, to: string, { bar }: CarryOutOptions, signal: AbortSignal): Promise<void> {
  // First of all: a manifest may list what lies outside its folder.
  const bad = (await verifyBundle(from, () => throwIfAborted(signal))).find(({ problem }) => problem)
  if (bad) throw new BundleError(`${join(from, bad.path)}: ${bad.problem}; nothing was copied`)
  const { files } = await readManifest(from)
  const totalBytes = files.reduce((total, { bytes }) => total + bytes, 0)
  await rm(to, { recursive: true, force: true }) // what an earlier attempt copied may be of another bundle
  await mkdir(to, { recursive: true })
  const shown = bar('copying')
  let doneBytes = 0
  try {
    for (const { path, bytes } of files) {
      throwIfAborted(signal)
      await mkdir(dirname(join(to, path)), { recursive: true })
      await copyFile(join(from, path), join(to, path))
      shown.update({ doneBytes: (doneBytes += bytes), totalBytes })
    }
    await copyCards(from, to)
    await copyFile(join(from, 'lacuna.json'), join(to, 'lacuna.json'))
  } catch (error) {
    throw asFullDisk(error, to, totalBytes)
  } finally {
    shown.end()
  }
}

async function convert(
  { name, source, licence, workDir }: Addition,
  { quant, facts, bar, say }: CarryOutOptions,
  signal: AbortSignal,
): Promise<void> {
  const from = source.kind === 'folder' ? source.dir : fetchDir(workDir, source)
  const to = stagedDir(workDir)
  const known = licence.text === 'unknown' ? {} : { licence: licence.text }
  const convertOptions = { quant, name, ...originOf(source), facts: { ...known, ...facts } }
  // What is there was made from these files with these options, or is of no use.
  const files = Array.from(await plainFilesIn(from), ([file, { size, mtimeMs }]) => [file, size, mtimeMs])
  const madeFrom = JSON.stringify({ convertOptions, files })
  const recordFile = join(workDir, 'made-from.json')
  if ((await readFile(recordFile, 'utf8').catch(absent)) !== madeFrom) {
    await rm(to, { recursive: true, force: true })
    await mkdir(to, { recursive: true })
    await writeFile(recordFile, madeFrom)
  } else if ((await stat(join(to, 'lacuna.json')).catch(absent)) !== undefined) {
    say('it is converted already')
    return
  }
  const shown = bar('converting')
  try {
    await convertModel(from, to, convertOptions, (progress) => {
      throwIfAborted(signal) // the converter knows no signal; it cleans up after any error
      shown.update(progress)
    })
  } finally {
    shown.end()
  }
}

/** The repository's name, by which some kinds of models are known. */
function originOf(source: Source): { origin?: string } {
  return source.kind === 'repository' ? { origin: source.repository.id } : {}
}

/** Model card and licence go with the model. */
async function copyCards(from: string, to: string): Promise<void> {
  for (const name of (await plainFilesIn(from)).keys()) {
    if (/^(README\.md|LICENSE(\.txt|\.md)?)$/.test(name)) await copyFile(join(from, name), join(to, name))
  }
}

function selfTestLine({ problems, firstGuess, entropies }: SelfTest, { name, workDir }: Addition): string {
  if (problems.length > 0) {
    throw new BundleError(
      `${name}: the self-test failed, so it was not installed: ${problems.join('; ')}. ` +
        `Perhaps --shift, --attention or --mask-id must be given; files are kept in ${workDir}`,
    )
  }
  const [least, most] = [Math.min(...entropies).toFixed(1), Math.max(...entropies).toFixed(1)]
  return `self-test passed: entropies from ${least} to ${most} nats, first guess ${JSON.stringify(firstGuess)}`
}

/** Marks a work folder whose sources the person asked for. */
const keptMark = 'kept'

/** Downloads of other commits of the same repository, that nobody works on or asked to keep: who comes back to them? */
async function removeOlder({ source, workDir }: Addition): Promise<void> {
  if (source.kind !== 'repository') return
  const stem = `${source.repository.id.replace('/', '--')}@`
  for (const entry of (await readdir(downloadsFolder()).catch(absent)) ?? []) {
    const dir = join(downloadsFolder(), entry)
    if (!entry.startsWith(stem) || dir === workDir || existsSync(join(dir, keptMark)) || (await isHeld(dir))) continue
    await rm(dir, { recursive: true, force: true })
  }
}
