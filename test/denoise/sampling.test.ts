/** What the samplers do beyond their references: ends, known text, steps past a plan, blocks of their own numbers. */
import { describe, expect, test } from 'vitest'
import type { Clamp, CommitRules } from '../../server/denoise/commitRules.ts'
import { commitUpToEnd } from '../../server/denoise/endToken.ts'
import type { Sampler } from '../../server/denoise/sampling/sampler.ts'
import { checkSchedule, openSampler, type Schedule } from '../../server/denoise/schedule.ts'
import { canvasOf, prediction, type Row, row, rules, signs, tops } from './signs.ts'

const best = { temperature: 0, seed: 1 } as const
/** The middle begins with 3, then 4. */
const clamp: Clamp = {
  isOver: (leading) => leading.length >= 2,
  allows: (leading, id) => id === [3, 4][leading.length],
}

/** One step. @param all rows of all slots; those are shown that are asked. */
function step(sampler: Sampler, before: string, all: readonly Row[], other: Partial<CommitRules> = {}) {
  const canvas = canvasOf(before)
  const asked = sampler.ask(canvas.openSlots())
  const said = prediction(...asked.map((slot) => all[slot]!))
  const outcome = commitUpToEnd(canvas, sampler.pick(canvas, asked, said, { ...rules, ...other }))
  return { asked, after: signs(canvas), outcome }
}

describe('maskgit-plus', () => {
  const four = [row(1, 0.1), row(2, 0.4), row(3, 0.3), row(4, 0.2)]
  const open = (steps: number) => openSampler({ kind: 'maskgit-plus', steps, ...best }, 0)

  test('commits the surest of each step, and passes over steps that would commit nothing', () => {
    const sampler = open(4) // 0, 1, 1, 2
    expect(step(sampler, '____', four)).toEqual({ asked: [0, 1, 2, 3], after: '_2__', outcome: 'open' })
    expect(step(sampler, '_2__', four)).toMatchObject({ asked: [0, 2, 3], after: '_23_' })
    expect(step(sampler, '_23_', four)).toMatchObject({ asked: [0, 3], after: '1234', outcome: 'filled' })
  })

  test('goes on past its last step where slots are left', () => {
    const sampler = open(1)
    expect(step(sampler, '____', [row(1, 0.1), row(2, 0.4), tops([3], [0.1], 0.9), row(4, 0.2)]).after).toBe('12__')
    expect(step(sampler, '12__', four).after).toBe('1234')
  })

  test('where the surest is an end that waits, commits the surest other', () =>
    expect(step(open(4), '____', [row(1, 0.1), tops([2], [0.01], 0.9), row(3, 0.3), row(4, 0.2)]).after).toBe('__3_'))

  test('holds the leftmost to known text, and adds what the plan says once it is over', () => {
    const rows = [tops([1, 3], [0.9, 0.01]), tops([1, 4], [0.9, 0.01]), row(5, 0.3), row(6, 0.5)]
    const sampler = open(4)
    expect(step(sampler, '____', rows, { clamp }).after).toBe('3___')
    expect(step(sampler, '3___', rows, { clamp }).after).toBe('34_6')
  })
})

test('topk-margin and entropy order slots by what they say', () => {
  const rows = [tops([1, 2], [0.5, 0.45]), tops([3, 4], [0.4, 0.1]), row(5, 0.1)]
  const said = { ...prediction(...rows), entropy: [1, 0.9, 0.2] }
  const after = (kind: 'maskgit-plus' | 'topk-margin' | 'entropy') => {
    const sampler = openSampler({ kind, steps: 3, ...best }, 0)
    const canvas = canvasOf('___')
    commitUpToEnd(canvas, sampler.pick(canvas, sampler.ask(canvas.openSlots()), said, rules))
    return signs(canvas)
  }
  expect(after('maskgit-plus')).toBe('1__')
  expect(after('topk-margin')).toBe('_3_')
  expect(after('entropy')).toBe('__5')
})

describe('origin', () => {
  const rows = Array.from({ length: 8 }, (_, slot) => row(slot + 1, 0.5))

  test('asks only what it will commit, and the leftmost', () => {
    const sampler = openSampler({ kind: 'origin', steps: 4, ...best }, 0)
    const { asked, after } = step(sampler, '________', rows)
    const committed = [...after].flatMap((sign, slot) => (sign === '_' ? [] : [slot]))
    expect(committed.length).toBeGreaterThan(0)
    expect(committed.length).toBeLessThan(8)
    expect(asked).toEqual([...new Set([0, ...committed])])
  })

  test('fills all in its last step', () =>
    expect(step(openSampler({ kind: 'origin', steps: 1, ...best }, 0), '________', rows).after).toBe('12345678'))
})

describe('factor', () => {
  const step1 = (factor: number, rows: Row[]) =>
    step(openSampler({ kind: 'factor', factor, ...best }, 0), '____', rows).after

  test('commits many that are very sure', () =>
    expect(step1(1, [row(1, 0.9), row(2, 0.9), row(3, 0.9), row(4, 0.9)])).toBe('1234'))
  test('or few that are somewhat sure: two of them take two thirds', () => {
    expect(step1(1, [row(1, 0.7), row(2, 0.6), row(3, 0.5), row(4, 0.5)])).toBe('1___')
    expect(step1(1, [row(1, 0.7), row(2, 0.68), row(3, 0.5), row(4, 0.5)])).toBe('12__')
  })
  test('always the surest', () => expect(step1(0, [row(1, 0.1), row(2, 0.2), row(3, 0.1), row(4, 0.1)])).toBe('_2__'))
})

test('entropy-bound commits as long as the entropies of the surer ones are within the bound', () => {
  const after = (bound: number) => {
    const sampler = openSampler({ kind: 'entropy-bound', bound, ...best }, 0)
    const canvas = canvasOf('____')
    const said = { ...prediction(row(1, 0.2), row(2, 0.2), row(3, 0.2), row(4, 0.2)), entropy: [3, 0.25, 0.5, 1] }
    commitUpToEnd(canvas, sampler.pick(canvas, sampler.ask(canvas.openSlots()), said, rules))
    return signs(canvas)
  }
  expect([0, 0.25, 0.75, 1.75].map(after)).toEqual(['_2__', '_23_', '_234', '1234'])
})

describe('blocks', () => {
  test('only the leftmost unfinished block is asked', () => {
    const sampler = openSampler({ kind: 'blocks', slots: 3, inner: { kind: 'surest-first', threshold: 0.9 } }, 0)
    expect(sampler.ask([1, 2, 3, 4, 5])).toEqual([1, 2])
    expect(sampler.ask([4, 5, 7])).toEqual([4, 5])
    expect(sampler.ask([7])).toEqual([7])
  })

  test('each begins its plan anew, and draws numbers of its own', () => {
    const blocks = openSampler({ kind: 'blocks', slots: 64, inner: { kind: 'origin', steps: 2, ...best } }, 0)
    const first = blocks.ask([...Array(64).keys()])
    const second = blocks.ask([...Array(64).keys()].map((slot) => 64 + slot))
    for (const asked of [first, second]) {
      expect(asked.length).toBeGreaterThan(16)
      expect(asked.length).toBeLessThan(48)
    }
    expect(second.map((slot) => slot - 64)).not.toEqual(first)
  })

  test('want what their sampler wants', () => {
    const inner = (temperature: number) => ({ kind: 'factor', factor: 1, temperature, seed: 1 }) as const
    const wants = (temperature: number) =>
      openSampler({ kind: 'blocks', slots: 4, inner: inner(temperature) }, 0).logits
    expect([0, 1].map(wants)).toEqual([false, true])
  })
})

test.each<Schedule>([
  { kind: 'leftmost-first', threshold: 0.9, window: 0 },
  { kind: 'origin', steps: 0, ...best },
  { kind: 'origin', steps: 4, eps: 1, ...best },
  { kind: 'entropy', steps: 1.5, ...best },
  { kind: 'maskgit-plus', steps: 4, algTemp: -1, ...best },
  { kind: 'topk-margin', steps: 4, ...best, topP: 0 },
  { kind: 'factor', factor: -1, ...best },
  { kind: 'entropy-bound', bound: Number.NaN, ...best },
  { kind: 'blocks', slots: 0, inner: { kind: 'surest-first', threshold: 1 } },
  { kind: 'blocks', slots: 4, inner: { kind: 'origin', steps: 0, ...best } },
])('refuses %o', (schedule) => expect(() => checkSchedule(schedule)).toThrow(RangeError))
