/** *Fill here*, or the placeholders that are selected: several together. */
import type { Span } from '../../base/spans.ts'
import { codeSyntaxOf, commentLines } from '../languages.ts'
import { type Action, type Change, type Hint, most, NotHere, type Place } from './action.ts'
import { indentAt, isEmpty, lineSpan, trimmed } from './source.ts'

const mostPlaceholders = 8

export const fill: Action = {
  name: 'fill',
  kind: 'refactor.rewrite',
  title: 'Fill here',
  offer(place) {
    const { length } = placeholdersAt(place)
    if (length > 0) return [{ title: length === 1 ? 'Fill the placeholder' : `Fill ${length} placeholders together` }]
    return isEmpty(place.selection) ? [{ title: 'Fill here' }] : []
  },
  prepare(request) {
    const { text, selection } = request
    const found = placeholdersAt(request)
    if (found.length > 0) return { ...filled(request, found), maxTokens: most.block }
    if (!isEmpty(selection)) throw new NotHere('There is no placeholder in the selection.')
    const isBlankLine = isBlank(text, lineSpan(text, selection.start))
    const changes = [{ span: selection, fill: { kind: 'hole', scope: isBlankLine ? 'block' : 'line' } }] as const
    return { changes, maxTokens: isBlankLine ? most.block : most.line }
  },
}

/** A placeholder; `wish` is what it says is to be done. */
interface Placeholder {
  readonly span: Span
  readonly wish?: string
}

function filled({ text, languageId, lineBreak }: Place, placeholders: readonly Placeholder[]) {
  const changes: Change[] = []
  const hints: Hint[] = []
  for (const { span, wish } of placeholders) {
    const line = lineSpan(text, span.start)
    const others = text.slice(line.start, span.start) + text.slice(span.end, lineSpan(text, span.end).end)
    const isAlone = /^[\s;,]*$/.test(others)
    changes.push({ span, fill: { kind: 'hole', scope: isAlone ? 'block' : 'line' } })
    if (wish === undefined || hints.some(({ offset }) => offset === line.start)) continue
    const comment = commentLines(wish, languageId, indentAt(text, span.start), lineBreak)
    hints.push({ offset: line.start, text: comment + lineBreak })
  }
  return { changes, hints }
}

/** In the selection; where there is none, the one that the cursor is in or beside. From the left, none inside another. */
function placeholdersAt(place: Place): Placeholder[] {
  const { text, selection } = place
  const from = lineSpan(text, selection.start).start
  const near = text.slice(from, lineSpan(text, selection.end).end)
  const found: Placeholder[] = []
  for (const match of near.matchAll(patternOf(place.languageId))) {
    const start = from + match.index
    const span = trimmed(text, { start, end: start + match[0].length })
    // Inside a string or a comment it only looks like one.
    const isCode = place.commentStarts.has(span.start) || !/\s/.test(place.code[span.start]!)
    if (!isCode || span.start < (found.at(-1)?.span.end ?? 0)) continue
    const isIn = isEmpty(selection)
      ? span.start <= selection.start && selection.start <= span.end
      : selection.start <= span.start && span.end <= selection.end
    const wish = match.groups?.wish?.replace(/\*\/\s*$/, '').trim()
    if (isIn) found.push({ span, ...(wish ? { wish } : {}) })
  }
  return found.slice(0, mostPlaceholders)
}

const patterns = new Map<string, RegExp>()

/**
 * `___`, `...` and `…` that stand for something, a comment that says TODO or nothing, and what each language has for it.
 */
function patternOf(languageId: string): RegExp {
  const known = patterns.get(languageId)
  if (known) return known
  const { comment } = codeSyntaxOf(languageId)
  const kinds = [
    '(?<![\\w$])___(?![\\w$])',
    `${comment}[ \\t]*(?:TODO|FIXME)\\b(?:\\([^)\\n]*\\))?:?[ \\t]*(?<wish>[^\\r\\n]*)`,
  ]
  if (comment === '//') kinds.push('/\\*\\s*(?:\\.\\.\\.|…|(?:TODO|FIXME)\\b[^*\\r\\n]*)?\\s*\\*/')
  // A spread, a range and a rest have a neighbour.
  if (languageId !== 'c' && languageId !== 'cpp') kinds.push('(?<![\\w)\\]}."\'])(?:\\.\\.\\.|…)(?![\\w.$([{"\'*=])')
  if (languageId === 'python')
    kinds.push('(?<=^[ \\t]*)pass(?=[ \\t]*$)', '\\braise NotImplementedError\\b(?:\\([^)\\n]*\\))?')
  if (languageId === 'rust') kinds.push('\\b(?:todo|unimplemented)!\\([^)\\n]*\\)')
  if (/^(?:java|type)script/.test(languageId)) {
    kinds.push('\\bthrow new Error\\(["\'`](?:TODO|[Nn]ot (?:yet )?implemented)[^)\\n]*\\)')
  }
  kinds.push('(?<![\\w$.])TODO(?![\\w$])')
  const pattern = new RegExp(kinds.join('|'), 'gm')
  patterns.set(languageId, pattern)
  return pattern
}

function isBlank(text: string, { start, end }: Span): boolean {
  return text.slice(start, end).trim() === ''
}
