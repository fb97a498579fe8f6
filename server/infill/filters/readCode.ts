/**
 * A reader of brackets, strings and comments for any language, as far as a few lines of rules carry: good enough to see
 * that a bracket would stand twice, no parser. What it takes wrongly, such as a regular expression with a lone quote,
 * it forgets at the next line.
 */
import { type CodeSyntax, codeSyntaxOf } from '../languages.ts'
import type { FinishContext } from './filter.ts'
import { cursorLine, indentOf, restOfLine } from './lines.ts'

/** Where the reader stands. */
export interface Open {
  readonly brackets: readonly string[] // the closers awaited, innermost last
  readonly quote: string // what ends the string or comment we are in (a line comment: LF); '' in code
  readonly quoteBrackets: readonly string[] // the closers awaited inside that string, as in f"{
}

export const nothingOpen: Open = { brackets: [], quote: '', quoteBrackets: [] }

export interface Reading {
  readonly open: Open
  /** Offset of the first closer without an opener, or of a quote without its end; the text's length when there is none. */
  readonly troubleOffset: number
}

const closerOf: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}' }
const multiline = new Set(['"""', "'''", '`', '*/'])
const charLiteral = /'(?:\\(?:u\{[^}'\n]*\}|x[^'\n]{0,2}|[^\n])|[^'\\\n])'/y

/**
 * Reads on from where `from` stands.
 *
 * @param openerColumns where given, a closer that begins its line at none of these columns, with nothing open, belongs to
 *   an opener outside of what was read: reading ends there without trouble.
 */
export function readCode(text: string, from: Open, languageId = '', openerColumns?: ReadonlySet<number>): Reading {
  const syntax = codeSyntaxOf(languageId)
  const brackets = [...from.brackets]
  let { quote } = from
  let quoteBrackets = [...from.quoteBrackets]
  let quoteOffset = -1 // of the string we are in; −1 when it began before this text
  let troubleOffset = text.length
  const trouble = (offset: number) => {
    troubleOffset = Math.min(troubleOffset, offset)
  }

  let at = 0
  while (at < text.length) {
    const unit = text[at]!
    if (quote === '\n' || quote === '*/') {
      const end = text.indexOf(quote, at)
      if (end < 0) break
      at = end + quote.length
      quote = ''
      continue
    }
    if (unit === '\\') {
      at += 2
      continue
    }
    if (quote !== '') {
      if (text.startsWith(quote, at)) {
        at += quote.length
        quote = ''
        quoteBrackets = []
        continue
      }
      if (unit === '\n' && !multiline.has(quote)) {
        // Never closed on its line: an apostrophe, or a string that is still being written.
        trouble(quoteOffset < 0 ? at : quoteOffset)
        at = quoteOffset < 0 ? at + 1 : quoteOffset + quote.length
        quote = ''
        quoteBrackets = []
        continue
      }
      if (!take(unit, quoteBrackets)) trouble(at)
      at++
      continue
    }
    if (text.startsWith(syntax.comment, at) && startsComment(syntax, text, at)) {
      quote = '\n'
      continue
    }
    if (syntax.comment === '//' && text.startsWith('/*', at)) {
      quote = '*/'
      at += 2
      continue
    }
    const opening = syntax.quotes.find((candidate) => text.startsWith(candidate, at))
    if (opening !== undefined) {
      quote = opening
      quoteOffset = at
      at += opening.length
      continue
    }
    charLiteral.lastIndex = at
    if (syntax.lifetimes && charLiteral.test(text)) {
      at = charLiteral.lastIndex
      continue
    }
    if (brackets.length === 0 && openerColumns !== undefined && ')]}'.includes(unit)) {
      const lineAt = text.lastIndexOf('\n', at) + 1
      const blanks = text.slice(lineAt, at)
      if (lineAt > 0 && blanks.trim() === '' && !openerColumns.has(indentOf(blanks))) break
    }
    if (!take(unit, brackets)) trouble(at)
    at++
  }
  if (quote !== '' && quote !== '\n' && quote !== '*/' && quoteOffset >= 0) trouble(quoteOffset)
  return { open: { brackets, quote, quoteBrackets }, troubleOffset }
}

/** A hash that begins no comment: `$#`, `a#b` in a shell or a URL. */
function startsComment(syntax: CodeSyntax, text: string, at: number): boolean {
  return syntax.comment !== '#' || at === 0 || /\s|[()[\]{},;]/.test(text[at - 1]!)
}

/** Opens or closes a bracket in `awaited`. False when it closes what was not opened last. */
function take(unit: string, awaited: string[]): boolean {
  const closer = closerOf[unit]
  if (closer !== undefined) {
    awaited.push(closer)
    return true
  }
  if (!')]}'.includes(unit)) return true
  if (awaited.at(-1) === unit) {
    awaited.pop()
    return true
  }
  const opener = awaited.lastIndexOf(unit)
  if (opener >= 0) awaited.length = opener
  return false
}

/** What is open at the end of `text`, inserted at the cursor. */
export function openAfter(text: string, context: FinishContext): Open {
  const { open } = readCode(context.before, nothingOpen, context.languageId)
  return readCode(text, open, context.languageId).open
}

/** What is further away than this says little of the cursor's line. */
const maxLinesAfter = 16

/**
 * How far into `after` all reads well when `text` is inserted at the cursor: of two texts the one that carries further
 * has the better brackets and quotes. In UTF-16 units of `after`; infinite when no trouble is in sight.
 */
export function reach(text: string, context: FinishContext): number {
  const near = context.after.split('\n', maxLinesAfter).join('\n')
  const columns = openerColumns(context.before + text)
  return troubleIn(near, openAfter(text, context), context.languageId, columns)
}

/** `reach`, where nothing but the cursor's line is known: inside a long function the next closer may be far away. */
function reachOnLine(text: string, context: FinishContext): number {
  const line = cursorLine(context) + text
  const { open } = readCode(line.slice(line.lastIndexOf('\n') + 1), nothingOpen, context.languageId)
  return troubleIn(restOfLine(context), open, context.languageId)
}

function troubleIn(text: string, open: Open, languageId?: string, columns?: ReadonlySet<number>): number {
  const { troubleOffset } = readCode(text, open, languageId, columns)
  return troubleOffset < text.length ? troubleOffset : Number.POSITIVE_INFINITY
}

/** The columns at which lines begin that end in an opening bracket: where its closer is to be looked for. */
export function openerColumns(code: string): ReadonlySet<number> {
  const columns = new Set<number>()
  for (const line of code.split('\n')) {
    if (/[([{]\s*(?:\/\/.*|#.*|\/\*.*)?$/.test(line)) columns.add(indentOf(line))
  }
  return columns
}

/**
 * 1 when the document reads better without the last `length` units of `text`, which stand right of the cursor too, −1
 * when it needs them, 0 when it cannot be told. A bracket that the text closes for itself is needed, unless the
 * document's own closer then closes nothing.
 */
export function gainWithout(length: number, text: string, context: FinishContext): -1 | 0 | 1 {
  const head = text.slice(0, -length)
  const kept = reach(text, context)
  const keptOnLine = reachOnLine(text, context)
  const gain = compare(reach(head, context), kept) || compare(reachOnLine(head, context), keptOnLine)
  const isNeeded = Math.min(kept, keptOnLine) >= length && closesOwnBracket(text, length, context)
  return gain >= 0 && isNeeded ? -1 : gain
}

function compare(left: number, right: number): -1 | 0 | 1 {
  if (left === right) return 0
  return left > right ? 1 : -1
}

/** True when the last `length` units of `text` close a bracket that `text` itself opened before them. */
function closesOwnBracket(text: string, length: number, context: FinishContext): boolean {
  const { quote } = openAfter('', context)
  const { languageId } = context
  const head = readCode(text.slice(0, -length), { ...nothingOpen, quote }, languageId).open
  const isInString = head.quote !== ''
  if (head.brackets.length + (isInString ? head.quoteBrackets.length : 0) === 0) return false
  const tail = text.slice(-length)
  const alone = readCode(tail, { ...nothingOpen, quote: head.quote }, languageId)
  return /[)\]}]/.test(tail[alone.troubleOffset] ?? '')
}
