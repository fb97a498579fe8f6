/** What `lacuna model add` is about to do: where the model comes from, its size and licence, where it goes. */
import type { Stats } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { BundleError } from '../base/errors.ts'
import { absent } from '../base/hasCode.ts'
import type { ConvertOptions } from '../model/convert.ts'
import { bytesHere, shownBytes, sum } from '../model/downloadAll.ts'
import { type Net, type Repository, readFileText, readRepository } from '../model/hub.ts'
import { type Licence, licenceInCard, licenceOf } from '../model/licence.ts'
import { readManifest } from '../model/manifest.ts'
import type { ModelReference } from '../model/modelReference.ts'
import { readJsonFile, readPlainFile } from '../model/readJsonFile.ts'
import { downloadsFolder } from '../model/store.ts'
import { type Wanted, wantedFiles } from '../model/wantedFiles.ts'

export type Quant = ConvertOptions['quant']

export interface Addition {
  readonly name: string // it is installed under
  readonly source: Source
  readonly licence: Licence
  readonly workDir: string // of this addition alone; what an earlier attempt left there is used
  readonly neededBytes: number // room on the disk, about
  /** Lines for the question. */
  readonly description: string
}

export type Source =
  | { readonly kind: 'repository'; readonly repository: Repository; readonly wanted: Wanted }
  | { readonly kind: 'folder'; readonly dir: string; readonly isBundle: boolean }

export interface AdditionChoices {
  readonly name: string
  readonly quant: Quant
  readonly modelsDir: string
}

/** The name a model gets when nobody says another. */
export function nameOf(reference: ModelReference): string {
  return reference.kind === 'folder' ? basename(reference.dir) : reference.id.slice(reference.id.indexOf('/') + 1)
}

export function planAddition(reference: ModelReference, choices: AdditionChoices, net: Net): Promise<Addition> {
  return reference.kind === 'folder' ? planFolder(reference.dir, choices) : planRepository(reference, choices, net)
}

async function planRepository(
  reference: Extract<ModelReference, { kind: 'repository' }>,
  { name, quant, modelsDir }: AdditionChoices,
  net: Net,
): Promise<Addition> {
  const repository = await readRepository(reference, net)
  const { id, commit, revision, hub, gated } = repository
  const wanted = await wantedFiles(repository, (path) => readFileText(repository, path, net))
  const workDir = join(downloadsFolder(), `${id.replace('/', '--')}@${commit.slice(0, 12)}`)
  const known = repository.licence.text !== 'unknown'
  const licence = known || wanted.licence === undefined ? repository.licence : licenceOf(wanted.licence.toLowerCase())
  const bytes = sum(wanted.files)
  const here = await bytesHere(wanted.files, fetchDir(workDir, { kind: 'repository', repository, wanted }))
  const bundleBytes = wanted.kind === 'bundle' ? 0 : bundleEstimate(repository.parameterCount ?? bytes / 2, quant)
  const files = `${shownBytes(bytes)} in ${wanted.files.length} files`
  return {
    name,
    source: { kind: 'repository', repository, wanted },
    licence,
    workDir,
    neededBytes: bytes - here + bundleBytes,
    description: described([
      [
        'model',
        `${id} at ${commit.slice(0, 12)}${commit.startsWith(revision) ? '' : ` (${revision})`}, ${hub.endpoint}`,
      ],
      ['download', here > 0 ? `${files}, ${shownBytes(here)} of it here already` : files],
      ...(gated ? [['access', 'gated: only for those who accepted its terms'] as const] : []),
      ['licence', licenceLine(licence, `${hub.endpoint}/${id}`)],
      ['stored in', `${join(modelsDir, name)}${bundleBytes ? `, about ${shownBytes(bundleBytes)} as ${quant}` : ''}`],
    ]),
  }
}

async function planFolder(dir: string, { name, quant, modelsDir }: AdditionChoices): Promise<Addition> {
  const entries = await plainFilesIn(dir)
  const isBundle = entries.has('lacuna.json')
  if (!isBundle && !entries.has('config.json'))
    throw new BundleError(`${dir}: neither a lacuna.json nor a config.json; wanted a bundle or a Hugging Face folder`)
  const manifest = isBundle ? await readManifest(dir) : undefined
  const weightBytes = [...entries].reduce(
    (total, [file, { size }]) => total + (file.endsWith('.safetensors') ? size : 0),
    0,
  )
  const bundleBytes = manifest ? sum(manifest.files) : bundleEstimate(weightBytes / 2, quant)
  const card = entries.has('README.md') ? await readPlainFile(join(dir, 'README.md'), 'remove it') : new Uint8Array()
  const inCard = licenceInCard(Buffer.from(card).toString('utf8'))
  const licence = licenceOf((manifest?.licence ?? inCard ?? (await licenceInConfig(dir)))?.toLowerCase())
  return {
    name,
    source: { kind: 'folder', dir, isBundle },
    licence,
    workDir: join(downloadsFolder(), `${name}@folder`),
    neededBytes: bundleBytes,
    description: described([
      ['model', `${dir}, ${isBundle ? 'a bundle, to be copied' : 'to be converted'}; the folder stays as it is`],
      ['licence', licenceLine(licence)],
      ['stored in', `${join(modelsDir, name)}, about ${shownBytes(bundleBytes)}`],
    ]),
  }
}

/** By name. Links count as what they lead to: the caches of other programs hold nothing else. */
export async function plainFilesIn(dir: string): Promise<ReadonlyMap<string, Stats>> {
  const files = new Map<string, Stats>()
  for (const name of (await readdir(dir)).sort()) {
    const entry = await stat(join(dir, name)).catch(absent)
    if (entry?.isFile()) files.set(name, entry)
  }
  return files
}

/** Where the files of a repository go: under its own name, which tells some kinds of models apart. */
export function fetchDir(workDir: string, source: Extract<Source, { kind: 'repository' }>): string {
  if (source.wanted.kind === 'bundle') return stagedDir(workDir)
  return join(workDir, 'source', source.repository.id.split('/')[1]!)
}

export function isBundle({ source }: Addition): boolean {
  return source.kind === 'folder' ? source.isBundle : source.wanted.kind === 'bundle'
}

/** Where the bundle lies until it is installed. */
export function stagedDir(workDir: string): string {
  return join(workDir, 'bundle')
}

/** Bytes of a parameter, with scales and the embedding's 8 bits; a few percent too many rather than too few. */
const bytesPerParameter: Readonly<Record<Quant, number>> = { q4: 0.8, q8: 1.2, f32: 4.1 }

function bundleEstimate(parameters: number, quant: Quant): number {
  return Math.ceil(parameters * bytesPerParameter[quant])
}

function licenceLine({ text, permissive }: Licence, page?: string): string {
  if (permissive) return text
  return `${text}: ${text === 'unknown' ? 'the model does not say what you may do with it' : 'not one that allows every use'}${page ? `; see ${page}` : ''}`
}

function described(rows: readonly (readonly [string, string])[]): string {
  return rows.map(([left, right]) => `  ${left.padEnd(10)} ${right}\n`).join('')
}

/** `infill.licence` of our own folders. */
async function licenceInConfig(dir: string): Promise<string | undefined> {
  const config = (await readJsonFile(join(dir, 'config.json'), 'fetch the model again')) as {
    infill?: { licence?: unknown }
  } | null
  const licence = config?.infill?.licence
  return typeof licence === 'string' ? licence : undefined
}
