/**
 * How much of the rest of the line an edit replaces, in UTF-16 units. Mostly none: what repeats at the end of a text was
 * cut there. But where the text writes what follows *inside* itself, as `a).then(b)` does in front of an automatic `)`,
 * it replaces it.
 */
import type { FinishContext } from './filter.ts'
import { countWordUnits, isBlank, joinsWords, restOfLine } from './lines.ts'
import { reach } from './readCode.ts'

export function replacedAfter(text: string, context: FinishContext): number {
  const rest = restOfLine(context).trimEnd()
  if (isBlank(rest)) return 0
  return countWordUnits(rest) > 0 ? replacedWords(text, rest, context) : replacedClosers(text, rest, context)
}

/**
 * All of the rest or nothing. It must stand in the text as it is, on word boundaries, and the brackets must gain by it;
 * or they must not suffer, where an insertion would glue the text's last word to the document's.
 */
function replacedWords(text: string, rest: string, context: FinishContext): number {
  const at = text.indexOf(rest)
  if (at < 0 || joinsWords(context.before + text.slice(0, at), rest) || joinsWords(rest, text.slice(at + rest.length)))
    return 0
  const inserted = reach(text, context)
  const replaced = reachFrom(text, rest.length, context)
  return replaced > inserted || (replaced === inserted && joinsWords(text, rest)) ? rest.length : 0
}

/** The fewest closers with which the document reads best; each must stand in the text, in their order. */
function replacedClosers(text: string, rest: string, context: FinishContext): number {
  let best = 0
  let bestReach = reach(text, context)
  let at = 0
  for (let length = 1; length <= rest.length && /[)\]}"'`;,:\s]/.test(rest[length - 1]!); length++) {
    at = text.indexOf(rest[length - 1]!, at) + 1
    if (at === 0) break
    const thisReach = reachFrom(text, length, context)
    if (thisReach <= bestReach) continue
    best = length
    bestReach = thisReach
  }
  // `a).then(b);` in front of `);`
  while (best > 0 && /[;,:]/.test(rest[best] ?? '') && text.endsWith(rest[best]!)) best++
  return best
}

/** `reach`, when the text takes the place of the first `length` units of what follows; counted in the same units. */
function reachFrom(text: string, length: number, context: FinishContext): number {
  return length + reach(text, { ...context, after: context.after.slice(length) })
}
