/** The form of an edit that both methods need: on the cursor's line, around the cursor, no longer than it must be. */
import { lineEnd, lineStart, splitsSurrogates, type TextEdit } from '../base/spans.ts'

/**
 * The same change with a span that holds the cursor, lies on its line, and ends as near to the cursor as it can: text
 * after the cursor that stays is left out. (An empty span is shown inline by editors, a longer one as an overlay.)
 *
 * @returns undefined when the edit changes nothing, or text on another line.
 */
export function oneLineEdit(text: string, edit: TextEdit, cursor: number): TextEdit | undefined {
  const from = lineStart(text, cursor)
  const to = lineEnd(text, cursor)
  let { start, end } = edit.span
  let replacement = edit.text
  if (start < from) {
    const kept = text.slice(start, from)
    if (!replacement.startsWith(kept)) return undefined
    replacement = replacement.slice(kept.length)
    start = from
  }
  if (end > to) {
    const kept = text.slice(to, end)
    if (!replacement.endsWith(kept)) return undefined
    replacement = replacement.slice(0, replacement.length - kept.length)
    end = to
  }
  if (start > cursor) {
    replacement = text.slice(cursor, start) + replacement
    start = cursor
  }
  if (end < cursor) {
    replacement += text.slice(end, cursor)
    end = cursor
  }
  let same = 0
  while (same < end - cursor && same < replacement.length && text[end - 1 - same] === replacement.at(-1 - same)) same++
  if (splitsSurrogates(text, end - same) || splitsSurrogates(replacement, replacement.length - same)) same--
  end -= same
  replacement = replacement.slice(0, replacement.length - same)
  if (replacement === text.slice(start, end)) return undefined
  return { span: { start, end }, text: replacement }
}
