/** What editors do to a document when an item is accepted. */

import { expect } from 'vitest'
import type { CompletionItem, InlineCompletionItem, TextEdit } from 'vscode-languageserver'
import { TextDocument } from 'vscode-languageserver-textdocument'

/** As an editor with plain text does, or one whose snippet engine adds the line's indentation and its own line ends. */
export function acceptCompletion(document: TextDocument, cursor: number, item: CompletionItem | undefined): string {
  const { range, newText } = item!.textEdit as TextEdit
  const at = document.positionAt(cursor)
  expect(range.start.line, 'range on one line').toBe(range.end.line)
  expect(range.start.line, 'range on the line of the cursor').toBe(at.line)
  expect(range.start.character <= at.character && at.character <= range.end.character, 'cursor in the range').toBe(true)
  if (item!.insertTextFormat !== 2) return TextDocument.applyEdits(document, [{ range, newText }])
  const line = document.getText().split(/\r?\n/)[at.line]!
  const indent = /^[ \t]*/.exec(line)![0]
  const lineBreak = document.getText().includes('\r\n') ? '\r\n' : '\n'
  const expanded = newText
    .replace(/\\([\\$}])/g, '$1')
    .split('\n')
    .map((each, index) => (index > 0 && each !== '' ? indent + each : each))
    .join(lineBreak)
  return TextDocument.applyEdits(document, [{ range, newText: expanded }])
}

export function acceptInline(document: TextDocument, item: InlineCompletionItem | undefined): string {
  const { range, insertText } = item!
  expect(range, 'a range, always').toBeDefined()
  expect(range!.start.line, 'range on one line').toBe(range!.end.line)
  return TextDocument.applyEdits(document, [{ range: range!, newText: insertText as string }])
}
