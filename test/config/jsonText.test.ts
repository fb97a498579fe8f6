import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseJsonText } from '../../server/config/jsonText.ts'

/** `║` stands where the fault is. */
function check(marked: string, problem: string): void {
  const before = marked.slice(0, marked.indexOf('║'))
  const [line, column] = [before.split('\n').length, before.length - before.lastIndexOf('\n')]
  expect(parseJsonText(marked.replace('║', ''))).toEqual({ problem, line, column })
}

test('what is JSON, with a byte order mark too', () => {
  expect(parseJsonText('\ufeff{"a": [1, {"b": null}]}')).toEqual({ value: { a: [1, { b: null }] } })
})

test('a comma too many', () => check('{\n  "mode": "off",\n║}', 'wanted a name in double quotes, found "}"'))
test('a comma too few', () => check('{"a": 1\n ║"b": 2}', 'wanted "," or "}", found "\\""'))
test('a name without quotes', () => check('{║mode: 1}', 'wanted a name in double quotes or "}", found "m"'))
test('single quotes', () => check('{"a": ║\'x\'}', 'wanted a value, found "\'"'))
test('a comment', () => check('{\r\n  ║// no\r\n}', 'wanted a name in double quotes or "}", found "/"'))
test('the end too early', () => check('{"a": [1, 2║', 'wanted "," or "]", found the end'))
test('an empty file', () => check('║', 'wanted a value, found the end'))
test('two values', () => check('{} ║{}', 'wanted nothing more, found "{"'))
test('no colon', () => check('{"a" ║1}', 'wanted ":", found "1"'))
test('a string never closed', () => check('["😀", ║"b]', 'wanted a value, found "\\""'))
test('an empty list left open', () => check('[║', 'wanted a value or "]", found the end'))
test('a number with a leading zero', () => check('[0║1]', 'wanted "," or "]", found "1"'))
test('nested deeper than calls could be', () => {
  expect(parseJsonText('['.repeat(200_000))).toMatchObject({ column: 200_001 })
})

test('whatever is cut out of JSON, either it still is some, or a place inside is named', () => {
  fc.assert(
    fc.property(fc.json(), fc.nat(), fc.nat(5), (text, from, length) => {
      const cut = text.slice(0, from % text.length) + text.slice((from % text.length) + length)
      const parsed = parseJsonText(cut)
      if ('value' in parsed) return
      expect(() => JSON.parse(cut)).toThrow()
      const lines = cut.split('\n')
      expect(parsed.line).toBeLessThanOrEqual(lines.length)
      expect(parsed.column).toBeLessThanOrEqual(lines[parsed.line - 1]!.length + 1)
    }),
  )
})
