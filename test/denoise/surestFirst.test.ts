import { describe, expect, test } from 'vitest'
import type { Clamp, CommitRules } from '../../server/denoise/commitRules.ts'
import { commitUpToEnd } from '../../server/denoise/endToken.ts'
import { openSampler, type Schedule } from '../../server/denoise/schedule.ts'
import { canvasOf, end, mask, prediction, type Row, row, rules, signs, tops } from './signs.ts'

const parallel: Schedule = { kind: 'surest-first', threshold: 0.9 }
const single: Schedule = { kind: 'surest-first', threshold: 1 }

/** Commits into `before` what the rows say of its open slots. */
function check(
  before: string,
  rows: readonly Row[],
  wanted: { after?: string; outcome: string; rules?: Partial<CommitRules>; schedule?: Schedule },
): void {
  const { schedule = parallel } = wanted
  const canvas = canvasOf(before)
  const all = { ...rules, ...wanted.rules }
  const sampler = openSampler(schedule, 0)
  const asked = sampler.ask(canvas.openSlots())
  const picks = sampler.pick(canvas, asked, prediction(...rows), all)
  const outcome = commitUpToEnd(canvas, picks)
  expect({ outcome, after: signs(canvas) }).toEqual({ outcome: wanted.outcome, after: wanted.after ?? before })
}

test('asks all open slots', () => {
  expect(openSampler(parallel, 0).ask(canvasOf('1_2__3__').openSlots())).toEqual([1, 3, 4, 6, 7])
  expect(openSampler(parallel, 0).ask(canvasOf('11').openSlots())).toEqual([])
})

describe('commits', () => {
  test('the surest, wherever it is and however unsure', () =>
    check('____', [row(1, 0.1), row(2, 0.2), row(3, 0.4), row(4, 0.3)], { after: '__3_', outcome: 'open' }))

  test('the leftmost of equals', () =>
    check('1___', [row(2, 0.3), row(3, 0.4), row(4, 0.4)], { after: '1_3_', outcome: 'open' }))

  test('all that reach the threshold', () =>
    check('_____', [row(1, 0.95), row(2, 0.2), row(3, 0.9), row(4, 0.89), row(5, 1)], {
      after: '1_3_5',
      outcome: 'open',
    }))

  test('one alone where the threshold is 1, even of several that are rounded to 1', () =>
    check('___', [row(1, 0.5), row(2, 1), row(3, 1)], { after: '_2_', outcome: 'open', schedule: single }))

  test('the last open slot, and says that the canvas is filled', () =>
    check('12_4', [row(3, 0.1)], { after: '1234', outcome: 'filled' }))

  test('the best that may be committed, its probability deciding', () =>
    check('__', [tops([mask, 7], [0.9, 0.05]), row(8, 0.1)], { after: '_8', outcome: 'open' }))

  test('others where the leftmost has nothing that may stand there', () =>
    check('___', [tops([mask], [0.9]), row(2, 0.1), row(3, 0.2)], { after: '__3', outcome: 'open' }))

  test('nothing where no slot has, which is to be stuck', () =>
    check('1__', [tops([mask], [0.9]), tops([mask], [0.9])], { outcome: 'stuck' }))

  test('something where numbers are no numbers', () =>
    check('__', [row(1, Number.NaN), row(2, Number.NaN)], { after: '1_', outcome: 'open' }))
})

describe('an end', () => {
  test('is taken at the leftmost open slot where it is the surest', () =>
    check('1__', [tops([2], [0.1], 0.6), row(3, 0.5)], { outcome: 'ended' }))

  test('waits there for a surer slot', () =>
    check('1__', [tops([2], [0.1], 0.4), row(3, 0.5)], { after: '1_3', outcome: 'open' }))

  test('is never taken right of an open slot, however sure', () =>
    check('___', [row(1, 0.2), row(2, 0.3), tops([3], [0.001], 0.99)], { after: '_2_', outcome: 'open' }))

  test('is not the surest where it cannot be taken', () =>
    check('___', [row(1, 0.2), tops([2], [0.001], 0.99), row(3, 0.3)], { after: '__3', outcome: 'open' }))

  test('is taken with the slots left of it, all of them sure; what is right of it stays open', () =>
    check('____', [row(1, 0.95), row(2, 0.92), tops([3], [0.01], 0.98), row(4, 0.99)], {
      after: '12__',
      outcome: 'ended',
    }))

  test('of several ids counts as one', () => check('_', [tops([1, end], [0.3, 0.2], 0.4)], { outcome: 'ended' }))
})

describe('with known text', () => {
  /** The middle begins with 3, then 4. */
  const clamp: Clamp = {
    isOver: (leading) => leading.length >= 2,
    allows: (leading, id) => id === [3, 4][leading.length],
  }

  test('only the leftmost is committed, to the best that spells it', () =>
    check('____', [tops([1, 3], [0.9, 0.01], 0.95), row(4, 0.99), row(5, 0.99), row(6, 1)], {
      after: '3___',
      outcome: 'open',
      rules: { clamp },
    }))

  test('sure slots join once it is over', () =>
    check('3____', [row(4, 0.01), row(5, 0.5), row(6, 0.95), row(7, 0.2)], {
      after: '34_6_',
      outcome: 'open',
      rules: { clamp },
    }))

  test('no more than one where the threshold is 1', () =>
    check('3____', [row(4, 0.01), row(5, 0.5), row(6, 1), row(7, 0.2)], {
      after: '34___',
      outcome: 'open',
      rules: { clamp },
      schedule: single,
    }))

  test('is stuck where nothing that spells it is among the best', () =>
    check('__', [row(1, 0.9), row(4, 0.9)], { outcome: 'stuck', rules: { clamp } }))

  test('the surest anywhere comes again after it', () =>
    check('34__', [row(5, 0.1), row(6, 0.2)], { after: '34_6', outcome: 'open', rules: { clamp } }))
})
