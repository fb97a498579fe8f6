import { expect, test } from 'vitest'
import type { Connection } from 'vscode-languageserver'
import { Documents } from '../../server/lsp/documents.ts'
import { UnlikelyMarks } from '../../server/lsp/unlikelyMarks.ts'

test('the selection is looked at; of a cursor, or of one character that always is selected, the line', () => {
  const marks = new UnlikelyMarks({} as Connection, new Documents())
  const text = 'a\r\nb 🦊 c\r\n'
  const snapshot = { uri: 'file:///a', languageId: 'x', version: 1, text }
  const wordsOf = (start: number, end: number) => {
    const span = marks.spanOf(snapshot, { start, end })
    return text.slice(span.start, span.end)
  }
  expect([wordsOf(5, 5), wordsOf(3, 4), wordsOf(5, 7), wordsOf(9, 11)]).toEqual(Array(4).fill('b 🦊 c'))
  expect(wordsOf(3, 5)).toBe('b ')
})
