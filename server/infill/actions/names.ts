/** Where a name stands, as far as words and brackets tell. Pure. */
import type { Span } from '../../base/spans.ts'
import { nameSyntaxOf } from '../languages.ts'
import { functionAt } from './blocks.ts'
import { enclosingOpener, lineSpan, type Source } from './source.ts'

export const keywords: ReadonlySet<string> = new Set(
  (
    'abstract and any as assert async await bool boolean break case catch chan char class const continue debugger def default ' +
    'defer del delete do double elif else end enum except export extends extern False false final finally float fn for from fun ' +
    'func function global go goto if impl implements import in instanceof int interface is lambda let local long loop match mod ' +
    'module mut namespace new nil None nonlocal not null number object of or package pass print private protected public pub ' +
    'raise range readonly return self short static str string struct super switch then this throw throws trait True true try ' +
    'type typeof undefined union unknown unless unsafe until use using var void when where while with yield'
  ).split(' '),
)

/** All names of the code, keywords too. */
export function namesIn({ code, languageId }: Pick<Source, 'code' | 'languageId'>): ReadonlySet<string> {
  return new Set(code.match(anyName(languageId)))
}

/** The name at an offset, or just before it. */
export function nameAt(text: string, languageId: string, offset: number): Span | undefined {
  const line = lineSpan(text, offset)
  for (const match of text.slice(line.start, line.end).matchAll(anyName(languageId))) {
    const start = line.start + match.index
    if (start <= offset && offset <= start + match[0].length) return { start, end: start + match[0].length }
  }
  return undefined
}

/** No number: at least one letter. */
function anyName(languageId: string): RegExp {
  const { units, marks, end } = nameSyntaxOf(languageId)
  return new RegExp(`(?<![${units}${marks}])(?![-+.]?\\d)(?=[${units}]*[\\p{L}_$])[${units}]+${end}`, 'gu')
}

/** This name and no longer one, wherever it stands. */
export function wherever(name: string, languageId: string): RegExp {
  const { units, marks, end } = nameSyntaxOf(languageId)
  const isEnded = end !== '' && new RegExp(`[^${units}]$`, 'u').test(name)
  const goesOn = end === '' || isEnded ? `[${units}]` : `[${units}]|${end.replace(/\?$/, '')}`
  return new RegExp(`(?<![${units}${marks}])${escaped(name)}(?!${goesOn})`, 'gu')
}

/** What a text begins with, where that is a name such as `like`. */
export function nameLike(like: string, languageId: string): RegExp {
  const { sigil } = nameSyntaxOf(languageId)
  const kind = sigil ? (like.startsWith('$') ? '(?=\\$)' : '(?!\\$)') : ''
  return new RegExp(`^${kind}${anyName(languageId).source}`, 'u')
}

/** What the name at an offset is bound in: the function around it that binds it, or the whole text. */
export function scopeOf(source: Source, name: string, offset: number): Span {
  for (let at = offset; ; ) {
    const found = functionAt(source, at)
    if (!found) return { start: 0, end: source.text.length }
    const span = { start: found.header.start, end: found.body.end }
    const { parameters } = found.function
    if (binds(source, name, parameters, found.body)) return span
    if (span.start === 0) return { start: 0, end: source.text.length }
    at = span.start - 1
  }
}

function binds({ code, languageId }: Source, name: string, parameters: Span, body: Span): boolean {
  const word = wherever(name, languageId).source
  if (new RegExp(word, 'u').test(code.slice(parameters.start, parameters.end))) return true
  const bound = new RegExp(
    `(?:\\b(?:let|const|var|for|as|mut|local|with)\\s+[({[\\w\\s,]*?${word})|(?:^|;|\\{)[ \\t]*${word}[ \\t]*(?::=|=(?!=)|:[^=\\n]*=)`,
    'mu',
  )
  return bound.test(code.slice(body.start, body.end))
}

/**
 * Of a variable, a function or a parameter; members (`a.name`), keys and names of arguments are others' names.
 *
 * @returns `undefined` where a place cannot be told from a key: `{ name }` is both.
 */
export function occurrencesOf({ code, languageId }: Source, name: string, { start, end }: Span): Span[] | undefined {
  const found: Span[] = []
  const isScript = /^(?:java|type)script/.test(languageId)
  for (const { index } of code.slice(start, end).matchAll(wherever(name, languageId))) {
    const at = start + index
    const after = at + name.length
    const [left, right] = [code.slice(Math.max(0, at - 40), at), code.slice(after, after + 40)]
    if (isMember(left, languageId)) continue
    if (isScript && /[{,]\s*$/.test(left) && /^\s*[,:}]/.test(right)) {
      const opener = enclosingOpener(code, at)
      if (opener !== undefined && code[opener] === '{') {
        if (/^\s*:/.test(right)) continue // a key, or a name that is taken out of an object by it
        return undefined
      }
    }
    if (languageId === 'python' && /^\s*=(?!=)/.test(right)) {
      const opener = enclosingOpener(code, at)
      const isCall =
        opener !== undefined &&
        code[opener] === '(' &&
        !/\bdef\s+\w+\s*$/.test(code.slice(Math.max(0, opener - 80), opener))
      if (isCall) continue
    }
    found.push({ start: at, end: after })
  }
  return found
}

/** Whether a name may be code within a string too: in braces, or behind a dollar. */
export function standsInTemplate({ text, code, commentStarts, languageId }: Source, name: string, span: Span): boolean {
  const { units } = nameSyntaxOf(languageId)
  const opening = name.startsWith('$') ? '' : `(?:\\$|\\{[^{}\\n]*(?<![${units}]))`
  const comments = [...commentStarts]
  for (const found of text
    .slice(span.start, span.end)
    .matchAll(new RegExp(`${opening}${escaped(name)}(?![${units}])`, 'gu'))) {
    const at = span.start + found.index + found[0].length - 1
    if (!isBlank(code.slice(at, at + 1))) continue
    const comment = comments.findLast((start) => start <= at)
    if (comment === undefined || !isBlank(code.slice(comment, at))) return true
  }
  return false
}

function isBlank(code: string): boolean {
  return code.trim() === ''
}

function escaped(name: string): string {
  return name.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')
}

/** Whether what stands before a name says that it is a member of something. */
export function isMember(before: string, languageId: string): boolean {
  return nameSyntaxOf(languageId).members && /(?:(?<!\.)\.|->|::)\s*$/.test(before)
}
