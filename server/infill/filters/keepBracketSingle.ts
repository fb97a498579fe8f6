/**
 * A closing bracket or quote at the end of the text goes when it would stand twice, because the document (or the editor,
 * which closed it by itself) has it right of the cursor; and when nothing open is left for it to close.
 *
 * Of two readings, with and without the closer, the one wins with which more of the document reads well; when both read
 * alike the closer stays.
 */
import type { Filter, FinishContext } from './filter.ts'
import { cursorLine, indentOf, isBlank, restOfLine } from './lines.ts'
import { gainWithout, openAfter, openerColumns } from './readCode.ts'

export const keepBracketSingle: Filter = (text, context) => {
  const closers = text.match(/[)\]}"'`]+$/)?.[0] ?? ''
  for (let length = closers.length; length > 0; length--) {
    if (!context.after.startsWith(closers.slice(-length))) continue
    if (gainWithout(length, text, context) > 0) return text.slice(0, -length)
  }
  if (/[)\]}]$/.test(text) && (isSurplus(text, context) || isOnNextLine(text, context))) return text.slice(0, -1)
  if (doublesInComment(text, context)) return text.slice(0, -1)
  return doublesAngle(text, context) ? text.slice(0, -1) : text
}

/** The last closer, where it closes a bracket that the document closes too, or none at all. */
function isSurplus(text: string, context: FinishContext): boolean {
  const closer = text.at(-1)!
  const open = openAfter(text.slice(0, -1), context)
  if (open.quote !== '') return false
  if (gainWithout(1, text, context) > 0) return true
  if (open.brackets.includes(closer) || unpaired.has(context.languageId ?? '')) return false
  return !closesOutside(text, context)
}

/** Languages in which `1)` or `pattern)` closes nothing. */
const unpaired: ReadonlySet<string> = new Set([
  'shellscript',
  'plaintext',
  'markdown',
  'latex',
  'tex',
  'restructuredtext',
])

/** True when the opener may stand above the window: no line in sight opens a bracket where the closer stands. */
function closesOutside(text: string, context: FinishContext): boolean {
  const lines = (context.before + text).split('\n')
  const last = lines.pop()!
  return /^\s*[)\]}]$/.test(last) && !openerColumns(lines.join('\n')).has(indentOf(last))
}

/** Where the cursor's line ends in the opener, and the next line begins with the closer that belongs to it. */
function isOnNextLine(text: string, context: FinishContext): boolean {
  const line = cursorLine(context)
  const next = context.after.split('\n').find((one, i) => i > 0 && !isBlank(one))
  if (!isBlank(restOfLine(context)) || next === undefined || !next.trimStart().startsWith(text.at(-1)!)) return false
  if (!/[([{]\s*$/.test(line) || indentOf(next) !== indentOf(line)) return false
  const opened = openAfter('', context).brackets
  const left = openAfter(text.slice(0, -1), context)
  return left.quote === '' && left.brackets.length === opened.length && opened.at(-1) === text.at(-1)
}

/** In a line comment, where brackets are read by nobody: counted from where the comment begins. */
function doublesInComment(text: string, context: FinishContext): boolean {
  const closer = text.at(-1) ?? ''
  const opener = { ')': '(', ']': '[', '}': '{' }[closer]
  const rest = restOfLine(context)
  if (opener === undefined || !rest.startsWith(closer) || text.includes('\n')) return false
  if (openAfter('', context).quote !== '\n') return false
  const comment = /(?:\/\/|#|--).*$/.exec(cursorLine(context))?.[0] ?? ''
  const surplus = (part: string) => part.split(closer).length - part.split(opener).length
  return surplus(comment) < 0 && surplus(comment + text + rest) > 0
}

/** `>` of a tag or a type argument, which no reader of brackets can tell from "greater": counted on the line. */
function doublesAngle(text: string, context: FinishContext): boolean {
  const rest = restOfLine(context)
  if (!text.endsWith('>') || !rest.startsWith('>')) return false
  const line = cursorLine(context) + text.slice(text.lastIndexOf('\n') + 1) + rest
  const openers = line.match(/<(?![\s<=-])/g)?.length ?? 0
  const closers = line.match(/(?<![\s=-])>|\/>/g)?.length ?? 0
  return closers > openers
}
