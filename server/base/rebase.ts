/** Edits of a text that has changed meanwhile. */
import { lineEnd, lineStart, type TextEdit } from './spans.ts'

/**
 * What changed is taken to be one run, from the first unit that differs to the last. Edits before it stay, those behind it
 * move; an edit's own lines must be untouched.
 *
 * @param edits of `from`.
 * @returns the same edits of `to`; `undefined` where one of them is in what changed.
 */
export function rebase(edits: readonly TextEdit[], from: string, to: string): TextEdit[] | undefined {
  const shorter = Math.min(from.length, to.length)
  let head = 0
  while (head < shorter && from.charCodeAt(head) === to.charCodeAt(head)) head++
  if (head === shorter && from.length === to.length) return [...edits]
  let tail = 0
  while (tail < shorter - head && from.charCodeAt(from.length - 1 - tail) === to.charCodeAt(to.length - 1 - tail))
    tail++
  const by = to.length - from.length
  /** Behind what changed, and still at the beginning of a line: nothing was put in front of it. */
  const isBehind = (line: number) => line >= from.length - tail && lineStart(to, line + by) === line + by
  const rebased: TextEdit[] = []
  for (const edit of edits) {
    const { start, end } = edit.span
    if (lineEnd(from, end) < head) rebased.push(edit)
    else if (isBehind(lineStart(from, start))) rebased.push({ ...edit, span: { start: start + by, end: end + by } })
    else return undefined
  }
  return rebased
}
