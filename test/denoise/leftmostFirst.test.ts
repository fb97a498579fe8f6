import { describe, expect, test } from 'vitest'
import { type Clamp, type CommitRules, clampAfter } from '../../server/denoise/commitRules.ts'
import { commitUpToEnd } from '../../server/denoise/endToken.ts'
import { openSampler, type Schedule } from '../../server/denoise/schedule.ts'
import { canvasOf, end, mask, prediction, row, rules, signs, tops } from './signs.ts'

const schedule: Schedule = { kind: 'leftmost-first', threshold: 0.9, window: 4 }

/** Commits into `before` what the rows say of the slots that are asked there. */
function check(
  before: string,
  rows: Parameters<typeof prediction>,
  wanted: { after?: string; outcome: string; rules?: Partial<CommitRules> },
): void {
  const canvas = canvasOf(before)
  const all = { ...rules, ...wanted.rules }
  const sampler = openSampler(schedule, 0)
  const asked = sampler.ask(canvas.openSlots())
  const picks = sampler.pick(canvas, asked, prediction(...rows), all)
  const outcome = commitUpToEnd(canvas, picks)
  expect({ outcome, after: signs(canvas) }).toEqual({ outcome: wanted.outcome, after: wanted.after ?? before })
}

describe('slotsToAsk', () => {
  const asked = (slots: string) => openSampler(schedule, 0).ask(canvasOf(slots).openSlots())
  test('the open ones of the window', () => expect(asked('1_2__3__')).toEqual([1, 3, 4]))
  test('fewer at the end of the canvas', () => expect(asked('111111_1')).toEqual([6]))
  test('none when nothing is open', () => expect(asked('1111')).toEqual([]))
})

describe('leftmost first', () => {
  test('always commits the leftmost, however unsure', () =>
    check('____', [row(1, 0.01), row(2, 0.1), row(3, 0.1), row(4, 0.1)], { after: '1___', outcome: 'open' }))

  test('commits what is sure enough of the rest of the window, gaps allowed', () =>
    check('_____', [row(1, 0.2), row(2, 0.5), row(3, 0.95), row(4, 0.91)], { after: '1_34_', outcome: 'open' }))

  test('skips slots that are committed already', () =>
    check('1_3__', [row(2, 0.3), row(4, 0.95), row(5, 0.2)], { after: '1234_', outcome: 'open' }))

  test('a sure last slot fills the canvas', () =>
    check('__', [row(1, 0.5), tops([2], [1])], { after: '12', outcome: 'filled' }))

  test('says when the canvas is filled', () => check('12_', [row(3, 0.2)], { after: '123', outcome: 'filled' }))

  test('ends where the ends together are likelier than any token', () =>
    check('_', [tops([1, end, end + 1], [0.3, 0.2, 0.2], 0.4)], { outcome: 'ended' }))

  test('goes on where they are not', () =>
    check('__', [tops([1, end], [0.45, 0.4], 0.4), row(2, 0.1)], { after: '1_', outcome: 'open' }))

  test('an end id alone is never committed as a token, even as the best', () =>
    check('_', [tops([end, 1], [0.4, 0.1], 0.05)], { after: '1', outcome: 'filled' }))

  test('takes an end only where all slots to its left are committed', () => {
    check('____', [row(1, 0.5), row(2, 0.5), tops([3], [0.01], 0.98), row(4, 0.1)], {
      after: '1___',
      outcome: 'open',
    })
    check('____', [row(1, 0.5), row(2, 0.95), tops([3], [0.01], 0.98), row(4, 0.1)], {
      after: '12__',
      outcome: 'ended',
    })
  })

  test('an end that is not sure enough waits until it is leftmost', () =>
    check('__', [row(1, 0.5), tops([2], [0.1], 0.8)], { after: '1_', outcome: 'open' }))

  test('what stood after an end that was passed over stays', () =>
    check('___', [row(1, 0.5), tops([2], [0.1], 0.8), row(3, 0.95)], { after: '1_3', outcome: 'open' }))

  test('skips ids that may not be committed', () =>
    check('__', [tops([mask, 7], [0.9, 0.05]), tops([mask, 8], [0.99, 0.01])], {
      after: '7_',
      outcome: 'open',
    }))

  test('is stuck where nothing that may stand there is among the best', () => {
    check('1_', [tops([mask], [0.9])], { outcome: 'stuck' })
    check('__', [tops([mask], [0.9]), row(2, 0.99)], { outcome: 'stuck' })
  })

  test('only the leftmost can be stuck', () =>
    check('__', [row(1, 0.5), tops([mask], [0.9])], { after: '1_', outcome: 'open' }))

  describe('with known text', () => {
    /** The middle begins with 3, then 4. */
    const clamp: Clamp = {
      isOver: (leading) => leading.length >= 2,
      allows: (leading, id) => id === [3, 4][leading.length],
    }

    test('the first tokens are the best that spell it, and no end', () =>
      check('____', [tops([1, 3], [0.9, 0.01], 0.95), row(4, 0.99), row(5, 0.5), row(6, 0.5)], {
        after: '3___',
        outcome: 'open',
        rules: { clamp },
      }))

    test('the rest of the window joins once it is over', () =>
      check('3____', [row(4, 0.01), row(5, 0.95), row(6, 0.2), row(7, 0.95)], {
        after: '345_7',
        outcome: 'open',
        rules: { clamp },
      }))

    test('is stuck where nothing that spells it is among the best', () =>
      check('__', [row(1, 0.9), row(4, 0.9)], { outcome: 'stuck', rules: { clamp } }))

    test('spells it in ids that may be committed', () =>
      check('__', [row(3, 0.9), row(4, 0.9)], { outcome: 'stuck', rules: { clamp, forbiddenIds: new Set([3]) } }))

    test('holds from canvas to canvas', () => {
      const second = clampAfter(clamp, [3])
      expect([second.isOver([]), second.allows([], 4), second.allows([], 3), second.isOver([4])]).toEqual([
        false,
        true,
        false,
        true,
      ])
    })
  })
})
