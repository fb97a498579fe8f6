/**
 * Four bits a weight in blocks of 32: `scale · (q − zero)`, q and zero 0…15, the scale in half precision. The form that
 * `MatMulNBits` multiplies without further ado; what weights in general get, where `quantize.ts` has Q4_1 for those
 * that were published so.
 */
import { fromHalf, toHalf } from './float16.ts'
import { blockSize } from './graph.ts'
import { extent } from './quantize.ts'

export interface ZeroPointBlocks {
  readonly quants: Uint8Array<ArrayBuffer> // [rows · columns/2], weight 2i in the low half of byte i
  readonly scales: Uint16Array<ArrayBuffer> // [rows · blocks], half precision
  readonly zeros: Uint8Array<ArrayBuffer> // [rows, ⌈blocks/2⌉], block 2i of a row in the low half of byte i
  readonly exactBlocks: number // blocks that stand for the very same float32 numbers
  readonly squaredError: number // summed over all weights
}

/**
 * Every block gets the zero point and scale of the least squared error that is found: from its whole range and from
 * narrower ones, with the zero point where the range puts it and with the ones beside it.
 *
 * @param weights `[rows, columns]`; columns are a multiple of 32.
 * @throws {RangeError} for a weight that is not finite or too large for half precision.
 */
export function quantizeZeroPoints(weights: Float32Array, columns: number): ZeroPointBlocks {
  const blocks = columns / blockSize
  const rows = weights.length / columns
  if (!Number.isInteger(blocks) || !Number.isInteger(rows))
    throw new RangeError(`${weights.length} weights are no rows of ${columns}, in blocks of ${blockSize}`)
  const quants = new Uint8Array(weights.length / 2)
  const scales = new Uint16Array(rows * blocks)
  const zeros = new Uint8Array(rows * Math.ceil(blocks / 2))
  let [exactBlocks, squaredError] = [0, 0]
  for (let row = 0; row < rows; row++) {
    for (let block = 0; block < blocks; block++) {
      const index = row * blocks + block
      const { scaleHalf, zero } = fitBlock(weights, index * blockSize)
      const error = fillBlock(weights, index, scaleHalf, zero, quants)
      if (error === 0) exactBlocks++
      squaredError += error
      scales[index] = scaleHalf
      zeros[row * Math.ceil(blocks / 2) + (block >> 1)]! |= block & 1 ? zero << 4 : zero
    }
  }
  return { quants, scales, zeros, exactBlocks, squaredError }
}

/** Nearest levels of one block; the squared error. */
function fillBlock(weights: Float32Array, index: number, scaleHalf: number, zero: number, quants: Uint8Array): number {
  const scale = fromHalf(scaleHalf)
  const perLevel = scale === 0 ? 0 : 1 / scale
  let error = 0
  for (let i = 0; i < blockSize; i++) {
    const weight = weights[index * blockSize + i]!
    const q = level(weight * perLevel, zero)
    const off = weight - scale * (q - zero)
    error += off * off
    quants[index * 16 + (i >> 1)]! |= i & 1 ? q << 4 : q
  }
  return error
}

const ranges = [1, 0.94, 0.88, 0.8] // of the block's, tried one by one

function fitBlock(weights: Float32Array, first: number): { scaleHalf: number; zero: number } {
  const { low, high } = extent(weights, first)
  const [from, to] = [Math.min(low, 0), Math.max(high, 0)]
  if (from === to) return { scaleHalf: 0, zero: 8 }
  const byRange = Math.round((-15 * from) / (to - from))
  let [best, bestScale, bestZero] = [Number.POSITIVE_INFINITY, 0, 8]
  for (const kept of ranges) {
    const scale = ((to - from) / 15) * kept
    for (let zero = Math.max(0, byRange - 1); zero <= Math.min(15, byRange + 1); zero++) {
      const perLevel = 1 / scale
      let [product, square] = [0, 0]
      for (let i = first; i < first + blockSize; i++) {
        const weight = weights[i]!
        const steps = level(weight * perLevel, zero) - zero
        product += weight * steps
        square += steps * steps
      }
      // Σ(w − s·q)² = Σw² − 2s·Σwq + s²·Σq², least at s = Σwq / Σq²; Σw² is the same for all.
      if (square > 0 && -product * (product / square) < best) {
        best = -product * (product / square)
        bestScale = product / square
        bestZero = zero
      }
    }
  }
  const scaleHalf = toHalf(bestScale)
  if (scaleHalf < infiniteHalf) return { scaleHalf, zero: bestZero }
  throw new RangeError(`weights from ${low} to ${high} are too large for half precision`)
}

const infiniteHalf = 0x7c00

/** Nearest of 0…15; written out, since `Math.round` takes most of the time otherwise. */
function level(steps: number, zero: number): number {
  const q = steps + zero + 0.5
  return q <= 0 ? 0 : q >= 15 ? 15 : q | 0
}

/** The float32 numbers that the blocks stand for. */
export function dequantizeZeroPoints(
  { quants, scales, zeros }: Pick<ZeroPointBlocks, 'quants' | 'scales' | 'zeros'>,
  columns: number,
): Float32Array<ArrayBuffer> {
  const weights = new Float32Array(quants.length * 2)
  const blocks = columns / blockSize
  for (let index = 0; index < scales.length; index++) {
    const [row, block] = [Math.floor(index / blocks), index % blocks]
    const pair = zeros[row * Math.ceil(blocks / 2) + (block >> 1)]!
    const zero = block & 1 ? pair >> 4 : pair & 15
    const scale = fromHalf(scales[index]!)
    for (let i = 0; i < blockSize / 2; i++) {
      const byte = quants[index * 16 + i]!
      weights[index * blockSize + 2 * i] = scale * ((byte & 15) - zero)
      weights[index * blockSize + 2 * i + 1] = scale * ((byte >> 4) - zero)
    }
  }
  return weights
}
