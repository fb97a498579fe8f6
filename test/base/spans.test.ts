import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  applyEdit,
  beginningOf,
  isOneCharacter,
  lineEnd,
  lineStart,
  splitsSurrogates,
} from '../../server/base/spans.ts'

test('lineStart and lineEnd know LF, CRLF and CR', () => {
  const text = 'ab\r\ncd\re\n\nf'
  const spans = [...text, ''].map((_, at) => [lineStart(text, at), lineEnd(text, at)])
  expect(spans).toEqual([
    [0, 2],
    [0, 2],
    [0, 2],
    [0, 3], // between CR and LF
    [4, 6],
    [4, 6],
    [4, 6],
    [7, 8],
    [7, 8],
    [9, 9],
    [10, 11],
    [10, 11],
  ])
})

test('a line holds its offset and no line break', () => {
  const texts = fc
    .array(fc.constantFrom('a', '\r', '\n', '\r\n', '😀'), { maxLength: 20 })
    .map((parts) => parts.join(''))
  fc.assert(
    fc.property(texts, fc.nat(), (text, at) => {
      const offset = at % (text.length + 1)
      fc.pre(!(text[offset - 1] === '\r' && text[offset] === '\n'))
      const [start, end] = [lineStart(text, offset), lineEnd(text, offset)]
      expect(start <= offset && offset <= end).toBe(true)
      expect(text.slice(start, end)).not.toMatch(/[\r\n]/)
    }),
  )
})

test('applyEdit replaces a span', () => {
  expect(applyEdit('abcdef', { span: { start: 2, end: 4 }, text: 'X' })).toBe('abXef')
  expect(applyEdit('', { span: { start: 0, end: 0 }, text: 'X' })).toBe('X')
})

test('splitsSurrogates only inside a pair', () => {
  expect([0, 1, 2, 3, 4].map((at) => splitsSurrogates('a😀b', at))).toEqual([false, false, true, false, false])
})

test('beginningOf cuts no character in half', () => {
  expect([0, 1, 2, 3, 9].map((units) => beginningOf('a😀b', units))).toEqual(['', 'a', 'a', 'a😀', 'a😀b'])
})

test('isOneCharacter counts a pair and CRLF once', () => {
  expect(['', 'a', '😀', '\r\n', 'ab', '\n\n', '😀a'].map(isOneCharacter)).toEqual([
    ...[true, true, true, true],
    ...[false, false, false],
  ])
})
