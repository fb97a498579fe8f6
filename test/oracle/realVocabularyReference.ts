/**
 * Qwen3's network in float64, as plainly as possible: what the graph computes, with nothing of the graph in it. All rows
 * see each other.
 */
import type { Safetensors } from '../../server/model/safetensors.ts'

export interface Qwen3Config {
  readonly hidden_size: number
  readonly num_attention_heads: number
  readonly num_key_value_heads: number
  readonly head_dim: number
  readonly intermediate_size: number
  readonly num_hidden_layers: number
  readonly rms_norm_eps: number
  readonly rope_theta: number
}

/** Logits of the asked rows, `[asked][vocab]`; the head is the embedding. */
export async function qwen3Logits(
  weights: Safetensors,
  config: Qwen3Config,
  ids: readonly number[],
  asked: readonly number[],
): Promise<Float64Array[]> {
  const { num_attention_heads: heads, num_key_value_heads: kvHeads, head_dim: headDim, rms_norm_eps: eps } = config
  const embedding = await weights.read('model.embed_tokens.weight')
  const width = config.hidden_size
  let rows: Float64Array[] = ids.map((id) => Float64Array.from(embedding.subarray(id * width, (id + 1) * width)))
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const read = (name: string) => weights.read(`model.layers.${layer}.${name}.weight`)
    const [q, k, v, o] = await Promise.all(['q', 'k', 'v', 'o'].map((part) => read(`self_attn.${part}_proj`)))
    const [queryNorm, keyNorm] = [await read('self_attn.q_norm'), await read('self_attn.k_norm')]
    const inputNorm = await read('input_layernorm')
    const inputs = rows.map((row) => normed(row, inputNorm, eps))
    const headsOf = (row: Float64Array, norm: Float32Array, position: number): Float64Array[] =>
      split(row, headDim).map((head) => rotated(normed(head, norm, eps), position, config.rope_theta))
    const queries = inputs.map((row, position) => headsOf(product(q!, row), queryNorm, position))
    const keys = inputs.map((row, position) => headsOf(product(k!, row), keyNorm, position))
    const values = inputs.map((row) => split(product(v!, row), headDim))
    rows = rows.map((row, at) => {
      const attended = new Float64Array(heads * headDim)
      for (let head = 0; head < heads; head++) {
        const shared = Math.floor(head / (heads / kvHeads))
        const scores = keys.map((key) => dot(queries[at]![head]!, key[shared]!) / Math.sqrt(headDim))
        const shares = softmax(scores)
        for (const [other, share] of shares.entries())
          for (let i = 0; i < headDim; i++) attended[head * headDim + i]! += share * values[other]![shared]![i]!
      }
      return sum(row, product(o!, attended))
    })
    const [gate, up, down] = await Promise.all(['gate', 'up', 'down'].map((part) => read(`mlp.${part}_proj`)))
    const outputNorm = await read('post_attention_layernorm')
    rows = rows.map((row) => {
      const input = normed(row, outputNorm, eps)
      const upper = product(up!, input)
      const hidden = product(gate!, input).map((value, i) => (value / (1 + Math.exp(-value))) * upper[i]!)
      return sum(row, product(down!, hidden))
    })
  }
  const last = await weights.read('model.norm.weight')
  return asked.map((row) => product(embedding, normed(rows[row]!, last, eps)))
}

function normed(row: Float64Array, weight: Float32Array, eps: number): Float64Array {
  const scale = 1 / Math.sqrt(dot(row, row) / row.length + eps)
  return row.map((value, i) => value * scale * weight[i]!)
}

/** A half-split rotation. */
function rotated(head: Float64Array, position: number, theta: number): Float64Array {
  const half = head.length / 2
  return head.map((value, i) => {
    const angle = position * theta ** (-(i % half) / half)
    return value * Math.cos(angle) + (i < half ? -head[i + half]! : head[i - half]!) * Math.sin(angle)
  })
}

function product(matrix: Float32Array, row: Float64Array): Float64Array {
  const result = new Float64Array(matrix.length / row.length)
  for (let i = 0; i < result.length; i++) {
    const start = i * row.length
    let total = 0
    for (let j = 0; j < row.length; j++) total += matrix[start + j]! * row[j]!
    result[i] = total
  }
  return result
}

function softmax(scores: readonly number[]): number[] {
  const most = Math.max(...scores)
  const weights = scores.map((score) => Math.exp(score - most))
  const total = weights.reduce((a, b) => a + b, 0)
  return weights.map((weight) => weight / total)
}

function dot(a: Float64Array, b: Float64Array): number {
  return a.reduce((total, value, i) => total + value * b[i]!, 0)
}

function sum(a: Float64Array, b: Float64Array): Float64Array {
  return a.map((value, i) => value + b[i]!)
}

function split(row: Float64Array, size: number): Float64Array[] {
  return Array.from({ length: row.length / size }, (_, i) => row.subarray(i * size, (i + 1) * size))
}
