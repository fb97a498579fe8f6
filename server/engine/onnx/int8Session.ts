/** What a session is opened from where the processor multiplies in 8 bits: a graph and weights made in memory, from a Q4_1 bundle. */
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import * as ort from 'onnxruntime-node'
import { buildGraph } from '../../model/graph.ts'
import { type Int8Source, int8File, int8Tensors, int8Weights } from '../../model/int8Weights.ts'
import { layoutBundle } from '../../model/layout.ts'
import { GraphBuilder } from '../../model/onnxProto.ts'
import { readSmoothing } from '../../model/smoothing.ts'

export interface MadeGraph {
  readonly graph: Uint8Array
  readonly externalData: { readonly path: string; readonly data: Uint8Array }[]
}

/**
 * @param graphPath of the bundle's own graph.
 * @throws {BundleError} when a file of the bundle is not what it must be.
 */
export async function int8Graph(graphPath: string, { shape, smoothingPath }: Int8Source): Promise<MadeGraph> {
  const { tensors } = layoutBundle(shape, 'q4_1')
  const made = int8Tensors(shape, tensors)
  const data = await int8Weights(graphPath, shape, tensors, {
    largest: (await addsPairsIn16Bits()) ? 63 : 127,
    ...(smoothingPath === undefined ? {} : { smoothing: await readSmoothing(smoothingPath, shape) }),
  })
  const needed = new Set([...made.values()].map(({ file }) => file).filter((file) => file !== int8File))
  const externalData = await Promise.all(
    [...needed].map(async (path) => ({ path, data: await readFile(join(dirname(graphPath), path)) })),
  )
  return { graph: buildGraph(shape, made), externalData: [...externalData, { path: int8File, data }] }
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
