/** From what a completion language server lists to the edit that an editor would make of its first item. Pure. */
import type {
  CompletionItem,
  CompletionList,
  InlineCompletionItem,
  InlineCompletionList,
} from 'vscode-languageserver-protocol'
import { InsertTextFormat } from 'vscode-languageserver-protocol'
import type { TextDocument } from 'vscode-languageserver-textdocument'
import type { TextEdit } from '../../../server/base/spans.ts'

/** The first ghost text, or none. */
export function inlineEdit(
  document: TextDocument,
  offset: number,
  answer: InlineCompletionItem[] | InlineCompletionList | null,
): TextEdit | undefined {
  const [item] = Array.isArray(answer) ? answer : (answer?.items ?? [])
  if (!item) return undefined
  const { insertText, range } = item
  const text = typeof insertText === 'string' ? insertText : withoutStops(insertText.value)
  const at = document.positionAt(offset)
  return atCursor(document, offset, { range: range ?? { start: at, end: at }, newText: text })
}

/**
 * The item an editor would put first: marked as such by the server, else the first by `sortText` of those that begin with
 * what is typed of the word.
 */
export function menuEdit(
  document: TextDocument,
  offset: number,
  answer: CompletionItem[] | CompletionList | null,
): TextEdit | undefined {
  const items = Array.isArray(answer) ? answer : (answer?.items ?? [])
  const defaults = Array.isArray(answer) ? undefined : answer?.itemDefaults
  const typed = /[\p{L}\p{N}_$]*$/u.exec(document.getText().slice(0, offset))![0]
  const fitting = items
    .filter(({ filterText, label }) => (filterText ?? label).toLowerCase().startsWith(typed.toLowerCase()))
    .sort((a, b) => Number(b.preselect ?? false) - Number(a.preselect ?? false) || order(a, b))
  const [item] = fitting
  if (!item) return undefined
  const format = item.insertTextFormat ?? defaults?.insertTextFormat
  const plain = (text: string) => (format === InsertTextFormat.Snippet ? withoutStops(text) : text)
  if (item.textEdit) {
    const range = 'range' in item.textEdit ? item.textEdit.range : item.textEdit.insert
    return atCursor(document, offset, { range, newText: plain(item.textEdit.newText) })
  }
  const word = { start: document.positionAt(offset - typed.length), end: document.positionAt(offset) }
  const given = defaults?.editRange
  const range = given ? ('insert' in given ? given.insert : given) : word
  return atCursor(document, offset, { range, newText: plain(item.textEditText ?? item.insertText ?? item.label) })
}

/** As VS Code compares: plain code units. */
function order(a: CompletionItem, b: CompletionItem): number {
  const [left, right] = [a.sortText ?? a.label, b.sortText ?? b.label]
  return left < right ? -1 : left > right ? 1 : 0
}

/** Placeholders as what stands in them; stops as nothing. */
export function withoutStops(snippet: string): string {
  return snippet
    .replaceAll(/\$\{\d+\|((?:[^,|\\]|\\.)*)[^}]*\|\}/g, '$1')
    .replaceAll(/\$\{\d+:([^{}]*)\}/g, '$1')
    .replaceAll(/\$\{\w+\}|\$\d+/g, '')
    .replaceAll(/\\([$}\\])/g, '$1')
}

/** What stands before the cursor already is no part of an insertion. */
function atCursor(
  document: TextDocument,
  offset: number,
  { range, newText }: { range: InlineCompletionItem['range'] & object; newText: string },
): TextEdit | undefined {
  const span = { start: document.offsetAt(range.start), end: document.offsetAt(range.end) }
  const typed = document.getText().slice(span.start, offset)
  const isKept = span.start <= offset && newText.startsWith(typed)
  const edit = isKept
    ? { span: { start: offset, end: Math.max(offset, span.end) }, text: newText.slice(typed.length) }
    : { span, text: newText }
  return edit.text === '' && edit.span.start === edit.span.end ? undefined : edit
}
