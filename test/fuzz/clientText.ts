/**
 * A document as a client has it: positions and changes by the letter of the protocol, written anew here so that the
 * server's library is not held against itself. Lines end in LF, CRLF or CR; a character is a UTF-16 unit.
 */
import type { Position, Range } from 'vscode-languageserver'

export interface ContentChange {
  readonly range?: Range | null
  readonly text: string
}

interface Line {
  readonly start: number
  readonly end: number // before its line break
}

export function linesOf(text: string): Line[] {
  const lines: Line[] = []
  let start = 0
  for (const { 0: lineBreak, index } of text.matchAll(/\r\n|\r|\n/g)) {
    lines.push({ start, end: index })
    start = index + lineBreak.length
  }
  return [...lines, { start, end: text.length }]
}

/** Past the end of a line means its end, past the last line the end of the text. */
export function offsetOf(text: string, { line, character }: Position): number {
  const found = linesOf(text)[line]
  return found ? Math.min(found.start + character, found.end) : text.length
}

/** @param offset not between CR and LF. */
export function positionOf(text: string, offset: number): Position {
  const lines = linesOf(text)
  const line = lines.findLastIndex(({ start }) => start <= offset)
  return { line, character: offset - lines[line]!.start }
}

/** Whether a range lies in the text as it is said, nothing of it past an end. */
export function fits(text: string, { start, end }: Range): boolean {
  const isInside = ({ line, character }: Position) => {
    const found = linesOf(text)[line]
    return found !== undefined && character >= 0 && found.start + character <= found.end
  }
  return isInside(start) && isInside(end) && offsetOf(text, start) <= offsetOf(text, end)
}

export function replaced(text: string, range: Range, insert: string): string {
  return text.slice(0, offsetOf(text, range.start)) + insert + text.slice(offsetOf(text, range.end))
}

export function changed(text: string, { range, text: insert }: ContentChange): string {
  return range ? replaced(text, range, insert) : insert
}
