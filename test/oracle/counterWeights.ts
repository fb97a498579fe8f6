/**
 * Weights from a counter: value i of a tensor is a pure function of (seed, tensor name, i), the same float32 bits here
 * and in `counterWeights.py`, which says how. So reference numbers need no committed weights.
 */

const spread = Math.sqrt((65536 ** 2 - 1) / 3) // standard deviation of the sum of four 16-bit halves
const middle = (4 * 65535) / 2

/** MurmurHash3's finalizer, one to one on 32 bits; the result may be negative. */
function mix(word: number): number {
  let mixed = Math.imul(word ^ (word >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return mixed ^ (mixed >>> 16)
}

function fnv1a(text: string): number {
  let value = 0x811c9dc5
  for (const byte of new TextEncoder().encode(text)) value = Math.imul(value ^ byte, 0x01000193)
  return value
}

const keyOf = (seed: number, name: string): number => mix(fnv1a(name) ^ mix(seed))

/** Words `first` to `first + count` of a stream. */
export function counterWords(seed: number, name: string, first: number, count: number): Uint32Array {
  const key = keyOf(seed, name)
  return Uint32Array.from({ length: count }, (_, i) => mix((mix(first + i) + key) | 0))
}

/** `[count]`, near-normal. */
export function counterFloats(
  seed: number,
  name: string,
  count: number,
  { mean, deviation }: WeightScale,
): Float32Array<ArrayBuffer> {
  const key = keyOf(seed, name)
  const step = deviation / spread
  const values = new Float32Array(count)
  for (let i = 0; i < count; i++) {
    const a = mix((mix(2 * i) + key) | 0)
    const b = mix((mix(2 * i + 1) + key) | 0)
    values[i] = mean + ((a & 0xffff) + (a >>> 16) + (b & 0xffff) + (b >>> 16) - middle) * step
  }
  return values
}

/** `[count]` ids below `limit`. */
export function counterIds(seed: number, name: string, count: number, limit: number): number[] {
  return Array.from(counterWords(seed, name, 0, count), (word) => word % limit)
}

export interface WeightScale {
  readonly mean: number
  readonly deviation: number
}

/** From a weight's name and dims: what keeps a random network's activations and logits in range. */
export function weightScale(name: string, dims: readonly number[]): WeightScale {
  if (dims.length === 1) return name.endsWith('.bias') ? { mean: 0, deviation: 0.5 } : { mean: 1, deviation: 0.25 }
  const vocabulary = ['embed_tokens', 'lm_head', 'wte', 'transformer.ff_out'].some((part) => name.includes(part))
  return { mean: 0, deviation: (vocabulary ? 3 : 1.2) / Math.sqrt(dims.at(-1)!) }
}

/** The tensor `name`, of shape `dims`, in row-major order. */
export function counterWeight(seed: number, name: string, dims: readonly number[]): Float32Array<ArrayBuffer> {
  const count = dims.reduce((product, dim) => product * dim, 1)
  return counterFloats(seed, name, count, weightScale(name, dims))
}

/** Of the bits: sum of bits[i] · (2i + 1), modulo 2³². */
export function checksum(values: Float32Array): number {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length)
  let sum = 0
  for (let i = 0; i < bits.length; i++) sum = (sum + Math.imul(bits[i]!, 2 * i + 1)) | 0
  return sum >>> 0
}
