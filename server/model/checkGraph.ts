/**
 * A graph is a pure function of `config.json` and `lacuna.json`, so it is built again and compared byte by byte: what
 * ONNX Runtime is given was made by this program, whoever published the bundle. A graph can end the process in many
 * ways; this closes them all. Building that of the default model takes 40 ms.
 */
import { join } from 'node:path'
import { BundleError } from '../base/errors.ts'
import { blockSize, buildGraph, groupSize, linearGroups, type ModelShape, topCount } from './graph.ts'
import { type BundleLayout, layoutBundle } from './layout.ts'
import type { Manifest } from './manifest.ts'
import { bundleShape, readModelConfig } from './modelConfig.ts'
import { readExactly } from './readExactly.ts'
import { openPlainFile } from './readJsonFile.ts'

const again = 'run "lacuna model convert" again'
const maxGraphBytes = 128 * 1024 * 1024 // a model of 7 billion weights takes 46 MB in q4_1, 1 MB else

type Graph = Manifest['graphs'][number]

export interface ExpectedGraph {
  readonly shape: ModelShape
  readonly layout: BundleLayout
}

/**
 * The graph that the two files ask for, once they agree with each other and with the sizes of the data files.
 *
 * @throws {BundleError} that names the field, what was found and what was wanted.
 */
export async function expectGraph(dir: string, manifest: Manifest, graph: Graph): Promise<ExpectedGraph> {
  const config = await readModelConfig(dir)
  const wrong = (reason: string) => new BundleError(`${join(dir, 'lacuna.json')}: ${reason}; ${again}`)
  const { vocab: _, ...sizes } = config.shape
  const said = { ...sizes, family: config.family, topK: topCount } as Readonly<Record<string, unknown>>
  for (const [key, value] of Object.entries(manifest)) {
    if (Object.hasOwn(said, key) && JSON.stringify(said[key]) !== JSON.stringify(value))
      throw wrong(`${key} is ${JSON.stringify(value)}, config.json asks for ${JSON.stringify(said[key])}`)
  }
  const shape = bundleShape(config, manifest)
  const { extraIds, extraHeadRows } = shape
  if (extraHeadRows < 0 || extraHeadRows > extraIds) {
    const { vocab } = config.shape
    throw wrong(`vocab is ${manifest.vocab}, wanted ${vocab} to ${vocab + extraIds}: config.json and the ids say so`)
  }
  const layout = layoutBundle(shape, graph.quant)
  const fractional = [...layout.tensors].find(([, { dims }]) => !dims.every(Number.isSafeInteger))
  if (fractional)
    throw wrong(`${graph.quant} cannot hold ${fractional[0]}, whose rows are no whole blocks of ${blockSize}`)
  const expected = layout.files.map(({ name }) => `onnx/${name}`)
  if (graph.file !== `onnx/${layout.graphFile}` || graph.externalData.join() !== expected.join())
    throw wrong(`a graph in ${graph.quant} is onnx/${layout.graphFile} with ${expected.join(', ')}`)
  for (const { name, bytes } of layout.files) {
    const listed = manifest.files.find(({ path }) => path === `onnx/${name}`)
    if (listed?.bytes !== bytes)
      throw wrong(`onnx/${name} has ${listed?.bytes ?? 'no'} bytes, config.json and lacuna.json ask for ${bytes}`)
  }
  return { shape, layout }
}

/** @throws {BundleError} when the file is not the one that the builder makes. */
export async function checkGraph(path: string, { shape, layout }: ExpectedGraph): Promise<void> {
  const wrong = (reason: string) => new BundleError(`${path}: ${reason}; ${again}`)
  const file = await openPlainFile(path, again)
  try {
    const { size } = await file.stat()
    if (size > maxGraphBytes) throw wrong(`${size} bytes, a graph has at most ${maxGraphBytes}`)
    // The one part that grows with the square of a size. Before it is built, the file must be large enough to hold it.
    const widest = Math.max(...linearGroups.map(({ name }) => groupSize(shape, name).columns))
    const sums = layout.tensors.has('layers.0.down.minimums') ? (widest * widest * 4) / blockSize : 0
    const same =
      sums <= size && Buffer.compare(await readExactly(file, path, 0, size), buildGraph(shape, layout.tensors)) === 0
    if (!same) throw wrong('not the graph that this version of Lacuna makes of config.json and lacuna.json')
  } finally {
    await file.close()
  }
}
