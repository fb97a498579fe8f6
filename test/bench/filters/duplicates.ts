/**
 * Does a completion say again what stands right of the cursor? Judged by the text that really stood in the gap, not by
 * the filters' own rules, so that a filter is not measured with itself.
 */
import type { FilterPlace } from './places.ts'

export type Duplicate =
  /** Words of the rest of the line stand twice. */
  | 'rest'
  /** A closing bracket or quote stands twice. */
  | 'closer'
  /** The next line, or several, stands twice. */
  | 'line'

const leastWordUnits = 3

/**
 * @param text inserted at the place.
 * @param replaceAfter UTF-16 units right of the cursor that it takes the place of.
 * @returns the worst of what stands twice; undefined when nothing does.
 */
export function duplicateOf(text: string, replaceAfter: number, place: FilterPlace): Duplicate | undefined {
  const { text: document, offset, truth } = place
  const after = document.slice(offset + replaceAfter)
  const rest = firstLine(after)
  const written = text.trimEnd()
  if (repeatsRest(written, rest) && !repeatsRest(truth.trimEnd(), rest)) return 'rest'
  if (repeatsLines(text, after) && !repeatsLines(truth, document.slice(offset))) return 'line'
  return repeatsCloser(written, document.slice(offset, offset + replaceAfter), after, truth) ? 'closer' : undefined
}

/** Ends with the rest of the line, or with a beginning of it that holds a word. */
function repeatsRest(text: string, rest: string): boolean {
  const whole = rest.trim()
  for (let length = Math.min(text.length, whole.length); length > 0; length--) {
    const head = whole.slice(0, length)
    if (!text.endsWith(head)) continue
    const cutsWord = /\w$/.test(head) && /^\w/.test(whole.slice(length))
    const startsInWord = /^\w/.test(head) && /\w$/.test(text.slice(0, text.length - length))
    if (wordUnits(head) >= leastWordUnits && !cutsWord && !startsInWord) return true
  }
  return false
}

/** Its last line, below the cursor's own, is the next line of the document. */
function repeatsLines(text: string, after: string): boolean {
  const lines = text.split('\n')
  const last = lines.findLastIndex((line) => line.trim() !== '')
  if (last < 1 || firstLine(after).trim() !== '') return false
  const next = after
    .split('\n')
    .slice(1)
    .find((line) => line.trim() !== '')
  return next !== undefined && next.trimEnd() === lines[last]!.trimEnd() && wordUnits(next) >= leastWordUnits
}

/** It ends in what comes next anyway, and closes more of what was open before it than the truth did. */
function repeatsCloser(text: string, replaced: string, after: string, truth: string): boolean {
  const last = text.at(-1) ?? ''
  if (!/[)\]}"'`]/.test(last) || !after.trimStart().startsWith(last)) return false
  const count = (whole: string) => whole.split(last).length - 1
  if (/["'`]/.test(last)) return (count(text) - count(replaced)) % 2 !== count(truth) % 2
  return closesOutside(text) - closesOutside(replaced) > closesOutside(truth)
}

/** How many of its closers close what was open before it; strings are not looked into. */
function closesOutside(text: string): number {
  const open: string[] = []
  let outside = 0
  for (const unit of text) {
    const closer = { '(': ')', '[': ']', '{': '}' }[unit]
    if (closer) open.push(closer)
    else if (')]}'.includes(unit) && open.pop() !== unit) outside++
  }
  return outside
}

function wordUnits(text: string): number {
  return text.match(/\w/g)?.length ?? 0
}

function firstLine(text: string): string {
  const end = text.indexOf('\n')
  return end < 0 ? text : text.slice(0, end)
}
