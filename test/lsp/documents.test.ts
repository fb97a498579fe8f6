/** Incremental changes against the plain way: find the offsets, cut the string. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Position } from 'vscode-languageserver'
import { Documents } from '../../server/lsp/documents.ts'

const uri = 'file:///a'
const piece = fc.constantFrom('a', 'word ', '\n', '\r\n', '\r', '\t', '🦊', 'é', '中', '')
const someText = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(''))
const position = fc.record({ line: fc.nat(8), character: fc.nat(12) })

/** Where a position is, from the specification's words alone. */
function plainOffset(text: string, { line, character }: Position): number {
  let start = 0
  for (let count = 0; count < line; count++) {
    const lineBreak = /\r\n|\r|\n/g
    lineBreak.lastIndex = start
    if (!lineBreak.exec(text)) return text.length
    start = lineBreak.lastIndex
  }
  const end = start + text.slice(start).search(/[\r\n]|$/)
  return Math.min(start + character, end)
}

test('changes in any order and place, past the end too', () => {
  const change = fc.record({ start: position, end: position, text: someText })
  fc.assert(
    fc.property(someText, fc.array(change, { maxLength: 6 }), (text, changes) => {
      const documents = new Documents()
      documents.open({ uri, languageId: 'x', version: 1, text })
      let plain = text
      for (const [index, each] of changes.entries()) {
        const offsets = [plainOffset(plain, each.start), plainOffset(plain, each.end)]
        const [start, end] = offsets[0]! <= offsets[1]! ? [each.start, each.end] : [each.end, each.start]
        plain = plain.slice(0, Math.min(...offsets)) + each.text + plain.slice(Math.max(...offsets))
        expect(documents.change(uri, index + 2, [{ range: { start, end }, text: each.text }])).toBe(true)
        expect(documents.snapshot(uri)).toEqual({ uri, languageId: 'x', version: index + 2, text: plain })
      }
    }),
  )
})

test('offsets and positions agree, there and back', () => {
  fc.assert(
    fc.property(someText, position, (text, at) => {
      const documents = new Documents()
      documents.open({ uri, languageId: 'x', version: 1, text })
      const offset = documents.offsetAt(uri, at)
      const plain = plainOffset(text, at)
      // Between the halves of a pair: before it.
      expect(offset).toBe(/^[\udc00-\udfff]/.test(text.slice(plain)) ? plain - 1 : plain)
      const { start } = documents.rangeAt(uri, { start: offset, end: offset })
      expect(documents.offsetAt(uri, start)).toBe(offset)
    }),
  )
})

test('a snapshot stays the same object until a change, and never changes', () => {
  const documents = new Documents()
  documents.open({ uri, languageId: 'x', version: 1, text: 'a' })
  const before = documents.snapshot(uri)
  expect(documents.snapshot(uri)).toBe(before)
  documents.change(uri, 2, [{ text: 'b' }])
  expect(before!.text).toBe('a')
  expect(documents.snapshot(uri)).not.toBe(before)
})

test('a null range means the whole text', () => {
  const documents = new Documents()
  documents.open({ uri, languageId: 'x', version: 1, text: 'a' })
  documents.change(uri, 2, [{ range: null, text: 'b' } as never])
  expect(documents.snapshot(uri)!.text).toBe('b')
})

test('what is not open', () => {
  const documents = new Documents()
  expect(documents.change(uri, 1, [{ text: '' }])).toBe(false)
  expect(documents.snapshot(uri)).toBeUndefined()
  documents.open({ uri, languageId: 'x', version: 1, text: 'a' })
  documents.close(uri)
  expect(documents.snapshot(uri)).toBeUndefined()
})

test('a range told from its end is the same span', () => {
  const documents = new Documents()
  documents.open({ uri, languageId: 'x', version: 1, text: 'ab\ncd' })
  const [start, end] = [
    { line: 0, character: 1 },
    { line: 1, character: 1 },
  ]
  expect(documents.spanAt(uri, { start: end, end: start })).toEqual(documents.spanAt(uri, { start, end }))
})
