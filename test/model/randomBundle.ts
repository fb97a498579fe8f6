/**
 * A small model with random weights: a Hugging Face folder as `training/bundle.py` writes it, and bundles converted
 * from it. The weights are Q4_1 and Q8_0 numbers, as those of the default model are, so the float32 bundle stands for
 * the same network as the 4-bit one.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { convertModel } from '../../server/model/convert.ts'
import { toHalves } from '../../server/model/float16.ts'
import { groupSize, linearGroups, type ModelShape } from '../../server/model/graph.ts'
import { dequantizeQ4, dequantizeQ8, quantizeQ4, quantizeQ8 } from '../../server/model/quantize.ts'
import { safetensorsBytes, type TensorData } from './writeSafetensors.ts'

export interface RandomModel {
  readonly layers?: number
  readonly width?: number
  readonly heads?: number
  readonly kvHeads?: number
  readonly headDim?: number
  readonly mlp?: number
  readonly adapterRank?: number // 0: no adapter, and mask and end token are rows of the embedding
  readonly logitsShift?: 0 | 1
  readonly attention?: 'causal-context' | 'bidirectional'
}

export interface RandomBundle {
  readonly source: string // the Hugging Face folder
  readonly q4: string
  readonly f32: string
}

export async function randomBundle(dir: string, options: RandomModel, seed: number): Promise<RandomBundle> {
  const folders = { source: join(dir, 'source'), q4: join(dir, 'q4'), f32: join(dir, 'f32') }
  await randomFolder(folders.source, options, seed)
  await convertModel(folders.source, folders.q4, { quant: 'q4', name: 'random' })
  await convertModel(folders.source, folders.f32, { quant: 'f32', name: 'random' })
  return folders
}

/** The Hugging Face folder alone. */
export async function randomFolder(dir: string, options: RandomModel, seed: number): Promise<void> {
  const { layers = 2, width = 64, heads = 2, kvHeads = 1, headDim = 32, mlp = 128, adapterRank = 4 } = options
  const { logitsShift = 1, attention = 'causal-context' } = options
  const tokens = smallVocabulary()
  const vocab = tokens.length + (adapterRank ? 0 : 2)
  const [endId, maskId] = [tokens.length, tokens.length + 1]
  const normal = normalNumbers(seed)
  const draw = (count: number, deviation: number, mean = 0): Float32Array<ArrayBuffer> =>
    Float32Array.from({ length: count }, () => mean + deviation * normal())

  const sizes = {
    ...{ layers, width, heads, kvHeads, headDim, mlp, vocab, adapterRank },
    ...{ rope: { theta: 10000 }, normEps: 1e-5, queryKeyNorm: false, biases: [], tiedHead: true },
    ...{ extraIds: 0, extraHeadRows: 0 },
  } satisfies ModelShape
  const model = new Map<string, TensorData>()
  const adapter = new Map<string, TensorData>()
  const halves = (name: string, dims: readonly [number, number], deviation: number): void =>
    void adapter.set(name, { type: 'F16', dims, data: toHalves(draw(dims[0] * dims[1], deviation)) })

  model.set('model.embed_tokens.weight', {
    type: 'F32',
    dims: [vocab, width],
    data: dequantizeQ8(quantizeQ8(draw(vocab * width, 1))),
  })
  model.set('model.norm.weight', { type: 'F32', dims: [width], data: draw(width, 0.1, 1) })
  if (adapterRank) {
    halves('lm_head.extra.weight', [1, width], 1)
    halves('model.embed_tokens.extra.weight', [2, width], 1)
  }
  for (let layer = 0; layer < layers; layer++) {
    for (const norm of ['input_layernorm', 'post_attention_layernorm']) {
      model.set(`model.layers.${layer}.${norm}.weight`, { type: 'F32', dims: [width], data: draw(width, 0.1, 1) })
    }
    for (const { name, parts } of linearGroups) {
      const { rows, columns } = groupSize(sizes, name)
      parts.forEach((part, i) => {
        const data = dequantizeQ4(quantizeQ4(draw(rows[i]! * columns, columns ** -0.5)))
        model.set(`model.layers.${layer}.${part}.weight`, { type: 'F32', dims: [rows[i]!, columns], data })
        if (!adapterRank) return
        halves(`model.layers.${layer}.${part}.lora_A.weight`, [adapterRank, columns], columns ** -0.5)
        halves(`model.layers.${layer}.${part}.lora_B.weight`, [rows[i]!, adapterRank], adapterRank ** -0.5)
      })
    }
  }

  const targets = linearGroups.flatMap(({ parts }) => parts.map((part) => part.split('.')[1]!))
  const config = {
    model_type: 'llama',
    hidden_size: width,
    intermediate_size: mlp,
    num_attention_heads: heads,
    num_key_value_heads: kvHeads,
    num_hidden_layers: layers,
    head_dim: headDim,
    hidden_act: 'silu',
    max_position_embeddings: 2048,
    rms_norm_eps: sizes.normEps,
    rope_theta: sizes.rope.theta,
    tie_word_embeddings: true,
    vocab_size: vocab,
    infill: {
      attention,
      logits_shift: logitsShift,
      mask_token_id: maskId,
      end_token_ids: [endId],
      forbidden_token_ids: specialTokens.map((_, id) => id),
      document_start_id: 0,
      length_mode: 'end-token',
      canvas_sizes: [4, 8],
      threshold: 0.9,
      window: 4,
      languages: ['python'],
      ...(adapterRank && { adapter: { rank: adapterRank, targets } }),
      licence: 'Apache-2.0',
      origin: `random numbers, seed ${seed}`,
    },
  }
  await mkdir(dir, { recursive: true })
  await writeFile(join(dir, 'model.safetensors'), safetensorsBytes(model))
  if (adapterRank) await writeFile(join(dir, 'adapter_model.safetensors'), safetensorsBytes(adapter))
  await writeFile(join(dir, 'config.json'), JSON.stringify(config))
  await writeFile(join(dir, 'tokenizer.json'), JSON.stringify(smallTokenizer()))
}

const specialTokens = ['<|endoftext|>', '<|im_start|>', '<|im_end|>']
const merges = [
  'Ġ Ġ',
  'ĠĠ ĠĠ',
  'r e',
  't u',
  're tu',
  'retu r',
  'retur n',
  'd e',
  'de f',
  's e',
  'se l',
  'sel f',
  'i n',
  'p r',
  'pr in',
  'prin t',
]

/** Special tokens, 256 bytes, a few pieces of Python. */
function smallVocabulary(): string[] {
  return [...specialTokens, ...byteCharacters(), ...merges.map((pair) => pair.replace(' ', ''))]
}

/** `tokenizer.json` of a byte-level BPE in the manner of GPT-2. */
export function smallTokenizer() {
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true }
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true }
  return {
    version: '1.0',
    added_tokens: specialTokens.map((content, id) => ({ id, content, ...flags })),
    normalizer: null,
    pre_tokenizer: { type: 'Sequence', pretokenizers: [{ type: 'Digits', individual_digits: true }, byteLevel] },
    post_processor: null,
    decoder: byteLevel,
    model: {
      type: 'BPE',
      vocab: Object.fromEntries(smallVocabulary().map((token, id) => [token, id])),
      merges: merges.map((pair) => pair.split(' ')),
    },
  }
}

/** GPT-2's printable stand-ins for the 256 bytes, in order of the bytes. */
function byteCharacters(): string[] {
  let next = 256
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174
    return String.fromCodePoint(printable ? byte : next++)
  })
}

/** Normally distributed numbers from a seed (mulberry32, Box–Muller). */
export function normalNumbers(seed: number): () => number {
  let state = seed >>> 0
  const uniform = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform())
}
