import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fromHalf, fromHalves, toHalf, toHalves } from '../../server/model/float16.ts'

test('every half survives the way to float32 and back', () => {
  for (let half = 0; half < 0x10000; half++) {
    const value = fromHalf(half)
    if (Number.isNaN(value)) expect(Number.isNaN(fromHalf(toHalf(value)))).toBe(true)
    else if (toHalf(value) !== half) expect.fail(`${half} came back as ${toHalf(value)}`)
  }
})

test('known numbers have the bits that IEEE 754 gives them', () => {
  const cases: readonly (readonly [number, number])[] = [
    [0, 0],
    [-0, 0x8000],
    [1, 0x3c00],
    [-2, 0xc000],
    [65504, 0x7bff],
    [65519.99, 0x7bff],
    [65520, 0x7c00],
    [Number.NEGATIVE_INFINITY, 0xfc00],
    [2 ** -14, 0x0400],
    [2 ** -24, 0x0001],
    [2 ** -25, 0x0000], // a tie, to even
    [1.5 * 2 ** -24, 0x0002], // a tie, to even
    [1 + 2 ** -11, 0x3c00], // a tie, to even
    [1 + 3 * 2 ** -11, 0x3c02], // a tie, to even
    [1 / 3, 0x3555],
  ]
  for (const [value, half] of cases) expect(toHalf(value), String(value)).toBe(half)
})

test('no other half is nearer', () => {
  fc.assert(
    fc.property(fc.float({ noNaN: true, min: -65504, max: 65504 }), (value) => {
      const half = toHalf(value)
      const distance = Math.abs(fromHalf(half) - value)
      const magnitude = half & 0x7fff
      for (const other of [magnitude + 1, magnitude - 1]) {
        if (other < 0 || other >= 0x7c00) continue
        const rival = Math.abs(fromHalf(other | (half & 0x8000)) - value)
        expect(distance <= rival).toBe(true)
        if (distance === rival && distance > 0) expect(magnitude & 1).toBe(0)
      }
    }),
  )
})

test('arrays are converted one by one', () => {
  expect([...fromHalves(toHalves(Float32Array.of(0.5, -1.25, 3)))]).toEqual([0.5, -1.25, 3])
})
