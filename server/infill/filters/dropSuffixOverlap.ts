/**
 * The end of the text that repeats what stands right of the cursor: of the rest of the line, or whole lines below it.
 * This is the chief visible fault of models that fill a middle, so the longest repetition is cut.
 *
 * What merely looks alike stays: `)` that closes a bracket of the text itself, one letter of two different words, a short
 * `, 0` in front of another, a line with another indentation. Runs of closers alone are `keepBracketSingle`'s.
 */
import type { Filter, FinishContext } from './filter.ts'
import { countWordUnits, cursorLine, isBlank, joinsWords, restOfLine } from './lines.ts'
import { gainWithout, reach } from './readCode.ts'

const minWordUnits = 3
const closersOnly = /^(?:[)\]}"'`]*|>+)$/
const halfOperator = /^[=&|+\-*/<>.:!?\\]$/ // with the next one it may be `==` or `&&`
const closingLine = /^\s*(?:[)\]}]|<\/|"""|'''|`|\*\/)/

export const dropSuffixOverlap: Filter = (text, context) => {
  if (isBlank(text)) return text
  return isBlank(restOfLine(context)) ? dropLineEcho(text, context) : dropRestOfLine(text, context)
}

function dropRestOfLine(text: string, context: FinishContext): string {
  const rest = restOfLine(context)
  for (let length = Math.min(text.length, rest.length); length > 0; length--) {
    if (text.endsWith(rest.slice(0, length)) && isRepetition(text, length, context)) return text.slice(0, -length)
  }
  return text
}

function isRepetition(text: string, length: number, context: FinishContext): boolean {
  const rest = restOfLine(context)
  const overlap = rest.slice(0, length)
  const head = text.slice(0, -length)
  if (isBlank(overlap) || closersOnly.test(overlap)) return false
  if (joinsWords(context.before + head, overlap) || joinsWords(overlap, rest.slice(length))) return false

  const isWholeRest = isBlank(rest.slice(length))
  if (!isWholeRest && halfOperator.test(overlap)) return false
  const wordUnits = countWordUnits(overlap)
  const gain = gainWithout(length, text, context)
  if (gain < 0) return false
  if (gain === 0 && wordUnits === 0 && !isWholeRest && /[()[\]{}]/.test(overlap)) return false
  // An overlap that begins with a word would glue the text's word to the document's.
  return isWholeRest || wordUnits === 0 || wordUnits >= minWordUnits || joinsWords('a', overlap)
}

function dropLineEcho(text: string, context: FinishContext): string {
  const below = context.after
    .split('\n')
    .slice(1)
    .filter((line) => !isBlank(line))
  const lines = linesWithOffset(text, context).filter(({ line }) => !isBlank(line))
  for (let count = Math.min(below.length, lines.length); count > 0; count--) {
    const tail = lines.slice(-count)
    const startOffset = tail[0]!.startOffset
    if (startOffset === 0 && !isBlank(cursorLine(context))) continue
    if (!tail.every(({ line }, index) => repeats(line, below[index]!, index === count - 1 && !context.complete)))
      continue
    if (!tail.some(({ line }) => countWordUnits(line) >= minWordUnits || closingLine.test(line))) continue
    const head = text.slice(0, startOffset)
    if (reach(head, context) >= reach(text, context)) return head
  }
  return text
}

/** The text's lines as they stand once inserted, each with the offset of the line break in front of it. */
function linesWithOffset(text: string, context: FinishContext): { line: string; startOffset: number }[] {
  let startOffset = 0
  return text.split('\n').map((part, index) => {
    const line = index === 0 ? cursorLine(context) + part : part
    const entry = { line, startOffset }
    startOffset += part.length + (index === 0 ? 0 : 1)
    return entry
  })
}

function repeats(line: string, below: string, mayBeCutShort: boolean): boolean {
  if (line.trimEnd() === below.trimEnd()) return true
  return mayBeCutShort && countWordUnits(line) >= minWordUnits && below.startsWith(line)
}
