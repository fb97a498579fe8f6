/** What sessions are opened from where the processor multiplies in 8 bits: a graph and weights made in memory, from a Q4_1 bundle. */
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import * as ort from 'onnxruntime-node'
import { buildGraph } from '../../model/graph.ts'
import { int8Maker, type LargestLevel, type MakeInt8 } from '../../model/int8Maker.ts'
import { type Int8Source, int8File, int8Shape, int8Tensors, int8Weights } from '../../model/int8Weights.ts'
import { layoutBundle } from '../../model/layout.ts'
import { GraphBuilder } from '../../model/onnxProto.ts'
import { readSmoothing } from '../../model/smoothing.ts'

type ExternalData = readonly { readonly path: string; readonly data: Uint8Array }[]

/** One graph and its weights, twice where there is an adapter: as the base has them, and with the adapter folded in. */
export interface MadeGraph {
  readonly graph: Uint8Array
  readonly plain: ExternalData
  readonly folded?: ExternalData
}

/**
 * @param graphPath of the bundle's own graph.
 * @throws {BundleError} when a file of the bundle is not what it must be.
 */
export async function int8Graph(
  graphPath: string,
  { shape, smoothingPath }: Int8Source,
  threads: number,
): Promise<MadeGraph> {
  const { tensors } = layoutBundle(shape, 'q4_1')
  const made = int8Tensors(shape, tensors)
  const smoothing = smoothingPath === undefined ? undefined : await readSmoothing(smoothingPath, shape)
  const maker = await openMaker((await addsPairsIn16Bits()) ? 63 : 127, shape.adapterRank > 0, threads)
  const { plain, folded } = await int8Weights(graphPath, shape, tensors, maker.make, smoothing).finally(maker.release)
  const needed = new Set([...made.values()].map(({ file }) => file).filter((file) => file !== int8File))
  const shared = await Promise.all(
    [...needed].map(async (path) => ({ path, data: await readFile(join(dirname(graphPath), path)) })),
  )
  const withShared = (data: Uint8Array): ExternalData => [...shared, { path: int8File, data }]
  return {
    graph: buildGraph(int8Shape(shape), made),
    plain: withShared(plain),
    ...(folded ? { folded: withShared(folded) } : {}),
  }
}

/** What makes 8 bits of matrices, until it is released. */
export async function openMaker(
  largest: LargestLevel,
  withAdapter: boolean,
  threads: number,
): Promise<{ readonly make: MakeInt8; readonly release: () => Promise<void> }> {
  const session = await ort.InferenceSession.create(int8Maker(largest, withAdapter), {
    executionProviders: ['cpu'],
    intraOpNumThreads: threads,
    logSeverityLevel: 3,
    enableMemPattern: false,
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  })
  const make: MakeInt8 = async ({ rows, columns, quants, scales, minimums, factors, adapter }) => {
    const half = (data: Uint16Array, dims: readonly number[]) => new ort.Tensor('float16', data, dims)
    const outputs = await session.run({
      quants: new ort.Tensor('uint8', quants, [rows, columns / 2]),
      scales: half(scales, [rows, scales.length / rows]),
      minimums: half(minimums, [rows, minimums.length / rows]),
      factors: new ort.Tensor('float32', factors, [columns]),
      ...(adapter && { a: half(adapter.a, [adapter.rank, columns]), b: half(adapter.b, [rows, adapter.rank]) }),
    })
    const made = (set: 'plain' | 'folded') => ({
      levels: outputs[`${set}.levels`]!.data as Int8Array,
      scales: outputs[`${set}.scales`]!.data as Float32Array,
    })
    return { plain: made('plain'), ...(adapter ? { folded: made('folded') } : {}) }
  }
  return { make, release: () => session.release() }
}

/**
 * Whether products of 8 by 8 bits overflow here: x86 processors without VNNI add two of them in 16 bits, and cut off what
 * does not fit, without a word.
 */
async function addsPairsIn16Bits(): Promise<boolean> {
  const [rows, inner, columns] = [8, 64, 64]
  const g = new GraphBuilder()
  const [x, w] = [
    g.input({ name: 'x', type: 'uint8', dims: [rows, inner] }),
    g.input({ name: 'w', type: 'int8', dims: [inner, columns] }),
  ]
  g.output({ name: 'y', type: 'int32', dims: [rows, columns] }, g.op('MatMulInteger', [x, w]))
  const session = await ort.InferenceSession.create(g.finish('pairs'), {
    executionProviders: ['cpu'],
    logSeverityLevel: 3,
  })
  const { y } = await session.run({
    x: new ort.Tensor('uint8', new Uint8Array(rows * inner).fill(255), [rows, inner]),
    w: new ort.Tensor('int8', new Int8Array(inner * columns).fill(127), [inner, columns]),
  })
  await session.release()
  return (y!.data as Int32Array).some((value) => value !== 255 * 127 * inner)
}
