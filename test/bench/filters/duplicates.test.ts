import { expect, test } from 'vitest'
import { parseMarked } from '../../markup.ts'
import { duplicateOf } from './duplicates.ts'
import { drawPlaces, type FilterPlace, type SourceFile } from './places.ts'

/** The hole holds what really stood there. */
function placeAt(marked: string): FilterPlace {
  const { text, holes } = parseMarked(marked)
  const { start, end } = holes[0]!
  const truth = text.slice(start, end)
  const file: SourceFile = { languageId: 'typescript', package: 'p', path: 'p.ts', text }
  return { kind: 'inside', file, text: text.slice(0, start) + text.slice(end), offset: start, truth, scope: 'line' }
}

test.for([
  ['print(├x┤)', 'x', 0, undefined],
  ['print(├x┤)', 'x)', 0, 'closer'],
  ['print(├x┤)', 'f(x)', 0, undefined],
  ['print(├x┤)', 'f(x))', 0, 'closer'],
  ['print(├x┤)', 'x).then(y)', 1, undefined],
  ['print("├x┤")', 'y"', 0, 'closer'],
  ['f({├a┤})\n', 'b}', 0, 'closer'],
  ['x = ├f(a)┤, value)', 'g, value)', 0, 'rest'],
  ['x = ├f(a)┤, value)', 'g, value', 0, 'rest'],
  ['x = ├a┤ + total', 'b + total', 0, 'rest'],
  ['x = ├a┤ + total', 'subtotal', 0, undefined],
  ['x = ├a + total┤ + total', 'b + total', 0, undefined],
  ['if x {├\n  go()┤\n}\n', '\n  run()\n}', 0, 'closer'],
  ['if x {├\n  go()┤\n}\n', '\n  run()', 0, undefined],
  ['if x:├\n  go()┤\nstop()\n', '\n  run()\nstop()', 0, 'line'],
  ['if x:├\n  go()┤\nstop()\n', '\n  stop()', 0, undefined],
] as const)('%s with %j is %s', ([marked, text, replaceAfter, expected]) => {
  expect(duplicateOf(text, replaceAfter, placeAt(marked))).toBe(expected)
})

test('the truth never repeats anything', () => {
  for (const place of drawn(200)) expect(duplicateOf(place.truth, 0, place), JSON.stringify(place)).toBeUndefined()
})

test('places: gaps that put back what they took, in all kinds, more beginning with the fewer', () => {
  const places = drawn(40)
  for (const { text, offset, truth, file, scope } of places) {
    expect(text.slice(0, offset) + truth + text.slice(offset)).toBe(file.text)
    expect(truth.includes('\n')).toBe(scope === 'block')
  }
  expect(new Set(places.map(({ kind }) => kind)).size).toBe(4)
  expect(drawn(80).slice(0, 40)).toEqual(places)
  expect(() => drawPlaces([], 1, 1)).toThrow('found 0 of 1 places')
})

function drawn(count: number): FilterPlace[] {
  const body = (name: string) =>
    `function ${name}(first, second) {\n  if (first > second) {\n    return ${name}(second, [first])\n  }\n` +
    `  const total = first + second * 2\n  return { total, name: '${name}', list: [first, second] }\n}\n`
  const file = (name: string): SourceFile => ({
    languageId: 'typescript',
    package: name,
    path: `${name}.ts`,
    text: ['add', 'subtract', 'multiply'].map((verb) => body(verb + name)).join('\n'),
  })
  return drawPlaces([file('One'), file('Two')], count, 3)
}
