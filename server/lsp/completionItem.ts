/** An edit as an item of the editor's completion menu, in the form its editor inserts unharmed. */
import { type CompletionItem, CompletionItemKind, InsertTextFormat, InsertTextMode } from 'vscode-languageserver'
import { beginningOf, lineStart, type Span, type TextEdit } from '../base/spans.ts'
import type { ClientProfile } from './clientProfiles.ts'
import type { Documents } from './documents.ts'
import { oneLineEdit } from './oneLineEdit.ts'

const longestLabel = 60 // UTF-16 units

/**
 * @param rank among the items of its answer, from 0.
 * @returns undefined when the editor cannot be given this edit, or it changes nothing.
 */
export function completionItem(
  documents: Documents,
  uri: string,
  cursor: number,
  edit: TextEdit,
  profile: ClientProfile,
  rank = 0,
): CompletionItem | undefined {
  const { text, languageId } = documents.snapshot(uri)!
  const whole = oneLineEdit(text, edit, cursor)
  const insertable = whole && profile.keepsAfterCursor ? insertion(text, whole, cursor) : whole
  if (!insertable) return undefined
  // From the start of the word at the cursor: editors filter by what stands between there and the cursor.
  const span: Span = { start: wordStart(text, insertable.span.start), end: insertable.span.end }
  const absolute = text.slice(span.start, insertable.span.start) + insertable.text
  const shown = profile.indent === 'relative' ? relative(absolute, indentAt(text, cursor)) : absolute
  const typed = text.slice(span.start, cursor)
  if (shown === typed && span.end === cursor) return undefined
  const label = labelOf(shown)
  const firstLine = lines(shown)[0]!
  return {
    label,
    labelDetails: { description: 'lacuna' },
    kind: profile.format === 'snippet' ? CompletionItemKind.Snippet : CompletionItemKind.Text,
    documentation: profile.markdown ? { kind: 'markdown', value: fenced(absolute, languageId) } : absolute,
    filterText: (firstLine.startsWith(typed) ? firstLine : typed + firstLine) || label,
    sortText: '~'.repeat(rank + 1), // below what other servers offer, in our order
    textEdit: {
      range: documents.rangeAt(uri, span),
      newText: profile.format === 'snippet' ? snippetOf(shown) : shown,
    },
    insertTextFormat: profile.format === 'snippet' ? InsertTextFormat.Snippet : InsertTextFormat.PlainText,
    ...(profile.asIs && profile.format === 'plain' ? { insertTextMode: InsertTextMode.asIs } : {}),
  }
}

/** As much of the edit as can be had by inserting alone: what comes before the text that would have been replaced. */
function insertion(text: string, edit: TextEdit, cursor: number): TextEdit | undefined {
  const after = text.slice(cursor, edit.span.end)
  if (after === '') return edit
  const at = edit.text.lastIndexOf(after)
  if (at <= 0) return undefined
  return { span: { start: edit.span.start, end: cursor }, text: edit.text.slice(0, at) }
}

/** Continuation lines without the indentation the client adds; ends before the first line that has less. */
function relative(text: string, indent: string): string {
  const [first, ...rest] = text.split('\n')
  const kept = [first!]
  for (const line of rest) {
    if (line.startsWith(indent)) kept.push(line.slice(indent.length))
    else if (line.trim() === '') kept.push(line.endsWith('\r') ? '\r' : '')
    else break
  }
  const whole = kept.length === rest.length + 1
  return whole ? kept.join('\n') : kept.join('\n').trimEnd()
}

function indentAt(text: string, offset: number): string {
  return /^[ \t]*/.exec(text.slice(lineStart(text, offset), offset))![0]
}

const longestWord = 256 // UTF-16 units

function wordStart(text: string, offset: number): number {
  // Looking back a bounded way: the search is quadratic, and a line may have 100,000 characters.
  const line = text.slice(Math.max(lineStart(text, offset), offset - longestWord), offset)
  return offset - /[\p{L}\p{M}\p{N}_]*$/u.exec(line)![0].length
}

function snippetOf(text: string): string {
  return text.replaceAll('\r\n', '\n').replace(/[\\$}]/g, '\\$&')
}

/** One line, whatever the text; several are hinted at by an ellipsis. */
function labelOf(text: string): string {
  const first = lines(text).find((line) => line.trim() !== '') ?? ''
  const line = first.trim()
  const cut = line.length > longestLabel
  const start = cut ? beginningOf(line, longestLabel) : line
  return cut || text.trim().length > line.length ? `${start} …` : start
}

function lines(text: string): string[] {
  return text.split(/\r\n|\r|\n/)
}

function fenced(text: string, languageId: string): string {
  const longest = Math.max(2, ...(text.match(/`+/g) ?? []).map((run) => run.length))
  const fence = '`'.repeat(longest + 1)
  return `${fence}${languageId}\n${text}\n${fence}`
}
