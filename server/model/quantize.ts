/**
 * Weights in blocks of 32 that share a scale: Q4_1 (`scale · q + minimum`, q 0…15) and Q8_0 (`scale · (q − 128)`,
 * q 1…255), scales and minimums in half precision.
 *
 * Weights that were published in such blocks and are read back as float32 are recovered bit by bit; whatever is no such
 * block gets the nearest one found. Knows nothing of tensors or files: a matrix whose rows are a multiple of 32 long is
 * its blocks one after the other.
 */
import { fromHalf, toHalf } from './float16.ts'
import { blockSize } from './graph.ts'

export interface Q4Blocks {
  readonly quants: Uint8Array<ArrayBuffer> // [blocks · 16], weight 2i in the low half of byte i
  readonly scales: Uint16Array<ArrayBuffer> // [blocks], half precision
  readonly minimums: Uint16Array<ArrayBuffer> // [blocks], half precision
  readonly exactBlocks: number // blocks that stand for the very same float32 numbers
  readonly squaredError: number // summed over all weights
}

export interface Q8Blocks {
  readonly quants: Uint8Array<ArrayBuffer> // [blocks · 32]
  readonly scales: Uint16Array<ArrayBuffer> // [blocks], half precision
  readonly exactBlocks: number
  readonly squaredError: number
}

const infiniteHalf = 0x7c00

/**
 * @param weights `[blocks · 32]`
 * @throws {RangeError} for a weight that is not finite or too large for half precision.
 */
export function quantizeQ4(weights: Float32Array): Q4Blocks {
  const blocks = blockCount(weights)
  const quants = new Uint8Array(weights.length / 2)
  const scales = new Uint16Array(blocks)
  const minimums = new Uint16Array(blocks)
  const levels = new Uint8Array(blockSize)
  let [exactBlocks, squaredError] = [0, 0]
  for (let block = 0; block < blocks; block++) {
    const first = block * blockSize
    const { low, high } = extent(weights, first)
    let minimum = toHalf(low)
    let scale = q4Scale(weights, first, high - low, fromHalf(minimum), levels)
    if (scale >= 0) exactBlocks++
    else {
      const fit = fitQ4(weights, first, low, high, levels)
      scale = fit.scale
      minimum = fit.minimum
      squaredError += fit.error
    }
    for (let i = 0; i < blockSize / 2; i++) quants[block * 16 + i] = levels[2 * i]! | (levels[2 * i + 1]! << 4)
    scales[block] = scale
    minimums[block] = minimum
  }
  return { quants, scales, minimums, exactBlocks, squaredError }
}

/** The scale with which every weight is exactly on a level, `levels` filled; −1 when there is none. */
function q4Scale(weights: Float32Array, first: number, range: number, minimum: number, levels: Uint8Array): number {
  const nearest = toHalf(range / 15)
  if (levelsAreExact(weights, first, fromHalf(nearest), minimum, levels)) return nearest
  // (max − min) / 15 carries the rounding of the largest weight, which can tip it over to the next half.
  for (const scale of [nearest + 1, nearest - 1]) {
    if (scale < 0 || scale >= infiniteHalf) continue
    if (levelsAreExact(weights, first, fromHalf(scale), minimum, levels)) return scale
  }
  return -1
}

function levelsAreExact(
  weights: Float32Array,
  first: number,
  scale: number,
  minimum: number,
  levels: Uint8Array,
): boolean {
  const perLevel = scale === 0 ? 0 : 1 / scale
  for (let i = 0; i < blockSize; i++) {
    const weight = weights[first + i]!
    const level = Math.round((weight - minimum) * perLevel)
    if (!(level >= 0 && level <= 15 && Math.fround(Math.fround(scale * level) + minimum) === weight)) return false
    levels[i] = level
  }
  return true
}

/**
 * Least squares: from three ranges, levels and the line through them in turn, each line rounded to halves first.
 *
 * @returns scale and minimum as halves; `levels` filled.
 */
function fitQ4(
  weights: Float32Array,
  first: number,
  low: number,
  high: number,
  levels: Uint8Array,
): { scale: number; minimum: number; error: number } {
  let best: [number, number] = [0, 0]
  let bestError = Number.POSITIVE_INFINITY
  for (const kept of [1, 0.92, 0.84]) {
    const cut = ((high - low) * (1 - kept)) / 2
    let minimum = low + cut
    let scale = (high - low - 2 * cut) / 15
    for (let round = 0; round < 3; round++) {
      const scaleHalf = toHalf(scale)
      const minimumHalf = toHalf(minimum)
      scale = fromHalf(scaleHalf)
      minimum = fromHalf(minimumHalf)
      const perLevel = scale === 0 ? 0 : 1 / scale
      let [error, sumLevel, sumSquare, sumWeight, sumProduct] = [0, 0, 0, 0, 0]
      for (let i = 0; i < blockSize; i++) {
        const weight = weights[first + i]!
        const level = clamp(Math.round((weight - minimum) * perLevel), 0, 15)
        error += (weight - (scale * level + minimum)) ** 2
        sumLevel += level
        sumSquare += level * level
        sumWeight += weight
        sumProduct += level * weight
      }
      if (error < bestError) {
        bestError = error
        best = [scaleHalf, minimumHalf]
      }
      const spread = blockSize * sumSquare - sumLevel * sumLevel
      if (spread === 0) break
      scale = Math.max(0, (blockSize * sumProduct - sumLevel * sumWeight) / spread)
      minimum = (sumWeight - scale * sumLevel) / blockSize
    }
  }
  if (!Number.isFinite(bestError))
    throw new RangeError(`weights from ${low} to ${high} are too large for half precision`)
  const scale = fromHalf(best[0])
  const minimum = fromHalf(best[1])
  for (let i = 0; i < blockSize; i++) {
    levels[i] = scale === 0 ? 0 : clamp(Math.round((weights[first + i]! - minimum) / scale), 0, 15)
  }
  return { scale: best[0], minimum: best[1], error: bestError }
}

/**
 * @param weights `[blocks · 32]`
 * @throws {RangeError} for a weight that is not finite or too large for half precision.
 */
export function quantizeQ8(weights: Float32Array): Q8Blocks {
  const blocks = blockCount(weights)
  const quants = new Uint8Array(weights.length)
  const scales = new Uint16Array(blocks)
  let [exactBlocks, squaredError] = [0, 0]
  for (let block = 0; block < blocks; block++) {
    const first = block * blockSize
    const { low, high } = extent(weights, first)
    const nearest = toHalf(Math.max(-low, high) / 127)
    if (nearest >= infiniteHalf) throw new RangeError(`weights from ${low} to ${high} are too large for half precision`)
    const exact = [nearest, nearest + 1, nearest - 1].find(
      (half) => half >= 0 && half < infiniteHalf && isExactQ8(weights, first, half),
    )
    squaredError += fillQ8(weights, first, exact ?? nearest, quants)
    if (exact !== undefined) exactBlocks++
    scales[block] = exact ?? nearest
  }
  return { quants, scales, exactBlocks, squaredError }
}

function isExactQ8(weights: Float32Array, first: number, scaleHalf: number): boolean {
  const scale = fromHalf(scaleHalf)
  const perLevel = scale === 0 ? 0 : 1 / scale
  for (let i = first; i < first + blockSize; i++) {
    if (Math.fround(scale * levelQ8(weights[i]! * perLevel)) !== weights[i]) return false
  }
  return true
}

/** Nearest levels of one block; the squared error. */
function fillQ8(weights: Float32Array, first: number, scaleHalf: number, quants: Uint8Array): number {
  const scale = fromHalf(scaleHalf)
  const perLevel = scale === 0 ? 0 : 1 / scale
  let error = 0
  for (let i = first; i < first + blockSize; i++) {
    const level = levelQ8(weights[i]! * perLevel)
    const off = Math.fround(scale * level) - weights[i]!
    error += off * off
    quants[i] = level + 128
  }
  return error
}

function levelQ8(steps: number): number {
  const level = Math.floor(steps + 0.5)
  return level < -127 ? -127 : level > 127 ? 127 : level
}

/** The float32 numbers that Q4_1 blocks stand for. */
export function dequantizeQ4({
  quants,
  scales,
  minimums,
}: Pick<Q4Blocks, 'quants' | 'scales' | 'minimums'>): Float32Array<ArrayBuffer> {
  const weights = new Float32Array(quants.length * 2)
  for (let block = 0; block < scales.length; block++) {
    const scale = fromHalf(scales[block]!)
    const minimum = fromHalf(minimums[block]!)
    for (let i = 0; i < blockSize / 2; i++) {
      const pair = quants[block * 16 + i]!
      weights[block * blockSize + 2 * i] = Math.fround(scale * (pair & 15)) + minimum
      weights[block * blockSize + 2 * i + 1] = Math.fround(scale * (pair >> 4)) + minimum
    }
  }
  return weights
}

/** The float32 numbers that Q8_0 blocks stand for. */
export function dequantizeQ8({ quants, scales }: Pick<Q8Blocks, 'quants' | 'scales'>): Float32Array<ArrayBuffer> {
  const weights = new Float32Array(quants.length)
  for (let i = 0; i < quants.length; i++) weights[i] = fromHalf(scales[Math.floor(i / blockSize)]!) * (quants[i]! - 128)
  return weights
}

function blockCount(weights: Float32Array): number {
  if (weights.length % blockSize !== 0)
    throw new RangeError(`${weights.length} weights are no whole blocks of ${blockSize}`)
  return weights.length / blockSize
}

/** @throws {RangeError} for a block with NaN or Infinity in it. */
export function extent(weights: Float32Array, first: number): { low: number; high: number } {
  let low = weights[first]!
  let high = low
  let sum = 0 // NaN or infinite if a weight is
  for (let i = first; i < first + blockSize; i++) {
    const weight = weights[i]!
    sum += weight
    if (weight < low) low = weight
    if (weight > high) high = weight
  }
  if (!Number.isFinite(sum)) throw new RangeError(`weight block ${first / blockSize} holds NaN or Infinity`)
  return { low, high }
}

function clamp(value: number, low: number, high: number): number {
  return Math.max(low, Math.min(high, value))
}
