/**
 * The end of a text that was cut short: half an escape, a word that may be half a word, a dot that waits for its member.
 * The word stays when it stands in the document as it is, or when nothing worth showing would be left without it.
 *
 * The one filter that looks at the end of the raw text: run it once, before the others. What it leaves may end in a word
 * again, and that one is whole.
 */
import type { Filter } from './filter.ts'
import { countWordUnits } from './lines.ts'

const halfEscape = /\\(?:x[0-9a-fA-F]?|u[0-9a-fA-F]{0,3}|u\{[0-9a-fA-F]*)?$/
const danglingDot = /(?<=[\p{L}\p{N}_)\]])\??\.$/u
const lastWord = /[\p{L}\p{N}\p{M}_$\ufffd]+$/u

export const dropHalfMade: Filter = (text, context) => {
  if (context.complete) return text
  if (halfEscape.test(text)) return text.replace(halfEscape, '')
  const word = text.match(lastWord)?.[0] ?? ''
  const head = text.slice(0, text.length - word.length)
  if (word === '') return text.replace(danglingDot, '')
  if (countWordUnits(head) === 0) return text
  const words = new Set(`${context.before}\n${context.after}`.match(/[\p{L}\p{N}\p{M}_$]+/gu))
  return words.has(word) ? text : head.replace(danglingDot, '')
}
