/** From scores to what is told of them, with answers written by hand. */
import { describe, expect, test } from 'vitest'
import type { Answer, Case, Result, Score } from './benchmark.ts'
import { drawn } from './benchmarks/draw.ts'
import { bootstrap } from './bootstrap.ts'
import { scoreEdits } from './compareEdits.ts'
import { asText, report } from './report.ts'
import { inTurns } from './runCases.ts'

const gap: Case = {
  ...{ key: 'a', group: 'python', languageId: 'python', scope: 'line', maxTokens: 8 },
  ...{ text: 'print()\n', offset: 6, truth: 'x, y' },
}
const at = (text: string, end = 6, start = 6) => ({ span: { start, end }, text })
const scored = (answer: Partial<Answer>) => scoreEdits(gap, { edit: undefined, ms: 1, ...answer })

describe('an insertion', () => {
  test('is exact when the document is as it was, however the edit is put', () => {
    expect(scored({ edit: at('x, y') })).toEqual({ exact: true, begins: true, answered: true })
    expect(scored({ edit: at('x, y)', 7) })).toMatchObject({ exact: true })
    expect(scored({ edit: at('(x, y', 6, 5) })).toMatchObject({ exact: true })
    expect(scored({ edit: at('x, y)') })).toMatchObject({ exact: false, begins: false })
    expect(scored({ edit: at('x, z') })).toMatchObject({ exact: false, begins: false })
  })

  test('is right as far as it goes when it begins what stood there, and takes nothing away', () => {
    expect(scored({ edit: at('x,') })).toMatchObject({ exact: false, begins: true })
    expect(scored({ edit: at('x,', 7) })).toMatchObject({ begins: false })
  })

  test('that is empty is a miss', () => {
    expect(scored({})).toEqual({ exact: false, begins: false, answered: false })
    expect(scored({ edit: at('') })).toEqual({ exact: false, begins: false, answered: false })
  })

  test('that is kept back counts against the share shown, not against its precision', () => {
    expect(scored({ shown: { edit: undefined } })).toMatchObject({ shown: false })
    expect(scored({ shown: { edit: undefined } })).not.toHaveProperty('right_of_shown')
    expect(scored({ shown: { edit: at('x') } })).toMatchObject({ shown: true, right_of_shown: true })
    expect(scored({ shown: { edit: at('z') } })).toMatchObject({ shown: true, right_of_shown: false })
  })
})

describe('the interval of a mean', () => {
  test('is the same for the same numbers, and no point where these differ', () => {
    const values = Array.from({ length: 100 }, (_, i) => Number(i < 30))
    expect(bootstrap(values)).toEqual(bootstrap(values))
    const { mean, low, high } = bootstrap(values)
    expect(mean).toBe(0.3)
    // The normal approximation: 1.96 standard errors, 0.09.
    expect(low).toBeGreaterThan(0.18)
    expect(low).toBeLessThan(0.24)
    expect(high).toBeGreaterThan(0.36)
    expect(high).toBeLessThan(0.42)
    expect(bootstrap([1, 1, 1])).toEqual({ mean: 1, low: 1, high: 1 })
  })

  test('of paired differences is narrow where the pairs go together', () => {
    const [first, second] = [Array.from({ length: 60 }, (_, i) => Number(i % 2 === 0)), [] as number[]]
    second.push(...first)
    second[0] = 0
    const { low, high } = bootstrap(first.map((value, i) => value - second[i]!))
    expect(low).toBe(0)
    expect(high).toBeLessThan(0.06)
  })
})

const result = (key: string, answerer: string, score: Score, rest: Partial<Result> = {}): Result => ({
  ...{ case: key, group: key[0]!, answerer, text: 'x', score, ms: 10 },
  ...rest,
})

describe('a report', () => {
  const results = [
    result('a1', 'lacuna', { exact: true, shown: true, right_of_shown: true }, { steps: 4, tokens: 8 }),
    result('a2', 'lacuna', { exact: true, shown: false }, { steps: 2, tokens: 4 }),
    result('b1', 'lacuna', { exact: false, shown: true, right_of_shown: false }, { steps: 6, tokens: 0 }),
    result('a1', 'base', { exact: false }),
    result('a2', 'base', { exact: true }),
    result('c1', 'base', { exact: true }),
  ]
  const { rows, differences } = report(results, ['lacuna', 'base'])
  const row = (group: string, answerer: string) => rows.find((one) => one.group === group && one.answerer === answerer)!

  test('tells every group and all, with the number of cases', () => {
    expect(rows.map(({ group, answerer, cases }) => `${group} ${answerer} ${cases}`)).toEqual([
      ...['a lacuna 2', 'a base 2', 'b lacuna 1', 'c base 1', 'all lacuna 3', 'all base 3'],
    ])
    expect(row('a', 'lacuna').shares.exact).toMatchObject({ percent: 100, cases: 2 })
    expect(row('all', 'lacuna').shares.exact).toMatchObject({ percent: 66.7, cases: 3 })
  })

  test('tells precision of what was shown alone', () => {
    expect(row('all', 'lacuna').shares.shown).toMatchObject({ percent: 66.7, cases: 3 })
    expect(row('all', 'lacuna').shares.right_of_shown).toMatchObject({ percent: 50, cases: 2 })
  })

  test('counts passes over all tokens, so that an empty answer is not free', () => {
    expect(row('all', 'lacuna')).toMatchObject({ steps: 4, steps_per_token: 1 })
    expect(row('all', 'base')).not.toHaveProperty('steps')
  })

  test('compares only what both have answered', () => {
    const exact = differences.filter(({ measure }) => measure === 'exact')
    expect(exact.find(({ group }) => group === 'all')).toMatchObject({ cases: 2, points: 50, won: 1, lost: 0 })
    expect(exact.some(({ group }) => group === 'c')).toBe(false)
  })

  test('is a table that names what it tells', () => {
    const text = asText({ rows, differences })
    expect(text).toMatch(/cases +exact % +shown % +right_of_shown %/)
    expect(text).toMatch(/^all +lacuna +3 +66\.7 \[/m)
    expect(text).toMatch(/^all +lacuna − base +2 +exact \+50 +\[/m)
  })
})

test('groups are asked in turns', () => {
  const cases = ['a1', 'a2', 'a3', 'b1'].map((key) => ({ ...gap, key, group: key[0]! }))
  expect(inTurns(cases).map(({ key }) => key)).toEqual(['a1', 'b1', 'a2', 'a3'])
})

test('more cases begin with the fewer, and another seed draws others', () => {
  const items = Array.from({ length: 100 }, (_, i) => i)
  expect(drawn(items, 20, 1).slice(0, 5)).toEqual(drawn(items, 5, 1))
  expect(new Set(drawn(items, 20, 1)).size).toBe(20)
  expect(drawn(items, 5, 2)).not.toEqual(drawn(items, 5, 1))
  expect(drawn(items, undefined, 1)).toEqual(items)
})
