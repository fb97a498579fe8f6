/**
 * Writes the files of a bundle so that an interrupted run loses nothing and leaves no half bundle: data files as `*.part`
 * with a journal of what is in them, everything on disk before it is renamed, and lacuna.json, without which a folder is
 * no bundle, last of all.
 */
import { createHash } from 'node:crypto'
import { mkdir, realpath, rename, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { BundleError } from '../base/errors.ts'
import { hasCode, isDiskFull } from '../base/hasCode.ts'
import { DataFiles, writeSynced } from './dataFiles.ts'
import { buildGraph, type ModelShape } from './graph.ts'
import { type BundleLayout, layoutBundle, type Storage } from './layout.ts'
import { type Manifest, manifestText, readManifest } from './manifest.ts'
import { readPlainFile } from './readJsonFile.ts'
import { smoothingFile } from './smoothing.ts'
import type { Progress, Tally, Unit } from './units.ts'
import { holding } from './workLock.ts'

export interface BundlePlan {
  readonly sourceDir: string // where config.json and the tokenizer are; may be `outDir`
  readonly outDir: string
  readonly shape: ModelShape
  readonly storage: Storage
  readonly manifest: Omit<Manifest, 'graphs' | 'files'>
  /** Changes when what the units read changes; work begun with another fingerprint is begun anew. */
  readonly fingerprint: string
  /** Files made here rather than copied from `sourceDir`, by name. */
  readonly madeFiles?: ReadonlyMap<string, Uint8Array>
  /** How much work an interruption can cost; default 2 s. */
  readonly syncEveryMs?: number
}

export interface Written {
  readonly manifest: Manifest
  readonly tally: Tally
}

const copiedFiles = [smoothingFile, 'generation_config.json', 'tokenizer_config.json', 'README.md', 'LICENSE']
const neededFiles = ['config.json', 'tokenizer.json']

/**
 * @throws {UserError} when another process writes into `outDir`.
 * @throws {BundleError} when `sourceDir` lacks a file, or there is too little room on the disk; whatever a unit throws.
 *   After a `BundleError` nothing of the attempt is left; after any other error the next run goes on where it stopped.
 */
export async function writeBundle(
  plan: BundlePlan,
  units: readonly Unit[],
  progress: (progress: Progress) => void = () => {},
): Promise<Written> {
  const { outDir, shape, storage } = plan
  const layout = layoutBundle(shape, storage)
  const files = { layout, graph: buildGraph(shape, layout.tensors), sideFiles: await readSideFiles(plan) }
  await refuseToReplace(plan, files.sideFiles)
  await mkdir(join(outDir, 'onnx'), { recursive: true })
  if ((await realpath(join(outDir, 'onnx'))) !== join(await realpath(outDir), 'onnx'))
    throw new BundleError(`${join(outDir, 'onnx')}: a link that leaves its folder; remove it, or choose another --out`)
  return holding(join(outDir, 'onnx'), () => writeFiles(plan, files, units, progress))
}

interface BundleFiles {
  readonly layout: BundleLayout
  readonly graph: Uint8Array
  readonly sideFiles: readonly (readonly [string, Uint8Array])[]
}

async function writeFiles(
  plan: BundlePlan,
  { layout, graph, sideFiles }: BundleFiles,
  units: readonly Unit[],
  progress: (progress: Progress) => void,
): Promise<Written> {
  const { outDir, storage } = plan
  const place = { dir: join(outDir, 'onnx'), journal: `${storage}.unfinished`, fingerprint: fingerprintOf(plan) }
  const data = await DataFiles.open({ ...place, syncEveryMs: plan.syncEveryMs ?? 2000 }, layout)
  try {
    for (const unit of units) {
      if (!data.has(unit)) await data.fill(unit)
      progress(data.progress)
    }
    const dataFiles = await data.finish()
    const files: Manifest['files'] = [
      ...dataFiles.map((file) => ({ ...file, path: `onnx/${file.path}` })),
      await writePart(outDir, `onnx/${layout.graphFile}`, graph),
      ...(await Promise.all(sideFiles.map(([path, bytes]) => writePart(outDir, path, bytes)))),
    ]
    const manifest = await makeManifest(plan, layout, files)
    await rm(join(outDir, 'lacuna.json'), { force: true }) // from here until the end the folder is no bundle
    for (const { path } of files) await rename(join(outDir, `${path}.part`), join(outDir, path))
    await writePart(outDir, 'lacuna.json', Buffer.from(manifestText(manifest)))
    await rename(join(outDir, 'lacuna.json.part'), join(outDir, 'lacuna.json'))
    await data.forget()
    return { manifest, tally: data.tally }
  } catch (error) {
    if (error instanceof BundleError) {
      await data.close()
      await data.forget()
      for (const { name } of [...layout.files, { name: layout.graphFile }])
        await rm(join(outDir, 'onnx', `${name}.part`), { force: true })
      for (const name of [...sideFiles.map(([path]) => path), 'lacuna.json'])
        await rm(join(outDir, `${name}.part`), { force: true })
      throw error
    }
    await data.pause()
    if (isDiskFull(error)) {
      throw new BundleError(
        `${outDir}: the disk is full after ${data.progress.doneBytes} of ${data.progress.totalBytes} bytes; make room and run the same again, it goes on from there`,
        { cause: error },
      )
    }
    throw error
  }
}

function fingerprintOf({ fingerprint, storage, shape, manifest }: BundlePlan): string {
  return createHash('sha256')
    .update(JSON.stringify([fingerprint, storage, shape, manifest]))
    .digest('hex')
}

async function makeManifest(plan: BundlePlan, layout: BundleLayout, files: Manifest['files']): Promise<Manifest> {
  const externalData = layout.files.map(({ name }) => `onnx/${name}`)
  const graph = { file: `onnx/${layout.graphFile}`, quant: plan.storage, externalData }
  const others = await otherGraphs(plan, graph.file)
  const kept = others.files.filter(({ path }) => !files.some((file) => file.path === path))
  return {
    ...plan.manifest,
    graphs: [graph, ...others.graphs],
    files: [...files, ...kept].sort((a, b) => (a.path < b.path ? -1 : 1)),
  }
}

/** Graphs of the same model that `outDir` has already, in other storages. */
async function otherGraphs(
  { outDir, manifest }: BundlePlan,
  graphFile: string,
): Promise<Pick<Manifest, 'graphs' | 'files'>> {
  let present: Manifest
  try {
    present = await readManifest(outDir)
  } catch (error) {
    if (error instanceof BundleError) return { graphs: [], files: [] }
    throw error
  }
  const { graphs, files, ...facts } = present
  if (!isDeepStrictEqual(facts, manifest)) return { graphs: [], files: [] }
  const kept = graphs.filter(({ file }) => file !== graphFile)
  const paths = new Set(kept.flatMap(({ file, externalData }) => [file, ...externalData]))
  return { graphs: kept, files: files.filter(({ path }) => paths.has(path)) }
}

async function readSideFiles({ sourceDir, madeFiles }: BundlePlan): Promise<[string, Uint8Array][]> {
  const files: [string, Uint8Array][] = [...(madeFiles ?? [])]
  for (const name of [...neededFiles, ...copiedFiles]) {
    if (madeFiles?.has(name)) continue
    try {
      files.push([name, await readPlainFile(join(sourceDir, name), 'a model folder has plain files')])
    } catch (error) {
      if (!(error instanceof BundleError) || !hasCode(error.cause, 'ENOENT')) throw error
      if (neededFiles.includes(name))
        throw new BundleError(`${join(sourceDir, name)}: no such file; a model folder needs it`)
    }
  }
  return files
}

/** A folder that is neither the model's nor a bundle may be somebody's project, with a README.md of its own. */
async function refuseToReplace({ sourceDir, outDir }: BundlePlan, sideFiles: BundleFiles['sideFiles']): Promise<void> {
  const present = async (path: string) => {
    try {
      return await readPlainFile(path, 'choose another --out')
    } catch (error) {
      if (error instanceof BundleError && hasCode(error.cause, 'ENOENT')) return undefined
      throw error
    }
  }
  if (resolve(sourceDir) === resolve(outDir) || (await present(join(outDir, 'lacuna.json')))) return
  for (const [name, bytes] of sideFiles) {
    const other = await present(join(outDir, name))
    if (other && Buffer.compare(other, bytes) !== 0)
      throw new BundleError(
        `${join(outDir, name)}: not this model's, and the bundle would replace it; choose an empty folder with --out`,
      )
  }
}

async function writePart(outDir: string, path: string, data: Uint8Array): Promise<Manifest['files'][number]> {
  await writeSynced(join(outDir, `${path}.part`), data)
  return { path, bytes: data.length, sha256: createHash('sha256').update(data).digest('hex') }
}
