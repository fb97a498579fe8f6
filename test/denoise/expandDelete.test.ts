import { describe, expect, test } from 'vitest'
import { noClamp } from '../../server/denoise/commitRules.ts'
import { ExpandDeleteFilling } from '../../server/denoise/expandDelete.ts'
import type { Schedule } from '../../server/denoise/schedule.ts'
import { end, mask, prediction, type Row, row, signs, tops } from './signs.ts'

const expandId = 60
const surestFirst: Schedule = { kind: 'surest-first', threshold: 1 }

function filling(slots: number, maxSlots: number, schedule = surestFirst, forbidden: number[] = []) {
  const rules = { endIds: new Set([end]), forbiddenIds: new Set([mask, ...forbidden]), clamp: noClamp }
  const it = new ExpandDeleteFilling(
    { kind: 'expand-delete', slots, maxSlots, expandId },
    { schedule, rules, maskId: mask },
  )
  /** What is said of the open slots, from the left; the canvas after it. */
  const say = (...rows: Row[]): string => {
    expect(it.ask()[0]!.slots).toHaveLength(rows.length)
    return `${it.take([prediction(...rows)])} ${signs(it.canvas)}`
  }
  return { it, say }
}

const ends = (probability: number): Row => tops([1], [0.001], probability)
const expands = (probability: number): Row => row(expandId, probability)

test('commits the surest token, one a step, until no slot is open', () => {
  const { it, say } = filling(3, 8)
  expect(say(row(1, 0.5), row(2, 0.9), row(3, 0.95))).toBe('open __3')
  expect(say(row(1, 0.5), row(2, 0.9))).toBe('open _23')
  expect(say(row(1, 0.5))).toBe('ended 123')
  expect(it.canvas.leadingProbabilities().map((probability) => probability.toFixed(2))).toEqual([
    '0.50',
    '0.90',
    '0.95',
  ])
})

describe('an end', () => {
  test('takes its slot away, wherever it is', () => {
    const { say } = filling(4, 8)
    expect(say(row(1, 0.5), ends(0.9), row(3, 0.1), ends(0.8))).toBe('open ___')
    expect(say(row(1, 0.5), row(2, 0.9), ends(0.8))).toBe('open _2_')
    expect(say(row(1, 0.5), ends(0.8))).toBe('open _2')
    expect(say(row(1, 0.5))).toBe('ended 12')
  })

  test('may take all of them away', () => {
    const { it, say } = filling(2, 8)
    expect(say(ends(0.9), ends(0.8))).toBe('open _')
    expect(say(ends(0.9))).toBe('ended ')
    expect(it.canvas.leadingRun()).toEqual([])
  })

  test('keeps the probabilities of the other slots with them', () => {
    const { it, say } = filling(3, 8)
    say(row(1, 0.1), row(2, 0.2), row(3, 0.75))
    say(row(1, 0.1), ends(0.5))
    expect(say(row(1, 0.25))).toBe('ended 13')
    expect(it.canvas.leadingProbabilities().map((probability) => probability.toFixed(2))).toEqual(['0.25', '0.75'])
  })
})

describe('an expand token', () => {
  test('becomes two open slots in its place', () => {
    const { say } = filling(2, 8)
    expect(say(row(1, 0.9), row(2, 0.5))).toBe('open 1_')
    expect(say(expands(0.6))).toBe('open 1__')
    expect(say(row(3, 0.6), row(4, 0.9))).toBe('open 1_4')
    expect(say(expands(0.6))).toBe('open 1__4')
  })

  test('is barred when the canvas is full: the next best token is taken', () => {
    const { say } = filling(2, 3)
    expect(say(expands(0.9), row(1, 0.1))).toBe('open ___')
    expect(say(tops([expandId, 4], [0.9, 0.05]), row(2, 0.02), row(3, 0.01))).toBe('open 4__')
  })

  test('is allowed though it is among the ids that are never committed', () => {
    const { say } = filling(1, 3, surestFirst, [expandId])
    expect(say(tops([expandId, 4], [0.9, 0.05]))).toBe('open __')
  })

  test('is barred in the end: expanding and deleting in turn is no endless loop', () => {
    const { it, say } = filling(1, 4)
    let steps = 0
    let found = 'open _'
    while (found.startsWith('open')) {
      expect(++steps).toBeLessThan(20)
      const open = it.ask()[0]!.slots.length
      // One slot expands, of two the right one is deleted.
      found = open === 1 ? say(tops([expandId, 7], [0.9, 0.1])) : say(row(1, 0.1), ends(0.9))
    }
    expect(found).toBe('ended 7')
    expect(steps).toBe(9) // four times there and back, then the token
  })
})

test('starts with no more slots than it may have', () => expect(filling(8, 3).it.canvas.slots).toHaveLength(3))

test('is stuck where nothing may stand', () => expect(filling(1, 3).say(row(mask, 0.9))).toBe('stuck _'))

describe('several a step, where the schedule says so', () => {
  const several: Schedule = { kind: 'surest-first', threshold: 0.8 }

  test('each in its own place', () => {
    const { say } = filling(5, 8, several)
    expect(say(row(1, 0.9), ends(0.9), expands(0.9), row(4, 0.1), row(5, 0.9))).toBe('open 1___5')
    expect(say(ends(0.9), row(2, 0.9), row(3, 0.1))).toBe('open 12_5')
    expect(say(row(3, 0.1))).toBe('ended 1235')
  })

  test('as far as there is room', () => {
    const { say } = filling(3, 4, several)
    expect(say(expands(0.9), row(2, 0.1), expands(0.9))).toBe('open ____')
  })

  test('leftmost first too', () => {
    const { say } = filling(3, 8, { kind: 'leftmost-first', threshold: 0.9, window: 3 })
    expect(say(row(1, 0.2), ends(0.95), row(3, 0.5))).toBe('open 1_')
    expect(say(expands(0.2))).toBe('open 1__')
  })
})
