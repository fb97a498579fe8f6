/** An edit as ghost text. */
import type { InlineCompletionItem } from 'vscode-languageserver'
import type { TextEdit } from '../base/spans.ts'
import type { Documents } from './documents.ts'
import { oneLineEdit } from './oneLineEdit.ts'

/**
 * With its range said, even an empty one: without, Neovim puts what was typed twice. The text to filter by is the text
 * itself, so that an editor keeps the item while its beginning is typed.
 *
 * @returns undefined when the edit cannot be shown on one line, or changes nothing.
 */
export function inlineItem(
  documents: Documents,
  uri: string,
  cursor: number,
  edit: TextEdit,
): InlineCompletionItem | undefined {
  const shown = oneLineEdit(documents.snapshot(uri)!.text, edit, cursor)
  if (!shown) return undefined
  return { insertText: shown.text, range: documents.rangeAt(uri, shown.span), filterText: shown.text }
}
