import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { unasked } from '../../server/session/fillGap.ts'
import { exactness, type GateWeights, leastProduct } from '../../server/session/gate.ts'

const weights: GateWeights = { bias: 0.5, tokens: 1.5, end: 0.8 }
const probability = fc.double({ min: 1e-4, max: 1, noNaN: true })

describe('how likely a line is exactly right', () => {
  test('is the logistic of what tokens and end weigh', () => {
    // By hand: 0.5 + 1.5 · ln 0.4 + 0.8 · ln 0.9 = −0.9587.
    expect(exactness({ probabilities: [0.8, 0.5], end: 0.9 }, weights)).toBeCloseTo(1 / (1 + Math.exp(0.9587)), 4)
    expect(exactness({ probabilities: [1, 1, 1], end: 1 }, weights)).toBeCloseTo(1 / (1 + Math.exp(-0.5)), 6)
  })

  test('has an order even where a probability is 0', () => {
    expect(exactness({ probabilities: [0], end: 1 }, weights)).toBeGreaterThanOrEqual(0)
    expect(exactness({ probabilities: [0.1], end: 0 }, weights)).toBeLessThan(1e-6)
  })

  test('rises with each probability', () =>
    fc.assert(
      fc.property(fc.array(probability, { minLength: 1 }), probability, probability, (probabilities, end, less) => {
        const sure = exactness({ probabilities, end })
        expect(exactness({ probabilities: [...probabilities, less], end })).toBeLessThanOrEqual(sure)
        expect(exactness({ probabilities, end: end * less })).toBeLessThanOrEqual(sure)
      }),
    ))
})

describe('where work stops', () => {
  test('is the least product with which a line can still be shown', () =>
    fc.assert(
      fc.property(fc.double({ min: 0.01, max: 0.95, noNaN: true }), (showAbove) => {
        const least = leastProduct(showAbove, weights)
        if (least < 1) expect(exactness({ probabilities: [least], end: 1 }, weights)).toBeCloseTo(showAbove, 6)
        else expect(exactness({ probabilities: [1], end: 1 }, weights)).toBeLessThanOrEqual(showAbove + 1e-9)
      }),
    ))

  test('is nowhere where everything is shown, and at once where nothing is', () => {
    expect(unasked(0)).toEqual({ giveUp: 0, show: 0 })
    expect(unasked(1)).toEqual({ giveUp: 1, show: 1 })
  })

  test('never cuts a beginning that could be shown', () =>
    fc.assert(
      fc.property(probability, (showAbove) => {
        expect(unasked(showAbove).giveUp).toBeLessThanOrEqual(showAbove)
      }),
    ))
})
