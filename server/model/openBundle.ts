/** A bundle on disk, checked before anything of it is trusted: manifest, places, sizes, sha256, and the graph itself. */
import { realpath, stat } from 'node:fs/promises'
import { dirname, isAbsolute, join, posix } from 'node:path'
import { BundleError, messageOf } from '../base/errors.ts'
import { hasCode } from '../base/hasCode.ts'
import { checkGraph, expectGraph } from './checkGraph.ts'
import { hashFile } from './hashFile.ts'
import type { Int8Source } from './int8Weights.ts'
import { type Manifest, readManifest } from './manifest.ts'
import { smoothingFile } from './smoothing.ts'

export interface Bundle {
  readonly dir: string
  readonly manifest: Manifest
  readonly graph: Manifest['graphs'][number]
  readonly graphPath: string
  /** Where the matrices are in Q4_1: what they are multiplied in 8 bits with (`int8Weights.ts`). */
  readonly int8?: Int8Source
}

export interface OpenBundleOptions {
  /** Default: the fewest bits the bundle has. `q4` is for either kind of 4 bits. */
  readonly quant?: 'q4' | 'q8' | 'f32'
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
  const needed = new Set(neededBy(graph))
  if (listed.has(smoothingFile)) needed.add(smoothingFile)
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
  const refuseDamaged = async (file: Manifest['files'][number], check: 'size' | 'sha256'): Promise<void> => {
    const problem = await fileProblem(dir, file, check)
    if (problem) throw new BundleError(`${join(dir, file.path)}: ${problem}; run "lacuna model verify"`)
  }
  // The weights, which may be endless, are read when the small files have said how many there are.
  const hashing = options.check === 'sizes' ? 'size' : 'sha256'
  const weights = new Set(graph.externalData)
  for (const file of manifest.files) {
    const small = needed.has(file.path) && !weights.has(file.path)
    if (small && file.bytes > maxSmallBytes)
      throw new BundleError(`${join(dir, file.path)}: ${file.bytes} bytes, at most ${maxSmallBytes} are read`)
    await refuseDamaged(file, small ? hashing : 'size')
  }
  const expected = await expectGraph(dir, manifest, graph)
  for (const file of manifest.files.filter(({ path }) => weights.has(path))) await refuseDamaged(file, hashing)
  const graphPath = join(dir, graph.file)
  await checkGraph(graphPath, expected)
  if (graph.quant !== 'q4_1') return { dir, manifest, graph, graphPath }
  const { shape } = expected
  const smoothing = listed.has(smoothingFile) ? { smoothingPath: join(dir, smoothingFile) } : {}
  return { dir, manifest, graph, graphPath, int8: { shape, ...smoothing } }
}

/**
 * The manifest, and a tokenizer that is as it says: all that is needed of a bundle whose weights are elsewhere.
 *
 * @throws {BundleError} as `openBundle`.
 */
export async function openTokens(dir: string): Promise<Manifest> {
  const manifest = await readManifest(dir)
  for (const path of ['tokenizer.json', 'config.json']) {
    const file = manifest.files.find((candidate) => candidate.path === path)
    const problem = file ? await fileProblem(dir, file, 'sha256') : 'lacuna.json does not list it'
    if (problem) throw new BundleError(`${join(dir, path)}: ${problem}; run "lacuna model verify"`)
  }
  return manifest
}

function neededBy({ file, externalData }: Bundle['graph']): readonly string[] {
  return [file, ...externalData, 'tokenizer.json', 'config.json']
}

const maxSmallBytes = 128 * 1024 * 1024 // of the graph, and of what the tokenizer is made from

export interface FileVerdict {
  readonly path: string
  readonly bytes: number
  readonly sha256: string // as lacuna.json says; empty when it does not list the file
  readonly problem: string | undefined // one clause; undefined when the file is as lacuna.json says
}

/** Full sha256 of every file, and whether all that is needed is listed; `onFile` is told of each as it is done. Problems are results, not errors. */
export async function verifyBundle(
  dir: string,
  onFile: (verdict: FileVerdict) => void = () => {},
): Promise<FileVerdict[]> {
  const verdicts: FileVerdict[] = []
  const manifest = await readManifest(dir)
  const tell = (verdict: FileVerdict) => {
    verdicts.push(verdict)
    onFile(verdict)
  }
  for (const file of manifest.files) {
    const graph = manifest.graphs.find((candidate) => candidate.file === file.path)
    const damage = await fileProblem(dir, file, 'sha256')
    const problem = damage ?? (graph && (await graphProblem(dir, manifest, graph)))
    tell({ path: file.path, bytes: file.bytes, sha256: file.sha256, problem })
  }
  const listed = new Set(manifest.files.map(({ path }) => path))
  for (const path of new Set(manifest.graphs.flatMap(neededBy))) {
    if (!listed.has(path)) tell({ path, bytes: 0, sha256: '', problem: 'lacuna.json does not list it' })
  }
  return verdicts
}

function chooseGraph(dir: string, { graphs }: Manifest, quant: OpenBundleOptions['quant']): Manifest['graphs'][number] {
  const wanted = quant === undefined ? ['q4_1', 'q4', 'q8', 'f32'] : quant === 'q4' ? ['q4_1', 'q4'] : [quant]
  for (const kind of wanted) {
    const graph = graphs.find((candidate) => candidate.quant === kind)
    if (graph) return graph
  }
  throw new BundleError(
    `${dir}: no graph in ${quant}, only in ${graphs.map((candidate) => candidate.quant).join(', ')}`,
  )
}

async function graphProblem(dir: string, manifest: Manifest, graph: Bundle['graph']): Promise<string | undefined> {
  try {
    await checkGraph(join(dir, graph.file), await expectGraph(dir, manifest, graph))
    return undefined
  } catch (error) {
    if (error instanceof BundleError) return error.message
    throw error
  }
}

/** One clause; undefined when the file lies inside the bundle, as lacuna.json says. */
export async function fileProblem(
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
