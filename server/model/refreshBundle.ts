/**
 * Brings a bundle whose sources are gone up to this version: the graph follows from `config.json` and `lacuna.json`, so it
 * is built again over the data files as they are.
 */
import { createHash } from 'node:crypto'
import { rename, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { BundleError } from '../base/errors.ts'
import { expectGraph } from './checkGraph.ts'
import { writeSynced } from './dataFiles.ts'
import { buildGraph } from './graph.ts'
import { type Manifest, manifestText, readManifest } from './manifest.ts'
import { fileProblem } from './openBundle.ts'

/** Whether `dir` is a bundle without the weights that it was made from. */
export async function isFinishedBundle(dir: string): Promise<boolean> {
  const has = (name: string) =>
    stat(join(dir, name)).then(
      () => true,
      () => false,
    )
  if (!(await has('lacuna.json'))) return false
  return !(await has('model.safetensors')) && !(await has('model.safetensors.index.json'))
}

/**
 * Writes graphs and lacuna.json; run twice, or interrupted and run again, it comes to the same.
 *
 * @throws {BundleError} when `config.json` and `lacuna.json` disagree, or ask for other data than there is.
 */
export async function refreshBundle(dir: string): Promise<Manifest> {
  const manifest = await readManifest(dir)
  const files = new Map(manifest.files.map((file) => [file.path, file]))
  for (const graph of manifest.graphs) {
    const { shape, layout } = await expectGraph(dir, manifest, graph)
    for (const path of graph.externalData) {
      const problem = await fileProblem(dir, files.get(path)!, 'size')
      if (problem) throw new BundleError(`${join(dir, path)}: ${problem}; the graph was left as it is`)
    }
    const bytes = buildGraph(shape, layout.tensors)
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    files.set(graph.file, { path: graph.file, bytes: bytes.length, sha256 })
    await replace(join(dir, graph.file), bytes)
  }
  const refreshed: Manifest = { ...manifest, files: manifest.files.map(({ path }) => files.get(path)!) }
  await replace(join(dir, 'lacuna.json'), Buffer.from(manifestText(refreshed)))
  return refreshed
}

async function replace(path: string, data: Uint8Array): Promise<void> {
  await writeSynced(`${path}.part`, data)
  await rename(`${path}.part`, path)
}
