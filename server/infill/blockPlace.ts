/** Whether more than the rest of a line is wanted where somebody asks by hand. Pure. */
import { lineEnd, lineStart } from '../base/spans.ts'

/** What ends a line that a block follows. */
const opensBlock = /(?:[:{]|=>|\b(?:then|do|begin|else))[ \t]*$/

/** Nothing stands right of the cursor on its line, and nothing left of it either, or what opens a block. */
export function isBlockPlace(text: string, offset: number): boolean {
  if (text.slice(offset, lineEnd(text, offset)).trim() !== '') return false
  const line = text.slice(lineStart(text, offset), offset)
  return line.trim() === '' || opensBlock.test(line)
}
