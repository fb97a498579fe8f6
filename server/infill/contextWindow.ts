/** Which part of a document is read around the cursor: a pure function of text and cursor. */
import { type Span, splitsSurrogates } from '../base/spans.ts'

/**
 * Least prefix in UTF-16 units, and by how much the window's start moves at a time. While the cursor stays between two
 * multiples of `jump`, the start does not move, so typing shifts nothing that is encoded.
 */
export interface WindowSize {
  readonly prefix: number
  readonly jump: number
  readonly suffix: number
}

/**
 * The window starts at the first line start after a multiple of `jump`, at least `prefix` units before the cursor (or
 * where the file starts); where that is more than half of `prefix` further on, at the multiple itself. It ends `suffix` units after the cursor.
 *
 * @param offset UTF-16 units, 0…text.length.
 * @throws {RangeError} when the offset is outside the text.
 */
export function contextWindow(text: string, offset: number, size: WindowSize): Span {
  if (!(offset >= 0 && offset <= text.length))
    throw new RangeError(`offset ${offset} is outside the text of ${text.length}`)
  const least = offset - size.prefix
  const raw = least <= 0 ? 0 : Math.floor(least / size.jump) * size.jump
  return {
    start: raw === 0 ? 0 : startAfter(text, raw, raw + size.prefix / 2),
    end: endBefore(text, offset + size.suffix),
  }
}

function startAfter(text: string, raw: number, last: number): number {
  const lineFeed = text.indexOf('\n', raw - 1)
  if (lineFeed >= 0 && lineFeed + 1 <= last) return lineFeed + 1
  return splitsSurrogates(text, raw) ? raw - 1 : raw
}

function endBefore(text: string, end: number): number {
  if (end >= text.length) return text.length
  return splitsSurrogates(text, end) ? end - 1 : end
}
