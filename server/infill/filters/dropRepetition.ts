/**
 * Text that says nothing new: one word over and over, lines in a loop, the line or lines above once more, the line below.
 * Brackets and data (`0, 0, 0`, `}`) may repeat as they like.
 */
import type { Filter, FinishContext } from './filter.ts'
import { cursorLine, isBlank, restOfLine } from './lines.ts'

const sameWord = /(?<![\p{L}\p{N}_$])([\p{L}_$][\p{L}\p{N}_$]*)(?:[ \t]+\1(?![\p{L}\p{N}_$])){2}/u
const maxPeriod = 4 // lines

export const dropRepetition: Filter = (text, context) => {
  if (sameWord.test(text)) return ''
  const once = cutLoop(text)
  if (!saysSomething(once)) return once
  return repeatsAbove(once, context) || repeatsBelow(once, context) ? '' : once
}

/** Cuts the text after the first round of lines that come three times in a row; a text that is but a loop goes whole. */
function cutLoop(text: string): string {
  const lines = text.split('\n')
  for (let start = 0; start < lines.length; start++) {
    for (let period = 1; period <= maxPeriod && start + 3 * period <= lines.length; period++) {
      if (!lines.slice(start, start + period).some(saysSomething)) continue
      let end = start + period
      while (end < lines.length && lines[end] === lines[end - period]) end++
      if (end - start < 3 * period) continue
      const isAll = isBlank(lines.slice(0, start).join('')) && isBlank(lines.slice(end).join(''))
      return isAll ? '' : lines.slice(0, start + period).join('\n')
    }
  }
  return text
}

function repeatsAbove(text: string, context: FinishContext): boolean {
  const completed = completedLines(text, context)
  const above = context.before
    .split('\n')
    .slice(0, -1)
    .filter((line) => !isBlank(line))
  return completed.some(saysSomething) && sameLines(above.slice(-completed.length), completed)
}

function repeatsBelow(text: string, context: FinishContext): boolean {
  const completed = completedLines(text, context)
  const below = context.after
    .split('\n')
    .slice(1)
    .filter((line) => !isBlank(line))
  return completed.some(saysSomething) && sameLines(below.slice(0, completed.length), completed)
}

/** The cursor's line and those that follow it, as they are with the text inserted, blank ones left out. */
function completedLines(text: string, context: FinishContext): string[] {
  return (cursorLine(context) + text + restOfLine(context)).split('\n').filter((line) => !isBlank(line))
}

function sameLines(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((line, index) => line.trimEnd() === right[index]!.trimEnd())
}

/** Three letters in a row or more: no bracket, no number, no row of data. */
function saysSomething(line: string): boolean {
  return /\p{L}{3}/u.test(line)
}
