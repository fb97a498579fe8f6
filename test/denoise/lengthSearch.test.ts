import { describe, expect, test } from 'vitest'
import { noClamp } from '../../server/denoise/commitRules.ts'
import { LengthSearchFilling, lengthBias, surestLength } from '../../server/denoise/lengthSearch.ts'
import { end, mask, prediction, type Row, row, signs, tops } from './signs.ts'

const filling = (lengths: number[], threshold = 1) =>
  new LengthSearchFilling(
    { kind: 'search', lengths },
    {
      schedule: { kind: 'surest-first', threshold },
      rules: { endIds: new Set([end]), forbiddenIds: new Set([mask]), clamp: noClamp },
      maskId: mask,
    },
  )

/** Of a canvas of so many slots, all as sure. */
const evenly = (slots: number, probability: number) =>
  prediction(...Array.from({ length: slots }, () => row(1, probability)))

test('a model is surer of shorter canvases: the published correction', () => {
  // exp(−1.77), exp(−0.06) and so on, by hand.
  expect(lengthBias(1)).toBeCloseTo(0.17033 + 0.56 * 0.941765 + 0.24, 4)
  expect(lengthBias(8)).toBeCloseTo(0.56 * 0.618783 + 0.24, 4)
  expect(lengthBias(1000)).toBeCloseTo(0.24, 6)
})

describe('the surest length', () => {
  test('is the one whose mean probability exceeds most what its length gives anyway', () => {
    const lengths = [1, 4, 8, 16]
    const flat = lengths.map((slots) => evenly(slots, 0.5 * lengthBias(slots)))
    expect(surestLength(flat.toSpliced(2, 1, evenly(8, 0.6 * lengthBias(8))))).toBe(2)
    expect(surestLength(flat.toSpliced(0, 1, evenly(1, 0.6 * lengthBias(1))))).toBe(0)
    // Without the correction the first would win: it is the surer one.
    expect(surestLength([evenly(1, 0.6), evenly(16, 0.5)])).toBe(1)
  })

  test('is the mean over slots, not the sum and not the best', () =>
    expect(surestLength([prediction(row(1, 0.9), row(1, 0.1)), prediction(row(1, 0.6), row(1, 0.6))])).toBe(1))

  test('is the shortest of equals, and the first where numbers are no numbers', () => {
    expect(surestLength([evenly(2, 0.4), evenly(2, 0.4)])).toBe(0)
    expect(surestLength([evenly(2, Number.NaN), evenly(3, Number.NaN)])).toBe(0)
  })
})

describe('filling', () => {
  const say = (it: LengthSearchFilling, ...rows: Row[]) => it.take([prediction(...rows)])

  test('asks all slots of all lengths first, then those of the chosen one, where the first look has committed', () => {
    const it = filling([1, 2, 3])
    expect(it.ask().map(({ slots }) => slots)).toEqual([[0], [0, 1], [0, 1, 2]])
    expect(it.canvas.leadingRun()).toEqual([])
    const outcome = it.take([evenly(1, 0.1), prediction(row(4, 0.8), row(5, 0.9)), evenly(3, 0.1)])
    expect({ outcome, slots: signs(it.canvas) }).toEqual({ outcome: 'open', slots: '_5' })
    expect(it.ask()).toEqual([{ canvas: it.canvas, slots: [0] }])
  })

  test('ends when the canvas is full', () => {
    const it = filling([2])
    it.ask()
    expect(say(it, row(4, 0.8), row(5, 0.9))).toBe('open')
    it.ask()
    expect(say(it, row(6, 0.5))).toBe('ended')
    expect(it.canvas.leadingRun()).toEqual([6, 5])
  })

  test('ends at an end, if the model gives one', () => {
    const it = filling([3])
    it.ask()
    expect(say(it, row(4, 0.9), tops([5], [0.1], 0.6), row(6, 0.1))).toBe('open')
    it.ask()
    expect(say(it, tops([5], [0.1], 0.6), row(6, 0.5))).toBe('ended')
    expect(it.canvas.leadingRun()).toEqual([4])
  })

  test('may fill a canvas in one look', () => {
    const it = filling([1, 2], 0.5)
    it.ask()
    expect(it.take([evenly(1, 0.1), prediction(row(4, 0.8), row(5, 0.9))])).toBe('ended')
    expect(it.canvas.leadingRun()).toEqual([4, 5])
  })

  test('is stuck where nothing may stand', () => {
    const it = filling([1])
    it.ask()
    expect(say(it, row(mask, 0.9))).toBe('stuck')
  })

  test('leftmost first asks its window of the chosen canvas', () => {
    const rules = { endIds: new Set<number>(), forbiddenIds: new Set([mask]), clamp: noClamp }
    const schedule = { kind: 'leftmost-first', threshold: 0.9, window: 2 } as const
    const it = new LengthSearchFilling({ kind: 'search', lengths: [4] }, { schedule, rules, maskId: mask })
    expect(it.ask()[0]!.slots).toEqual([0, 1, 2, 3])
    it.take([prediction(row(1, 0.1), row(2, 0.95), row(3, 0.99), row(4, 0.99))])
    expect(signs(it.canvas)).toBe('12__')
    expect(it.ask()[0]!.slots).toEqual([2, 3])
  })
})
