import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fromHalf, toHalf } from '../../server/model/float16.ts'
import { dequantizeZeroPoints, quantizeZeroPoints } from '../../server/model/quantizeZeroPoints.ts'
import { normalNumbers } from './randomBundle.ts'

function squaredError(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, i) => sum + (value - b[i]!) ** 2, 0)
}

test('the error it reports is that of the weights it stands for', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 1, max: 3 }),
      fc.nat(1000),
      fc.float({ min: -3, max: 3, noNaN: true }),
      (rows, blocks, seed, mean) => {
        const normal = normalNumbers(seed)
        const weights = Float32Array.from({ length: rows * blocks * 32 }, () => mean + normal())
        const made = quantizeZeroPoints(weights, blocks * 32)
        expect(made.zeros).toHaveLength(rows * Math.ceil(blocks / 2))
        const back = dequantizeZeroPoints(made, blocks * 32)
        expect(made.squaredError / squaredError(back, weights)).toBeCloseTo(1, 4)
      },
    ),
    { numRuns: 50 },
  )
})

test('weights to one side of zero get a zero point of their own, and less error than with 8', () => {
  const normal = normalNumbers(1)
  const weights = Float32Array.from({ length: 64 * 32 }, () => Math.abs(normal()))
  const { zeros, squaredError: error } = quantizeZeroPoints(weights, 64)
  expect(zeros.every((pair) => (pair & 15) < 2 && pair >> 4 < 2)).toBe(true)
  let symmetric = 0
  for (let first = 0; first < weights.length; first += 32) {
    const block = weights.subarray(first, first + 32)
    const scale = fromHalf(toHalf(block.reduce((a, b) => Math.max(a, b)) / 7))
    symmetric += squaredError(
      block.map((weight) => scale * Math.round(weight / scale)),
      block,
    )
  }
  expect(error).toBeLessThan(0.35 * symmetric)
})

test('normal weights get less error than from their range alone', () => {
  const normal = normalNumbers(2)
  const weights = Float32Array.from({ length: 256 * 32 }, () => normal())
  const { squaredError: error, exactBlocks } = quantizeZeroPoints(weights, 256)
  let naive = 0
  for (let first = 0; first < weights.length; first += 32) {
    const block = weights.subarray(first, first + 32)
    const [low, high] = [block.reduce((a, b) => Math.min(a, b)), block.reduce((a, b) => Math.max(a, b))]
    const scale = (high - low) / 15
    const zero = Math.round(-low / scale)
    naive += squaredError(
      block.map((weight) => scale * (Math.min(15, Math.max(0, Math.round(weight / scale) + zero)) - zero)),
      block,
    )
  }
  expect(exactBlocks).toBe(0)
  expect(error).toBeLessThan(0.94 * naive)
  expect(error / weights.length).toBeLessThan(0.01) // of variance 1
})

test('what such blocks can hold is held exactly: zeros, and whole steps', () => {
  const steps = Float32Array.from({ length: 64 }, (_, i) => 0.25 * ((i % 16) - 5))
  const made = quantizeZeroPoints(steps, 64)
  expect([made.exactBlocks, made.squaredError]).toEqual([2, 0])
  expect(dequantizeZeroPoints(made, 64)).toEqual(steps)
  const none = quantizeZeroPoints(new Float32Array(32), 32)
  expect([none.scales[0], none.zeros[0], none.exactBlocks]).toEqual([0, 8, 1])
})

test('numbers that no half can hold are refused', () => {
  expect(() => quantizeZeroPoints(new Float32Array(32).fill(Number.NaN), 32)).toThrow('block 0 holds NaN')
  expect(() => quantizeZeroPoints(new Float32Array(32).fill(1e7), 32)).toThrow('too large for half precision')
  expect(() => quantizeZeroPoints(new Float32Array(48), 48)).toThrow('no rows of 48')
})
