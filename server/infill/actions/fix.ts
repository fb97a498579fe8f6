/** *Fix this diagnostic*: what it points at is masked, and what it says stands before the line as a comment. */
import { beginningOf, lineEnd, lineStart, type Span } from '../../base/spans.ts'
import { commentLines } from '../languages.ts'
import { type Action, most, NotHere, type Place } from './action.ts'
import { nameAt, nameLike } from './names.ts'
import { indentAt, isEmpty, trimmed } from './source.ts'

const mostOffered = 2
const mostLines = 12
const mostTitleUnits = 60
const mostMessageUnits = 300

export const fix: Action = {
  name: 'fix',
  kind: 'quickfix',
  title: 'Fix the diagnostic',
  offer: ({ text, selection }, diagnostics) =>
    diagnostics
      .filter(
        ({ span, message }) => touch(span, selection) && message.trim() !== '' && linesOf(text, span) <= mostLines,
      )
      .slice(0, mostOffered)
      .map(({ span, message }) => ({
        title: `Fix: ${shortened(message)}`,
        span,
        message: beginningOf(message, mostMessageUnits),
      })),
  prepare(request) {
    const { text, languageId, lineBreak, message = '' } = request
    if (linesOf(text, request.selection) > mostLines) throw new NotHere('The diagnostic is about too many lines.')
    const { span, name } = maskedOf(request)
    const isBlock = linesOf(text, span) > 1
    const comment = commentLines(message, languageId, indentAt(text, span.start), lineBreak)
    // A name that is wrong by what is said of it is a name again, and another one.
    const isName = name !== undefined && message.includes(name)
    return {
      changes: [{ span, fill: isName ? aName : { kind: 'hole', scope: isBlock ? 'block' : 'line' } }],
      hints: comment === '' ? [] : [{ offset: lineStart(text, span.start), text: comment + lineBreak }],
      maxTokens: isBlock ? most.block : most.line,
      ...(isName ? { names: { pattern: nameLike(name, languageId), taken: new Set([name]) } } : {}),
    }
  },
}

const aName = { kind: 'name', link: 0, ask: true, meanwhile: '' } as const

/**
 * The word a diagnostic points at; where it points at none, the line from there on, so that what is left of it stays; of
 * more lines than one all.
 */
function maskedOf({ text, languageId, selection }: Place): { readonly span: Span; readonly name?: string } {
  const word = isEmpty(selection) ? undefined : nameAt(text, languageId, selection.start)
  if (word && word.start <= selection.start && selection.end <= word.end)
    return { span: word, name: text.slice(word.start, word.end) }
  const whole = trimmed(text, { start: lineStart(text, selection.start), end: lineEnd(text, selection.end) })
  const start = linesOf(text, selection) > 1 ? whole.start : Math.max(whole.start, selection.start)
  return { span: { start: Math.min(start, whole.end), end: whole.end } }
}

function touch(a: Span, b: Span): boolean {
  return a.start <= b.end && b.start <= a.end
}

function linesOf(text: string, { start, end }: Span): number {
  return text.slice(start, end).split('\n').length
}

function shortened(message: string): string {
  const line = message.trim().split(/[\r\n]/, 1)[0]!
  return line.length <= mostTitleUnits ? line : `${beginningOf(line, mostTitleUnits - 1)}…`
}
