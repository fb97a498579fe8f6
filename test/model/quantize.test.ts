import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fromHalf, toHalf } from '../../server/model/float16.ts'
import { dequantizeQ4, dequantizeQ8, quantizeQ4, quantizeQ8 } from '../../server/model/quantize.ts'
import { normalNumbers } from './randomBundle.ts'

function squaredError(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, i) => sum + (value - b[i]!) ** 2, 0)
}

describe('Q4_1', () => {
  test('published blocks are found again bit by bit', () => {
    const half = fc.float({ noNaN: true, min: -4, max: 4 })
    const level = fc.integer({ min: 0, max: 15 })
    const block = fc.tuple(
      half,
      fc.float({ noNaN: true, min: 0, max: 2 }),
      fc.array(level, { minLength: 32, maxLength: 32 }),
      fc.nat(31),
      fc.nat(31),
    )
    fc.assert(
      fc.property(block, ([minimumValue, scaleValue, levels, lowest, highest]) => {
        fc.pre(lowest !== highest)
        const minimum = fromHalf(toHalf(minimumValue))
        const scale = fromHalf(toHalf(scaleValue))
        const used = levels.with(lowest, 0).with(highest, 15) // a quantiser uses both ends of its range
        const weights = Float32Array.from(used, (q) => Math.fround(scale * q) + minimum)
        const spread = new Set(weights).size === new Set(used).size
        const blocks = quantizeQ4(weights)
        expect(dequantizeQ4(blocks)).toEqual(weights.map((weight) => weight + 0))
        expect(blocks.exactBlocks).toBe(1)
        if (spread)
          expect(Array.from({ length: 32 }, (_, i) => (blocks.quants[i >> 1]! >> (4 * (i & 1))) & 15)).toEqual(used)
      }),
      { numRuns: 500 },
    )
  })

  test('a constant block has scale 0', () => {
    const blocks = quantizeQ4(new Float32Array(32).fill(0.25))
    expect([blocks.scales[0], fromHalf(blocks.minimums[0]!), blocks.exactBlocks]).toEqual([0, 0.25, 1])
    expect(blocks.quants.every((pair) => pair === 0)).toBe(true)
  })

  test('other weights get a better line than from least to greatest', () => {
    const normal = normalNumbers(7)
    const weights = Float32Array.from({ length: 32 * 200 }, normal)
    const blocks = quantizeQ4(weights)
    const naive = Float32Array.from(weights, (weight, i) => {
      const block = weights.subarray(i - (i % 32), i - (i % 32) + 32)
      const minimum = fromHalf(toHalf(block.reduce((a, b) => Math.min(a, b))))
      const scale = fromHalf(toHalf((block.reduce((a, b) => Math.max(a, b)) - minimum) / 15))
      return scale * Math.min(15, Math.max(0, Math.round((weight - minimum) / scale))) + minimum
    })
    const error = squaredError(dequantizeQ4(blocks), weights)
    expect(blocks.exactBlocks).toBe(0)
    expect(error).toBeLessThan(0.95 * squaredError(naive, weights))
    expect(error / weights.length).toBeLessThan(0.01) // of variance 1
  })

  test('what is quantised twice stays as it is', () => {
    const normal = normalNumbers(8)
    const once = dequantizeQ4(quantizeQ4(Float32Array.from({ length: 320 }, normal)))
    expect(dequantizeQ4(quantizeQ4(once))).toEqual(once)
  })

  test('numbers that no half can hold are refused', () => {
    expect(() => quantizeQ4(new Float32Array(32).fill(Number.NaN))).toThrow('block 0 holds NaN')
    expect(() => quantizeQ4(Float32Array.from({ length: 32 }, (_, i) => i * 1e5))).toThrow(
      'too large for half precision',
    )
    expect(() => quantizeQ4(new Float32Array(33))).toThrow('no whole blocks')
  })
})

describe('Q8_0', () => {
  test('published blocks are found again bit by bit', () => {
    const level = fc.integer({ min: -127, max: 127 })
    fc.assert(
      fc.property(
        fc.float({ noNaN: true, min: 0, max: 2 }),
        fc.array(level, { minLength: 32, maxLength: 32 }),
        (scaleValue, levels) => {
          const scale = fromHalf(toHalf(scaleValue))
          const weights = Float32Array.from(levels.with(5, 127), (q) => scale * q + 0)
          const blocks = quantizeQ8(weights)
          expect(blocks.exactBlocks).toBe(1)
          expect(dequantizeQ8(blocks)).toEqual(weights)
        },
      ),
      { numRuns: 500 },
    )
  })

  test('other weights are off by half a level at most', () => {
    const normal = normalNumbers(9)
    const weights = Float32Array.from({ length: 320 }, normal)
    const blocks = quantizeQ8(weights)
    const back = dequantizeQ8(blocks)
    weights.forEach((weight, i) => {
      expect(Math.abs(weight - back[i]!)).toBeLessThanOrEqual(fromHalf(blocks.scales[i >> 5]!) * 0.5625) // 127 levels of a rounded scale
    })
  })
})
