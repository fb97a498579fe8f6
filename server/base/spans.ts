/** Places in a text, in UTF-16 code units as LSP and JavaScript count them. */

/** Half-open: `start` is in, `end` is out. */
export interface Span {
  readonly start: number
  readonly end: number
}

/** A replacement of `span` by `text`. */
export interface TextEdit {
  readonly span: Span
  readonly text: string
}

export function applyEdit(text: string, edit: TextEdit): string {
  return text.slice(0, edit.span.start) + edit.text + text.slice(edit.span.end)
}

/** Offset of the first character of the line that holds `offset`; lines end in LF, CRLF or CR. */
export function lineStart(text: string, offset: number): number {
  for (let at = offset; at > 0; at--) {
    const before = text.charCodeAt(at - 1)
    if (before === 10 || (before === 13 && text.charCodeAt(at) !== 10)) return at
  }
  return 0
}

/** Offset just after the last character of the line that holds `offset`, its line break not included. */
export function lineEnd(text: string, offset: number): number {
  for (let at = offset; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    if (unit === 10 || unit === 13) return at
  }
  return text.length
}

/** The first `units` UTF-16 units of a text; one less where a character would be cut in half, which is no JSON to many. */
export function beginningOf(text: string, units: number): string {
  return text.slice(0, splitsSurrogates(text, units) ? units - 1 : units)
}

/** Whether a text is one character or none, as a cursor counts that covers what it stands on: CRLF is one. */
export function isOneCharacter(text: string): boolean {
  return text.length < 2 || text === '\r\n' || (text.length === 2 && splitsSurrogates(text, 1))
}

/** True between the two halves of a surrogate pair, where no text may be cut. */
export function splitsSurrogates(text: string, offset: number): boolean {
  const before = text.charCodeAt(offset - 1)
  const after = text.charCodeAt(offset)
  return before >= 0xd800 && before <= 0xdbff && after >= 0xdc00 && after <= 0xdfff
}
