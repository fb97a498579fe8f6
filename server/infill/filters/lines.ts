/** Lines and words around the cursor. Lines end in LF. */
import type { FinishContext } from './filter.ts'

/** What stands left of the cursor on its line. */
export function cursorLine(context: FinishContext): string {
  return context.before.slice(context.before.lastIndexOf('\n') + 1)
}

/** What stands right of the cursor on its line. */
export function restOfLine(context: FinishContext): string {
  const end = context.after.indexOf('\n')
  return end < 0 ? context.after : context.after.slice(0, end)
}

export function isBlank(text: string): boolean {
  return text.trim() === ''
}

/** Column of the first non-blank; a tab goes to the next multiple of 4. */
export function indentOf(line: string): number {
  let column = 0
  for (const unit of line) {
    if (unit === ' ') column++
    else if (unit === '\t') column += 4 - (column % 4)
    else break
  }
  return column
}

const wordUnit = /[\p{L}\p{N}\p{M}_$]/gu

export function countWordUnits(text: string): number {
  return text.match(wordUnit)?.length ?? 0
}

/** True when the text's last character and the next one would read as one word. */
export function joinsWords(left: string, right: string): boolean {
  return /[\p{L}\p{N}\p{M}_$]$/u.test(left) && /^[\p{L}\p{N}\p{M}_$]/u.test(right)
}
