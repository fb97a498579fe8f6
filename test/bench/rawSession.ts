/** The graph without worker, cache or batching: for comparisons that must pay the same price for the same pass. */
import * as ort from 'onnxruntime-node'
import type { EngineOptions } from '../../server/engine/onnx/protocol.ts'
import { blockSize, groupSize, linearGroups, type ModelShape } from '../../server/model/graph.ts'
import { type BundleLayout, layoutBundle } from '../../server/model/layout.ts'
import { GraphBuilder } from '../../server/model/onnxProto.ts'

/** As the engine's worker opens its session. */
export function sessionOptions(threads: number): ort.InferenceSession.SessionOptions {
  return {
    executionProviders: ['cpu'],
    intraOpNumThreads: threads,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    logSeverityLevel: 3,
    enableMemPattern: false,
    enableCpuMemArena: false,
    extra: { session: { intra_op: { allow_spinning: '1' }, force_spinning_stop: '1' } },
  }
}

/** One pass over prefix, canvas and suffix with nothing kept from before; the head on `askedCount` slots only. */
export async function naiveStep(
  session: ort.InferenceSession,
  { layers, kvHeads, headDim }: EngineOptions,
  {
    prefixIds,
    slotIds,
    suffixIds,
  }: { prefixIds: readonly number[]; slotIds: readonly number[]; suffixIds: readonly number[] },
  askedCount: number,
): Promise<void> {
  const context = prefixIds.length - 1
  const canvas = slotIds.length + 1
  const ids = [...prefixIds, ...slotIds, ...suffixIds]
  const width = ids.length
  const bias = new Float32Array(width * width).fill(-1e9)
  for (let row = 0; row < width; row++) {
    const inCanvas = row >= context && row < context + canvas
    const from = row >= context + canvas ? context + canvas : 0
    if (inCanvas) bias.fill(0, row * width, (row + 1) * width)
    else bias.fill(0, row * width + from, row * width + row + 1)
  }
  const int64 = (values: readonly number[], dims: number[]) =>
    new ort.Tensor('int64', BigInt64Array.from(values, BigInt), dims)
  const denoising = Float32Array.from(ids, (_, row) => (row >= context && row < context + canvas ? 1 : 0))
  const feeds: Record<string, ort.Tensor> = {
    input_ids: int64(ids, [1, width]),
    position_ids: int64(
      ids.map((_, i) => i),
      [1, width],
    ),
    past_position_ids: int64([], [1, 0]),
    attention_bias: new ort.Tensor('float32', bias, [1, 1, width, width]),
    rows: int64(
      Array.from({ length: askedCount }, (_, i) => context + i),
      [1, askedCount],
    ),
    score_ids: int64(Array(askedCount).fill(0), [1, askedCount]),
    set_ids: int64([0], [1]),
  }
  // Weights with the adapter in them take every row for one of a canvas: not the same text, but the same work.
  if (session.inputNames.includes('denoising')) feeds.denoising = new ort.Tensor('float32', denoising, [1, width])
  for (let layer = 0; layer < layers; layer++) {
    for (const part of ['key', 'value']) {
      feeds[`past.${layer}.${part}`] = new ort.Tensor('float32', new Float32Array(), [1, kvHeads, 0, headDim])
    }
  }
  const outputs = await session.run(feeds, ['top_ids', 'top_logprobs', 'entropy', 'set_logprobs'])
  for (const output of Object.values(outputs)) output.dispose()
}

/** Only the weight matrices of a step, in the same quantisation, one after the other: what no step can go below. */
export function rooflineGraph(shape: ModelShape, layout: BundleLayout = layoutBundle(shape, 'q4_1')): Uint8Array {
  const g = new GraphBuilder()
  const product = (x: string, name: string, columns: number, rows: number, bits: number): string => {
    const scales = g.op('Cast', [g.stored(`${name}.scales`, layout.tensors.get(`${name}.scales`)!)], { to: { int: 1 } })
    const quants = g.stored(`${name}.quants`, layout.tensors.get(`${name}.quants`)!)
    return g.contrib('MatMulNBits', [x, quants, scales], {
      K: { int: columns },
      N: { int: rows },
      bits: { int: bits },
      block_size: { int: blockSize },
      accuracy_level: { int: 4 },
    })
  }
  const head = (x: string, count: number): string => g.op('Slice', [x, g.int64([0]), g.int64([count]), g.int64([-1])])
  let x = g.input({ name: 'x', type: 'float32', dims: ['Q', shape.width] })
  const asked = g.input({ name: 'asked', type: 'int64', dims: [1] })
  for (let layer = 0; layer < shape.layers; layer++) {
    for (const { name } of linearGroups) {
      const { rows, columns } = groupSize(shape, name)
      const count = rows.reduce((sum, n) => sum + n, 0)
      x = product(x, `layers.${layer}.${name}`, columns, count, 4)
      const next = name === 'gate_up' ? shape.mlp : shape.width
      if (count !== next) x = head(x, next)
    }
  }
  const rows = g.op('Slice', [x, g.int64([0]), asked, g.int64([0])])
  const logits = product(rows, 'embedding', shape.width, shape.vocab, 8)
  g.output({ name: 'y', type: 'float32', dims: ['R', 1] }, g.op('ReduceMax', [logits, g.int64([-1])]))
  return g.finish('roofline')
}
