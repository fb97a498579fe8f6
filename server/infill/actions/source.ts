/**
 * A document as actions read it: its code with the insides of comments and strings blanked, so that a regular expression
 * finds code and nothing else. As far as a few rules carry; no parser. Pure.
 */
import { lineEnd, lineStart, type Span, splitsSurrogates } from '../../base/spans.ts'
import { codeSyntaxOf } from '../languages.ts'
import { lineBreakOf } from '../plan.ts'

export interface Source {
  readonly text: string
  /** The text with each unit in a comment or a string a blank, quotes and line breaks left; as long as the text. */
  readonly code: string
  readonly commentStarts: ReadonlySet<number> // offsets
  readonly languageId: string
  readonly lineBreak: string
}

export function readSource(text: string, languageId: string): Source {
  const commentStarts = new Set<number>()
  // A byte order mark stands before the first line's code.
  const code = blanked(text, languageId, commentStarts).replace(/^\ufeff/, ' ')
  return { text, code, commentStarts, languageId, lineBreak: lineBreakOf(text) }
}

/** The lines around a span: what a list of actions looks at, however long the document is. */
export function linesAround(text: string, span: Span, units = 12_000): Span {
  const start = Math.max(0, span.start - units)
  const end = Math.min(text.length, span.end + units)
  const from = start === 0 ? 0 : text.indexOf('\n', start) + 1
  const to = end === text.length ? end : text.lastIndexOf('\n', end)
  // A line longer than the window has no break in it.
  return {
    start: from === 0 || from > span.start ? whole(text, start) : from,
    end: to < span.end ? whole(text, end) : to,
  }
}

function whole(text: string, offset: number): number {
  return splitsSurrogates(text, offset) ? offset - 1 : offset
}

const patterns = new Map<string, RegExp>()

function blanked(text: string, languageId: string, commentStarts: Set<number>): string {
  return text.replace(patternOf(languageId), (found: string, offset: number) => {
    const quote = /^(?:"""|'''|["'`])/.exec(found)?.[0] ?? ''
    if (quote === '') commentStarts.add(offset)
    const close = quote !== '' && found.length > quote.length && found.endsWith(quote) ? quote : ''
    const inside = found.slice(quote.length, found.length - close.length)
    return quote + inside.replace(/[^\r\n]/g, ' ') + close
  })
}

function patternOf(languageId: string): RegExp {
  const known = patterns.get(languageId)
  if (known) return known
  const { comment, quotes, lifetimes } = codeSyntaxOf(languageId)
  const comments = {
    '//': '\\/\\/[^\\n]*|\\/\\*[^]*?(?:\\*\\/|$)',
    '#': '(?<=^|[\\s(\\[{},;)\\]])#[^\\n]*',
    '--': '--[^\\n]*',
    ';': ';[^\\n]*',
  }
  const strings = quotes.map((quote) => {
    if (quote.length === 3) return `${quote}(?:\\\\[^]|[^\\\\])*?(?:${quote}|$)`
    if (quote === '`') return '`(?:\\\\[^]|[^`\\\\])*(?:`|$)'
    return `${quote}(?:\\\\[^]|[^${quote}\\\\\\n])*${quote}?`
  })
  const character = lifetimes ? ["'(?:\\\\[^\\n]{1,8}?|[^'\\\\\\n])'"] : []
  const pattern = new RegExp([comments[comment], ...strings, ...character].join('|'), 'gm')
  patterns.set(languageId, pattern)
  return pattern
}

/** Of the opening bracket at `offset`; `undefined` where it is not closed within `most` units. */
export function closerOf(code: string, offset: number, most = 20_000): number | undefined {
  let depth = 0
  const end = Math.min(code.length, offset + most)
  for (let at = offset; at < end; at++) {
    const unit = code[at]!
    if (unit === '(' || unit === '[' || unit === '{') depth++
    else if ((unit === ')' || unit === ']' || unit === '}') && --depth === 0) return at
  }
  return undefined
}

/** Of the closing bracket at `offset`. */
export function openerOf(code: string, offset: number, most = 20_000): number | undefined {
  return enclosingOpener(code, offset, '([{', most)
}

/** The innermost bracket of `kinds` that is open at `offset`. */
export function enclosingOpener(code: string, offset: number, kinds = '([{', most = 20_000): number | undefined {
  let depth = 0
  for (let at = offset - 1; at >= 0 && at > offset - most; at--) {
    const unit = code[at]!
    if (unit === ')' || unit === ']' || unit === '}') depth++
    else if (unit === '(' || unit === '[' || unit === '{') {
      if (depth > 0) depth--
      else if (kinds.includes(unit)) return at
    }
  }
  return undefined
}

export function lineSpan(text: string, offset: number): Span {
  return { start: lineStart(text, offset), end: lineEnd(text, offset) }
}

/** The blanks that the line of `offset` begins with. */
export function indentAt(text: string, offset: number): string {
  return /[ \t]*/y.exec(text.slice(lineStart(text, offset), lineEnd(text, offset)))![0]
}

/** One step of indentation, as the document has it: the first deeper line tells. */
export function indentUnit(text: string, languageId: string): string {
  const first = /^(?: {2,8}|\t)(?=[^\s*])/m.exec(text)?.[0]
  if (first !== undefined) return first
  if (languageId === 'go' || languageId === 'makefile') return '\t'
  return languageId === 'python' || languageId === 'rust' ? '    ' : '  '
}

/** Without the blanks at its ends. */
export function trimmed(text: string, { start, end }: Span): Span {
  const inside = text.slice(start, end)
  const head = inside.length - inside.trimStart().length
  return head === inside.length ? { start, end: start } : { start: start + head, end: start + inside.trimEnd().length }
}

export function isEmpty({ start, end }: Span): boolean {
  return start === end
}
