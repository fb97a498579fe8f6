import fc from 'fast-check'
import { expect, test } from 'vitest'
import { applyEdit, splitsSurrogates } from '../../server/base/spans.ts'
import { oneLineEdit } from '../../server/lsp/oneLineEdit.ts'
import { parseMarked } from '../markup.ts'

/** The hole is replaced by `text`; expected is the span left, as a hole, and its new text. */
function check(marked: string, text: string, hole: string, left: string): void {
  const { text: document, holes, cursor } = parseMarked(marked)
  const expected = parseMarked(hole)
  expect(expected.text).toBe(document)
  expect(oneLineEdit(document, { span: holes[0]!, text }, cursor!)).toEqual({ span: expected.holes[0], text: left })
}

test('an insertion stays as it is', () => check('a ║├┤b', 'x', 'a ├┤b', 'x'))
test('text after the cursor that stays is left out', () => check('f(║├)┤', 'x)', 'f(├┤)', 'x'))
test('and what does not stay is not', () => check('f(║├)┤', 'x):', 'f(├)┤', 'x):'))
test('the cursor is always inside', () => check('a├b┤c║d', 'x', 'a├bc┤d', 'xc'))
test('from before the hole too', () => check('a║b├c┤', 'x', 'a├bc┤', 'bx'))
test('lines below that stay are left out', () => check('a║├b\nc┤', 'x\nc', 'a├b┤\nc', 'x'))
test('lines above that stay are left out', () => check('├a\n┤b║', 'a\nx', 'a\n├b┤', 'xb'))
test('half a surrogate pair is never cut off', () => check('║├🦊┤', '🐊', '├🦊┤', '🐊'))

test('what cannot be said on one line is not said', () => {
  expect(oneLineEdit('a\nb', { span: { start: 1, end: 3 }, text: 'x' }, 1)).toBeUndefined()
  expect(oneLineEdit('a\nb', { span: { start: 0, end: 2 }, text: 'x' }, 2)).toBeUndefined()
})

test('what changes nothing is nothing', () => {
  expect(oneLineEdit('f()', { span: { start: 2, end: 3 }, text: ')' }, 2)).toBeUndefined()
})

test('the document after it is the same, its span on the line and around the cursor', () => {
  const someText = fc
    .array(fc.constantFrom('a', 'b', ')', '\n', '\r\n', '🦊', '🐊'), { maxLength: 8 })
    .map((x) => x.join(''))
  fc.assert(
    fc.property(someText, someText, fc.nat(12), fc.nat(12), fc.nat(12), (text, insert, from, to, at) => {
      const whole = (offset: number) => {
        const inside = Math.min(offset, text.length)
        return splitsSurrogates(text, inside) || text.slice(inside - 1, inside + 1) === '\r\n' ? inside - 1 : inside
      }
      const [start, end, cursor] = [whole(Math.min(from, to)), whole(Math.max(from, to)), whole(at)]
      const edit = { span: { start, end }, text: insert }
      const result = oneLineEdit(text, edit, cursor)
      if (!result) return
      expect(applyEdit(text, result)).toBe(applyEdit(text, edit))
      expect(result.span.start <= cursor && cursor <= result.span.end).toBe(true)
      expect(text.slice(result.span.start, result.span.end)).not.toMatch(/[\r\n]/)
      expect(splitsSurrogates(text, result.span.start) || splitsSurrogates(text, result.span.end)).toBe(false)
    }),
  )
})
