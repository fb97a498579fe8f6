import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { unasked } from '../../server/session/gaps.ts'
import { isWorthALook, sureRun } from '../../server/session/gate.ts'

const middle = (probabilities: number[]) => ({ ids: probabilities.map((_, i) => i), probabilities })

describe('the sure beginning', () => {
  test('goes as far as the product is at least what is wanted', () => {
    // 0.9, 0.72, 0.36.
    expect(sureRun(middle([0.9, 0.8, 0.5]), 0.7)).toEqual([0, 1])
    expect(sureRun(middle([0.9, 0.8, 0.5]), 0.73)).toEqual([0])
    expect(sureRun(middle([0.9, 0.8, 0.5]), 0.36)).toEqual([0, 1, 2])
    expect(sureRun(middle([0.9, 0.8, 0.5]), 0.95)).toEqual([])
    expect(sureRun(middle([1, 0.5]), 0.5), 'as much as is wanted is enough').toEqual([0, 1])
  })

  test('is everything at 0', () => expect(sureRun(middle([0, 0.1]), 0)).toEqual([0, 1]))
  test('is nothing of nothing', () => expect(sureRun(middle([]), 0.5)).toEqual([]))
})

test('work is given up only where no more of it could be shown', () =>
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (probabilities, showAbove) => {
        const { giveUp, show } = unasked(showAbove)
        let product = 1
        const stopped = probabilities.findIndex((probability) => (product *= probability) < giveUp)
        const known = stopped < 0 ? probabilities : probabilities.slice(0, stopped + 1)
        expect(sureRun(middle(known), show)).toEqual(sureRun(middle(probabilities), show))
      },
    ),
  ))

test.each([
  ['', false],
  [' = ', false],
  ['(', false],
  [' of', false],
  ['one', true],
  [' = 1;', true],
])('whether "%s" is worth a look: %s', (beginning, isWorth) => {
  expect(isWorthALook(beginning)).toBe(isWorth)
})
