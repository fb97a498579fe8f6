import { expect, test } from 'vitest'
import type { FilterPlace } from './places.ts'
import { type Filtered, ratesOf } from './rates.ts'

const place: FilterPlace = {
  kind: 'closers',
  file: { languageId: 'python', package: 'p', path: 'p.py', text: 'f(x)\n' },
  text: 'f()\n',
  offset: 2,
  truth: 'x',
  scope: 'line',
}
const filtered = (raw: string, text: string | undefined, replaceAfter = 0): Filtered => ({
  place,
  raw,
  finished: text === undefined ? undefined : { text, replaceAfter },
})

test('counts what repeats, what is exact, and what the filters broke', () => {
  const all = [
    filtered('x)', 'x'),
    filtered('x', ''),
    filtered('y)', 'y)'),
    filtered('', undefined),
    filtered('x)', 'x)', 1),
  ]
  expect(ratesOf(all)).toEqual({
    places: 5,
    off: 4,
    on: 4,
    duplicatesOff: 3,
    duplicatesOn: 1,
    byKindOff: { rest: 0, closer: 3, line: 0 },
    byKindOn: { rest: 0, closer: 1, line: 0 },
    exactOff: 1,
    exactOn: 2,
    broken: 1,
  })
})
