/**
 * Whether an expression can only be an instance of one class of the file: one made there and then, or a name that is bound
 * to such and to nothing else. As far as words and brackets tell; what is not understood is no instance. Pure.
 */
import type { Span } from '../../base/spans.ts'
import { keywords, wherever } from './names.ts'
import { closerOf, enclosingOpener, openerOf, type Source } from './source.ts'

/** @param end of the expression. */
export function isInstance(source: Source, end: number, className: string): boolean {
  const { code, languageId } = source
  if (!/^(?:python|(?:java|type)script)/.test(languageId) || !isBoundOnce(source, className)) return false
  const start = code.slice(0, end).trimEnd().length
  if (code[start - 1] === ')') return isMade(source, start - 1, className)
  const name = /(?<![\p{L}\p{N}_$.:)\]])[\p{L}_$][\p{L}\p{N}_$]*$/u.exec(
    code.slice(Math.max(0, start - 120), start),
  )?.[0]
  if (name === undefined || keywords.has(name)) return false
  const uses = [...code.matchAll(wherever(name, languageId))].map(({ index }) =>
    useAt(source, { start: index, end: index + name.length }, className),
  )
  return uses.includes('bound') && !uses.includes('unknown')
}

/** Its name can be another's, too. */
function isBoundOnce({ code, languageId }: Source, className: string): boolean {
  const word = wherever(className, languageId).source
  const count = (pattern: string) => [...code.matchAll(new RegExp(pattern, 'gu'))].length
  return count(`\\bclass\\s+${word}`) === 1 && count(`\\b(?:as|import|def|function)\\s+${word}|${word}\\s*=(?!=)`) === 0
}

/** @param closing the bracket it ends with: of `Name(…)`, `new Name(…)`, or around one. */
function isMade(source: Source, closing: number, className: string): boolean {
  const { code, languageId } = source
  const opening = openerOf(code, closing)
  if (opening === undefined) return false
  const before = code.slice(Math.max(0, opening - 120), opening)
  if (making(languageId, className, '$').test(before)) return true
  const last = code.slice(0, closing).trimEnd().length - 1
  return (
    !/[\p{L}\p{N}_$)\]>]\s*$/u.test(before) &&
    code[last] === ')' &&
    isWhole(source, { start: opening + 1, end: last }, className)
  )
}

/** Nothing but what makes one. */
function isWhole({ code, languageId }: Source, { start, end }: Span, className: string): boolean {
  const inside = code.slice(start, end)
  const made = making(languageId, className, '\\(').exec(inside)
  return (
    made !== null &&
    inside.slice(0, made.index).trim() === '' &&
    closerOf(code, start + made.index + made[0].length - 1) === end
  )
}

function making(languageId: string, className: string, then: string): RegExp {
  const made = languageId === 'python' ? '' : 'new\\s+'
  return new RegExp(
    `(?<![\\p{L}\\p{N}_$.]|\\bclass\\s|\\bdef\\s)${made}${wherever(className, languageId).source}\\s*${then}`,
    'u',
  )
}

/** What a name is there: bound to a new instance, used, or anything else. */
function useAt(source: Source, { start, end }: Span, className: string): 'bound' | 'used' | 'unknown' {
  const { code, languageId } = source
  const left = code.slice(Math.max(0, start - 120), start)
  const right = code.slice(end, end + 200)
  if (/(?<!\.\.)\.\s*$/.test(left)) return 'used' // a member of that name
  if (/^\s*(?:\?\.|\.)(?!\.)/.test(right)) return 'used'
  const equals = /^\s*=(?!=|>)\s*/.exec(right)
  if (equals && /(?:^|[\n;{])\s*(?:(?:export\s+)?(?:const|let|var)\s+)?$/.test(left)) {
    const made = making(languageId, className, '\\(').exec(
      code.slice(end + equals[0].length, end + equals[0].length + 200),
    )
    const closing = made?.index === 0 ? closerOf(code, end + equals[0].length + made[0].length - 1) : undefined
    const isAll = closing !== undefined && /^[ \t]*(?:;|\r|\n|$)/.test(code.slice(closing + 1, closing + 120))
    return isAll ? 'bound' : 'unknown'
  }
  if (/\b(?:return|yield|await|not|and|or|if|elif|while|assert)\s+$/.test(left) && !/^\s*[,=:(]/.test(right))
    return 'used'
  return isArgument(source, { start, end }) ? 'used' : 'unknown'
}

/** A whole argument of a call. */
function isArgument({ code }: Source, { start, end }: Span): boolean {
  if (!/[(,]\s*$/.test(code.slice(Math.max(0, start - 120), start)) || !/^\s*[,)]/.test(code.slice(end, end + 120)))
    return false
  const opening = enclosingOpener(code, start)
  const closing = opening === undefined || code[opening] !== '(' ? undefined : closerOf(code, opening)
  if (opening === undefined || closing === undefined) return false
  const before = code.slice(Math.max(0, opening - 120), opening)
  const name = /[\p{L}_$][\p{L}\p{N}_$]*$/u.exec(before)?.[0]
  const isDefined =
    /\b(?:def|function|class)\b[^\n(]*$/.test(before) || /^\)\s*(?:=>|\{|:|->)/.test(code.slice(closing, closing + 120))
  return name !== undefined && !/^(?:async|catch|for|import|lambda|with)$/.test(name) && !isDefined
}
