/**
 * The network as an ONNX graph: one builder for the block of Llama, Qwen2 (biases) and Qwen3 (query and key norms), with
 * an optional denoising adapter.
 *
 * Contract (`ARCHITECTURE.md`, "The graph"): keys are cached before rotation, who may look at whom is the caller's
 * `attention_bias`, the vocabulary head runs on asked rows only, and softmax, top-k and entropy stay inside. Row `q`
 * scores whatever the model was trained to score there: the shift is the engine's business.
 */
import { GraphBuilder, type StoredTensor } from './onnxProto.ts'
import { type Rope, ropeOf } from './rope.ts'

/** Sizes of a decoder block, as `config.json` gives them. */
export interface ModelShape {
  readonly layers: number
  readonly width: number
  readonly heads: number
  readonly kvHeads: number
  readonly headDim: number
  readonly mlp: number
  readonly vocab: number // rows of the embedding
  readonly extraIds: number // ids vocab … vocab+extraIds-1 have an embedding of their own, in another tensor
  readonly extraHeadRows: number // the first of them have a column in the head
  readonly rope: Rope
  readonly normEps: number
  readonly queryKeyNorm: boolean // RMSNorm of each head's query and key, before rotation
  readonly biases: readonly LinearGroup[] // groups whose every part adds one
  readonly tiedHead: boolean // the head is the embedding
  readonly adapterRank: number // 0 without an adapter
}

/** How many best tokens a prediction row carries. */
export const topCount = 8

export const blockSize = 32 // weights that share a scale

/** Linears that read the same rows are stored one after the other and run as one matrix. */
export const linearGroups = [
  { name: 'qkv', parts: ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj'] },
  { name: 'o', parts: ['self_attn.o_proj'] },
  { name: 'gate_up', parts: ['mlp.gate_proj', 'mlp.up_proj'] },
  { name: 'down', parts: ['mlp.down_proj'] },
] as const

export type LinearGroup = (typeof linearGroups)[number]['name']

/** Rows `[out]` of each part of a group, and its columns. */
export function groupSize(shape: ModelShape, group: LinearGroup): { rows: readonly number[]; columns: number } {
  const kvWidth = shape.kvHeads * shape.headDim
  switch (group) {
    case 'qkv':
      return { rows: [shape.heads * shape.headDim, kvWidth, kvWidth], columns: shape.width }
    case 'o':
      return { rows: [shape.width], columns: shape.heads * shape.headDim }
    case 'gate_up':
      return { rows: [shape.mlp, shape.mlp], columns: shape.width }
    case 'down':
      return { rows: [shape.width], columns: shape.mlp }
  }
}

/**
 * Bytes of `model_*.onnx`. Which operators serve a matrix follows from how it is stored: `X.weight` float32 is a plain
 * product; `X.quants`, `X.scales` are blocks of 32 with value scale · (q − 128), q 0…255; with `X.zeros`, scale · (q −
 * zero), q and zero 0…15; with `X.minimums`, scale · q + minimum, q 0…15 (Q4_1).
 *
 * @throws {Error} when a tensor the shape calls for is not among the stored ones.
 */
export function buildGraph(shape: ModelShape, stored: ReadonlyMap<string, StoredTensor>): Uint8Array<ArrayBuffer> {
  const g = new GraphBuilder()
  const declared = new Set<string>()
  const weight = (name: string): string => {
    const tensor = stored.get(name)
    if (!tensor) throw new Error(`the graph needs the tensor ${name}, which was not stored`)
    if (!declared.has(name)) g.stored(name, tensor)
    declared.add(name)
    return name
  }
  const floats = new Map<string, string>()
  const asFloat = (name: string): string => {
    if (stored.get(name)?.type === 'float32') return weight(name)
    const value = floats.get(name) ?? g.op('Cast', [weight(name)], { to: { int: 1 } })
    floats.set(name, value)
    return value
  }
  const transposed = (value: string): string => g.op('Transpose', [value], { perm: { ints: [1, 0] } })

  const { layers, width, heads, kvHeads, headDim, mlp, vocab, extraIds, extraHeadRows, adapterRank } = shape
  const { queryKeyNorm, biases, tiedHead } = shape
  const columnCount = vocab + extraHeadRows
  const ids = g.input({ name: 'input_ids', type: 'int64', dims: ['B', 'Q'] })
  const positions = g.input({ name: 'position_ids', type: 'int64', dims: ['B', 'Q'] })
  const pastPositions = g.input({ name: 'past_position_ids', type: 'int64', dims: ['B', 'P'] })
  const bias = g.input({ name: 'attention_bias', type: 'float32', dims: ['B', 1, 'Q', 'P+Q'] })
  const rows = g.input({ name: 'rows', type: 'int64', dims: ['B', 'R'] })
  const scoreIds = g.input({ name: 'score_ids', type: 'int64', dims: ['B', 'R'] })
  const setIds = g.input({ name: 'set_ids', type: 'int64', dims: ['S'] })
  const denoising = adapterRank ? g.input({ name: 'denoising', type: 'float32', dims: ['B', 'Q'] }) : undefined
  const gate = denoising && g.op('Reshape', [denoising, g.int64([-1, 1])]) // [B·Q, 1]

  const norm = (x: string, name: string): string =>
    g.op('SimplifiedLayerNormalization', [x, asFloat(`${name}.weight`)], {
      axis: { int: -1 },
      epsilon: { float: shape.normEps },
      stash_type: { int: 1 },
    })
  /** `x + added`, and the norm of that. */
  const addedAndNormed = (x: string, added: string, name: string): { sum: string; normed: string } => {
    const inputs = [x, added, asFloat(`${name}.weight`)]
    const [normed, sum] = g.contribs('SkipSimplifiedLayerNormalization', inputs, [0, 3], {
      epsilon: { float: shape.normEps },
    }) as [string, string]
    return { sum, normed }
  }

  /** Rows in 8 bits, each with a scale of its own `[B·Q, 1]`: what is rounded does not depend on other rows. */
  const rounded = (x: string, columns: number): { levels: string; scale: string } => {
    const most = g.op('ReduceMax', [g.op('Abs', [x]), g.int64([-1])])
    const scale = g.op('Mul', [most, g.float32([1 / 127])]) // of a row of zeros 0, and so is all it is multiplied to
    const levels = g.op('QuantizeLinear', [x, scale, zeroPoints()], { axis: { int: 1 }, block_size: { int: columns } })
    return { levels, scale }
  }
  const zero = () => g.op('Cast', [g.float32([128])], { to: { int: 2 } })
  const zeroPoints = memo(() => g.op('Expand', [zero(), g.op('Shape', [g.op('Reshape', [ids, g.int64([-1, 1])])])]))
  /** `x [B·Q, columns]` times a matrix of `int8Weights`. Rows are scaled once, at the end: until then all are whole numbers. */
  const linearInt8 = (x: string, name: string, group: LinearGroup): string => {
    const { levels, scale } = rounded(x, groupSize(shape, group).columns)
    const sums = g.contrib('MatMulIntegerToFloat', [
      levels,
      weight(`${name}.levels`),
      g.float32([1]),
      weight(`${name}.level_scales`),
      zero(),
    ])
    const y = g.op('Mul', [sums, scale])
    return biases.includes(group) ? g.op('Add', [y, weight(`${name}.bias`)]) : y
  }
  /** `x [B·Q, columns]` times a stored matrix, the adapter on denoising rows included; the parts of the group side by side. */
  const linear = (x: string, layer: number, group: LinearGroup): string => {
    const name = `layers.${layer}.${group}`
    return stored.has(`${name}.levels`) ? linearInt8(x, name, group) : linearBlocks(x, layer, group)
  }
  const split = (x: string, sizes: readonly number[], axis: number): string[] =>
    g.ops('Split', [x, g.int64(sizes)], sizes.length, { axis: { int: axis } })
  const linearBlocks = (x: string, layer: number, group: LinearGroup): string => {
    const { rows: partRows, columns } = groupSize(shape, group)
    const name = `layers.${layer}.${group}`
    const outWidth = partRows.reduce((sum, n) => sum + n, 0)
    const owes = stored.has(`${name}.minimums`)
    const [left, right]: [string[], string[]] = [[], []] // factors of all that is added to the quantised product
    if (gate) {
      partRows.forEach((rowCount, part) => {
        const before = partRows.slice(0, part).reduce((sum, n) => sum + n, 0)
        const b = transposed(asFloat(`${name}.${part}.lora_B`)) // [rank, rowCount]
        left.push(transposed(asFloat(`${name}.${part}.lora_A`)))
        right.push(g.op('Pad', [b, g.int64([0, before, 0, outWidth - before - rowCount])]))
      })
    }
    let y = product(x, name, columns, outWidth)
    if (biases.includes(group)) y = g.op('Add', [y, weight(`${name}.bias`)])
    if (owes) {
      // MatMulNBits takes zero point 8, so each block still owes (minimum + 8·scale) times the sum of its x.
      left.push(blockSums(columns))
      right.push(
        transposed(
          g.op('Add', [asFloat(`${name}.minimums`), g.op('Mul', [asFloat(`${name}.scales`), g.float32([8])])]),
        ),
      )
    }
    if (left.length === 0) return y
    let low = g.op('MatMul', [x, concat(left, 1)])
    if (gate) low = g.op('Mul', [low, gates(partRows.length * adapterRank, owes ? columns / blockSize : 0)])
    return g.op('Gemm', [low, concat(right, 0), y])
  }
  /** `x [..., columns]` times a stored matrix `[outWidth, columns]`, transposed. */
  const product = (x: string, name: string, columns: number, outWidth: number): string => {
    if (!stored.has(`${name}.quants`)) return g.op('MatMul', [x, transposed(weight(`${name}.weight`))])
    const inputs = [x, weight(`${name}.quants`), asFloat(`${name}.scales`)]
    if (stored.has(`${name}.zeros`)) inputs.push(weight(`${name}.zeros`))
    return g.contrib('MatMulNBits', inputs, {
      K: { int: columns },
      N: { int: outWidth },
      bits: { int: stored.get(`${name}.quants`)!.dims.at(-1) === blockSize ? 8 : 4 },
      block_size: { int: blockSize },
      accuracy_level: { int: 4 },
    })
  }
  const concat = (values: readonly string[], axis: number): string =>
    values.length > 1 ? g.op('Concat', values, { axis: { int: axis } }) : values[0]!
  /** `[columns, columns/32]` that sums blocks of 32. */
  const blockSums = memo((columns: number) => {
    const blocks = columns / blockSize
    const sums = new Float32Array(columns * blocks)
    for (let column = 0; column < columns; column++) sums[column * blocks + Math.floor(column / blockSize)] = 1
    return g.float32(sums, [columns, blocks])
  })
  /** `[B·Q, adapted + always]`: the adapter's columns only on denoising rows. */
  const gates = memo((adapted: number, always: number) => {
    const open = g.op('Expand', [gate!, g.int64([1, adapted])])
    if (!always) return open
    return g.op('Pad', [open, g.int64([0, 0, 0, always]), g.float32([1])])
  })

  const { inverseFrequencies, amplitude } = ropeOf(shape.rope, headDim)
  const rotation = (of: string): { cos: string; sin: string } => {
    const column = g.op('Unsqueeze', [g.op('Cast', [of], { to: { int: 1 } }), g.int64([-1])])
    const angle = g.op('Mul', [column, g.float32(inverseFrequencies, [headDim / 2])]) // [B, T, headDim/2]
    return { cos: g.op('Cos', [angle]), sin: g.op('Sin', [angle]) }
  }
  const here = rotation(positions)
  // Scores are divided by √headDim, and some scalings of RoPE enlarge both query and key: done on the rotation of the
  // query, which is small, once a pass.
  const scale = g.float32([amplitude ** 2 * headDim ** -0.5])
  const hereScaled = { cos: g.op('Mul', [here.cos, scale]), sin: g.op('Mul', [here.sin, scale]) }
  const everywhere = rotation(g.op('Concat', [pastPositions, positions], { axis: { int: 1 } }))
  const rotate = (x: string, { cos, sin }: { cos: string; sin: string }): string =>
    g.op('RotaryEmbedding', [x, cos, sin])
  const groupBias = g.op('Concat', Array(heads / kvHeads).fill(bias), { axis: { int: 2 } }) // [B, 1, groups·Q, P+Q]
  const batchShape = g.op('Shape', [ids]) // [B, Q]
  const headsShape = g.op('Concat', [batchShape, g.int64([heads + 2 * kvHeads, headDim])], { axis: { int: 0 } })
  const queryShape = g.op('Concat', [g.op('Shape', [ids], { end: { int: 1 } }), g.int64([kvHeads, -1, headDim])], {
    axis: { int: 0 },
  })
  const attendedShape = g.op('Concat', [g.op('Shape', [ids], { end: { int: 1 } }), g.int64([heads, -1, headDim])], {
    axis: { int: 0 },
  })

  let x = embed()
  let h = norm(x, 'layers.0.input_layernorm')
  for (let layer = 0; layer < layers; layer++) {
    const ofHeads = g.op('Reshape', [linear(h, layer, 'qkv'), headsShape])
    const byHead = g.op('Transpose', [ofHeads], { perm: { ints: [0, 2, 1, 3] } }) // [B, heads + 2 · kvHeads, Q, headDim]
    const [q, k, newValue] = split(byHead, [heads, kvHeads, kvHeads], 1) as [string, string, string]
    const normed = (x: string, name: string): string => (queryKeyNorm ? norm(x, `layers.${layer}.${name}`) : x) // over headDim, the last axis
    const newKey = normed(k, 'key_norm')
    const past = { type: 'float32', dims: ['B', kvHeads, 'P', headDim] } as const
    const pastKey = g.input({ name: `past.${layer}.key`, ...past })
    const pastValue = g.input({ name: `past.${layer}.value`, ...past })
    const present = { type: 'float32', dims: ['B', kvHeads, 'Q', headDim] } as const
    g.output({ name: `present.${layer}.key`, ...present }, newKey)
    g.output({ name: `present.${layer}.value`, ...present }, newValue)
    const keys = rotate(g.op('Concat', [pastKey, newKey], { axis: { int: 2 } }), everywhere)
    const values = g.op('Concat', [pastValue, newValue], { axis: { int: 2 } })
    // Heads that share a key are rows of one product: [B, kvHeads, groups·Q, headDim].
    const query = g.op('Reshape', [rotate(normed(q, 'query_norm'), hereScaled), queryShape])
    const scores = g.op('MatMul', [query, g.op('Transpose', [keys], { perm: { ints: [0, 1, 3, 2] } })])
    const attended = g.op('MatMul', [
      g.op('Softmax', [g.op('Add', [scores, groupBias])], { axis: { int: -1 } }),
      values,
    ])
    const byRow = g.op('Transpose', [g.op('Reshape', [attended, attendedShape])], { perm: { ints: [0, 2, 1, 3] } })
    const o = linear(g.op('Reshape', [byRow, g.int64([-1, heads * headDim])]), layer, 'o')
    const between = addedAndNormed(x, o, `layers.${layer}.post_attention_layernorm`)
    const [gateRows, up] = split(linear(between.normed, layer, 'gate_up'), [mlp, mlp], -1) as [string, string]
    const silu = g.op('Mul', [gateRows, g.op('Sigmoid', [gateRows])])
    const down = linear(g.op('Mul', [silu, up]), layer, 'down')
    if (layer < layers - 1) {
      const next = addedAndNormed(between.sum, down, `layers.${layer + 1}.input_layernorm`)
      x = next.sum
      h = next.normed
    } else {
      x = g.op('Add', [between.sum, down])
    }
  }
  head()
  return g.finish('lacuna')

  /** `[B·Q, width]` */
  function embed(): string {
    const flatIds = g.op('Reshape', [ids, g.int64([-1])])
    const known = extraIds ? g.op('Min', [flatIds, g.int64([vocab - 1], true)]) : flatIds
    let x: string
    if (stored.has('embedding.quants')) {
      const blocks = g.op('Sub', [
        g.op('Cast', [g.op('Gather', [weight('embedding.quants'), known])], { to: { int: 1 } }), // [B·Q, blocks, 32]
        g.float32([128]),
      ])
      const scales = g.op('Cast', [g.op('Gather', [weight('embedding.scales'), known])], { to: { int: 1 } })
      x = g.op('Reshape', [g.op('Mul', [blocks, g.op('Unsqueeze', [scales, g.int64([-1])])]), g.int64([-1, width])])
    } else {
      x = g.op('Gather', [weight('embedding.weight'), known])
    }
    if (!extraIds) return x
    const extraIndex = g.op('Max', [g.op('Sub', [flatIds, g.int64([vocab], true)]), g.int64([0], true)])
    const extra = g.op('Gather', [asFloat('embedding.extra'), extraIndex])
    const isExtra = g.op('Unsqueeze', [g.op('GreaterOrEqual', [flatIds, g.int64([vocab], true)]), g.int64([-1])])
    return g.op('Where', [isExtra, extra, x])
  }

  function head(): void {
    const index = g.op('Expand', [
      g.op('Unsqueeze', [rows, g.int64([-1])]),
      g.op('Concat', [g.op('Shape', [rows]), g.int64([width])], { axis: { int: 0 } }),
    ])
    const byBatch = g.op('Reshape', [x, g.op('Concat', [batchShape, g.int64([width])], { axis: { int: 0 } })])
    const asked = norm(g.op('GatherElements', [byBatch, index], { axis: { int: 1 } }), 'norm') // [B, R, width]
    let logits = product(asked, tiedHead ? 'embedding' : 'head', width, vocab)
    if (extraHeadRows) {
      logits = g.op('Concat', [logits, g.op('MatMul', [asked, transposed(asFloat('head.extra'))])], {
        axis: { int: -1 },
      })
    }
    const logProbs = g.op('LogSoftmax', [logits], { axis: { int: -1 } }) // [B, R, columns]
    const [topLogProbs, topIds] = g.ops('TopK', [logProbs, g.int64([topCount])], 2, { axis: { int: -1 } }) as [
      string,
      string,
    ]
    const entropy = g.op('Neg', [
      g.op('ReduceSum', [g.op('Mul', [g.op('Exp', [logProbs]), logProbs]), g.int64([-1])], { keepdims: { int: 0 } }),
    ])
    const score = g.op('GatherElements', [logProbs, g.op('Unsqueeze', [scoreIds, g.int64([-1])])], {
      axis: { int: -1 },
    })
    const set = g.op('ReduceLogSumExp', [g.op('Gather', [logProbs, setIds], { axis: { int: 2 } }), g.int64([-1])], {
      keepdims: { int: 0 },
    })
    g.output({ name: 'top_ids', type: 'int64', dims: ['B', 'R', topCount] }, topIds)
    g.output({ name: 'top_logprobs', type: 'float32', dims: ['B', 'R', topCount] }, topLogProbs)
    g.output({ name: 'entropy', type: 'float32', dims: ['B', 'R'] }, entropy)
    g.output({ name: 'score_logprobs', type: 'float32', dims: ['B', 'R'] }, g.op('Squeeze', [score, g.int64([-1])]))
    g.output({ name: 'set_logprobs', type: 'float32', dims: ['B', 'R'] }, set)
    g.output({ name: 'logits', type: 'float32', dims: ['B', 'R', columnCount] }, logits)
  }
}

function memo<Arguments extends number[]>(make: (...args: Arguments) => string): (...args: Arguments) => string {
  const made = new Map<string, string>()
  return (...args) => {
    const key = args.join()
    const value = made.get(key) ?? make(...args)
    made.set(key, value)
    return value
  }
}
