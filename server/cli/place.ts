/** `FILE:LINE:COL` ↔ offsets. LINE and COL count from 1, COL in UTF-16 units. */
import { UserError } from '../base/errors.ts'
import { lineEnd, splitsSurrogates } from '../base/spans.ts'

export interface FilePlace {
  readonly file: string
  readonly line: number
  readonly column: number
}

/** @throws {UserError} when the argument has another shape. */
export function parsePlace(argument: string): FilePlace {
  const match = /^(.+):(\d+):(\d+)$/.exec(argument)
  if (!match || match[2] === '0' || match[3] === '0') {
    throw new UserError(`wanted FILE:LINE:COL with LINE and COL from 1, found "${argument}"`)
  }
  return { file: match[1]!, line: Number(match[2]), column: Number(match[3]) }
}

/** @throws {UserError} when the place is outside the text; the message says where it ends. */
export function offsetOf(text: string, { file, line, column }: FilePlace): number {
  const starts = lineStarts(text)
  const start = starts[line - 1]
  if (start === undefined) throw new UserError(`${file} has ${starts.length} lines, asked was line ${line}`)
  const length = lineEnd(text, start) - start
  if (column > length + 1)
    throw new UserError(`line ${line} of ${file} ends at column ${length + 1}, asked was column ${column}`)
  const offset = start + column - 1
  if (splitsSurrogates(text, offset)) {
    throw new UserError(
      `column ${column} of line ${line} of ${file} is inside a character of two UTF-16 units; ask for ${column + 1}`,
    )
  }
  return offset
}

/** 0-based, as LSP counts. */
export function positionOf(text: string, offset: number): { line: number; character: number } {
  const starts = lineStarts(text)
  const line = starts.findLastIndex((start) => start <= offset)
  return { line, character: offset - starts[line]! }
}

function lineStarts(text: string): number[] {
  const starts = [0]
  for (const match of text.matchAll(/\r\n?|\n/g)) starts.push(match.index + match[0].length)
  return starts
}
