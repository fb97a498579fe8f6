/** A bundle on disk, checked before anything of it is trusted: manifest, places, sizes and sha256. */
import { realpath, stat } from 'node:fs/promises'
import { dirname, isAbsolute, join, posix } from 'node:path'
import { BundleError, messageOf } from '../base/errors.ts'
import { hashFile } from './hashFile.ts'
import { type Manifest, readManifest } from './manifest.ts'

export interface Bundle {
  readonly dir: string
  readonly manifest: Manifest
  readonly graph: Manifest['graphs'][number]
  readonly graphPath: string
}

export interface OpenBundleOptions {
  /** Default: 4 bits if the bundle has them, else its first graph. */
  readonly quant?: Manifest['graphs'][number]['quant']
  /** How the files of the graph and the tokenizer are compared with lacuna.json; 100 MB of sha256 take about 60 ms. */
  readonly check?: 'sizes' | 'sha256' // default sha256
}

/**
 * The manifest and the path of the graph to run. Sizes of all files are compared, sha256 of those that will be used.
 *
 * @throws {BundleError} that names the file, what was found and what lacuna.json says.
 */
export async function openBundle(dir: string, options: OpenBundleOptions = {}): Promise<Bundle> {
  const manifest = await readManifest(dir)
  const graph = chooseGraph(dir, manifest, options.quant)
  const listed = new Map(manifest.files.map((file) => [file.path, file]))
  const needed = new Set([graph.file, ...graph.externalData, 'tokenizer.json', 'config.json'])
  for (const path of needed) {
    if (!listed.has(path))
      throw new BundleError(`${join(dir, path)}: lacuna.json does not list it; run "lacuna model convert" again`)
  }
  const graphDir = posix.dirname(graph.file)
  for (const path of graph.externalData) {
    if (posix.dirname(path) === graphDir) continue
    throw new BundleError(
      `${join(dir, path)}: weights must lie in ${graphDir}/ beside the graph; run "lacuna model convert" again`,
    )
  }
  for (const file of manifest.files) {
    const problem = await fileProblem(dir, file, options.check !== 'sizes' && needed.has(file.path) ? 'sha256' : 'size')
    if (problem) throw new BundleError(`${join(dir, file.path)}: ${problem}; run "lacuna model verify"`)
  }
  return { dir, manifest, graph, graphPath: join(dir, graph.file) }
}

export interface FileVerdict {
  readonly path: string
  readonly bytes: number
  readonly problem: string | undefined // one clause; undefined when the file is as lacuna.json says
}

/** Full sha256 of every file; `onFile` is told of each as it is done. Problems are results, not errors. */
export async function verifyBundle(
  dir: string,
  onFile: (verdict: FileVerdict) => void = () => {},
): Promise<FileVerdict[]> {
  const verdicts: FileVerdict[] = []
  for (const file of (await readManifest(dir)).files) {
    const verdict = { path: file.path, bytes: file.bytes, problem: await fileProblem(dir, file, 'sha256') }
    verdicts.push(verdict)
    onFile(verdict)
  }
  return verdicts
}

function chooseGraph(dir: string, { graphs }: Manifest, quant: OpenBundleOptions['quant']): Manifest['graphs'][number] {
  if (!quant) return graphs.find((graph) => graph.quant === 'q4') ?? graphs[0]!
  const graph = graphs.find((candidate) => candidate.quant === quant)
  if (graph) return graph
  throw new BundleError(
    `${dir}: no graph in ${quant}, only in ${graphs.map((candidate) => candidate.quant).join(', ')}`,
  )
}

async function fileProblem(
  dir: string,
  file: Manifest['files'][number],
  check: 'size' | 'sha256',
): Promise<string | undefined> {
  const path = file.path
  if (
    isAbsolute(path) ||
    path.includes('\\') ||
    path.split('/').some((part) => part === '..' || part === '.' || part === '')
  ) {
    return 'the path leaves the folder of the bundle'
  }
  const place = join(dir, path)
  let real: string
  try {
    real = await realpath(place)
  } catch (error) {
    return hasCode(error, 'ENOENT') ? 'the file is missing' : messageOf(error)
  }
  if (dirname(real) !== join(await realpath(dir), posix.dirname(path)))
    return 'a link that leaves its folder; copy the file there'
  const entry = await stat(real)
  if (!entry.isFile()) return 'no plain file'
  if (entry.size !== file.bytes) return `${entry.size} bytes, lacuna.json says ${file.bytes}`
  if (check === 'size') return undefined
  const { sha256 } = await hashFile(real)
  return sha256 === file.sha256
    ? undefined
    : `sha256 is ${sha256.slice(0, 8)}…, lacuna.json says ${file.sha256.slice(0, 8)}…`
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
