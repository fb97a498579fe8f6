/**
 * The calls of a function in its file, as far as words and brackets tell. A call on something else, `other.name(…)`, is never
 * one of a function that stands by itself, and may be one of a method. Where that cannot be told, the user is. Pure.
 */
import type { Span } from '../../base/spans.ts'
import { NotHere } from './action.ts'
import { type Block, blockAt, type FunctionHeader } from './blocks.ts'
import { isInstance } from './instances.ts'
import { wherever } from './names.ts'
import { closerOf, enclosingOpener, type Source } from './source.ts'

export type NamedFunction = Block & { readonly function: FunctionHeader & { readonly name: Span } }

/** Whom a function belongs to. */
interface Owner {
  readonly name: string | undefined
  readonly isClass?: boolean
  /** Where `self`, `this` and `cls` are the owner. */
  readonly span: Span
  /** Whether others may have inherited the function. */
  readonly heirs: boolean
  /** Whether the function's name alone means it too. */
  readonly bare: boolean
}

/**
 * @returns their argument lists, from the top.
 * @throws {NotHere} where it cannot be told whether a call is one of this function.
 */
export function callsOf(source: Source, called: NamedFunction): Span[] {
  const { code, languageId } = source
  const own = called.function.name
  const owner = ownerOf(source, called)
  const name = lastPart.exec(code.slice(own.start, own.end))![0]
  const lists: Span[] = []
  for (const { index } of code.matchAll(wherever(name, languageId))) {
    if (own.start <= index && index < own.end) continue
    const after = index + name.length
    const opening = /^(?:<[\w\s,.[\]|]*>)?(?:\?\.)?\s*\(/.exec(code.slice(after, after + 80))
    const end = opening ? closerOf(code, after + opening[0].length - 1) : undefined
    const left = code.slice(Math.max(0, index - 120), index)
    const whose = whoseIs(left, index, owner, source)
    if (whose === 'other') continue
    if (!opening && unbracketed[languageId]?.test(code.slice(after, after + 80)))
      throw new NotHere(`"${name}" stands without parentheses here too, and may be called so.`)
    if (!opening || end === undefined) continue
    if (isDefinition(left, code.slice(end, end + 120), languageId))
      throw new NotHere(`There is another function "${name}" here; which of them a call means cannot be told.`)
    if (whose === 'unknown')
      throw new NotHere(`"${name}" is called on something else here too, which may have one of its own.`)
    lists.push({ start: after + opening[0].length, end })
  }
  return lists
}

/** What follows a name that is called without parentheses, or may be. */
const unbracketed: Readonly<Record<string, RegExp>> = { ruby: /^(?!:(?!:))/, lua: /^\s*(?:["'{]|\[\[)/ }

const lastPart = /[^.:]+$/ // Lua's names tell the table too

/**
 * @param left what stands before the called name.
 * @param offset of that.
 */
function whoseIs(left: string, offset: number, owner: Owner | undefined, source: Source): 'own' | 'other' | 'unknown' {
  const { languageId } = source
  const link = (languageId === 'lua' ? /(?:(?<!\.)\.|:)\s*$/ : /(?:[?&]?(?<!\.)\.|::)\s*$/).exec(left)
  if (!link) return !owner || owner.bare ? 'own' : 'other'
  if (!owner) return 'other'
  const on = /(?<![\p{L}\p{N}_$.:)\]])[\p{L}_$][\p{L}\p{N}_$]*$/u.exec(left.slice(0, link.index))?.[0]
  if (on !== undefined && on === owner.name) return 'own'
  if (/^(?:self|this|cls)$/.test(on ?? '') && owner.span.start <= offset && offset < owner.span.end) return 'own'
  if (owner.isClass && isInstance(source, offset - link[0].length, owner.name!)) return 'own'
  return owner.heirs || link[0].startsWith(':') ? 'unknown' : 'other'
}

/** @param right from the end of the list on. */
function isDefinition(left: string, right: string, languageId: string): boolean {
  if (/\b(?:def|function)\b[\s*]*(?:[\w.]+[.:]\s*)?$/.test(left)) return true
  if (!/^(?:java|type)script/.test(languageId)) return false
  if (/^\)\s*(?::[^;={}()]*)?\{/.test(right)) return true
  // A line with a type and no body: what an interface wants, or one of several ways to call a function.
  return /^\)\s*:/.test(right) && /(?:^|[{;,\n])\s*(?:[a-z]+\s+)*$/.test(left)
}

/** Nobody, of a function that stands by itself. */
function ownerOf(source: Source, { header, function: { name, parameters } }: NamedFunction): Owner | undefined {
  const { code, languageId } = source
  const whole = { start: 0, end: code.length }
  if (languageId === 'ruby') return { name: undefined, span: whole, heirs: true, bare: true }
  if (languageId === 'lua') {
    const path = /(\w+)([.:])\w+$/.exec(code.slice(name.start, name.end))
    return path ? { name: path[1], span: whole, heirs: path[2] === ':', bare: false } : undefined
  }
  const around = blockAt(source, header.start, ({ body }) => body.start <= header.start && header.end <= body.end)
  const ofClass =
    around && /\bclass\s+([\p{L}_$][\p{L}\p{N}_$]*)/u.exec(code.slice(around.header.start, around.body.start))
  if (ofClass) return { name: ofClass[1], isClass: true, span: around.body, heirs: true, bare: false }
  const left = code.slice(Math.max(0, name.start - 40), name.start)
  const isBound =
    /\b(?:function|const|let|var)\b[\s*]*$/.test(left) || code.slice(name.end, parameters.start).includes('=')
  const member = /([\w$]*)\s*\.\s*$/.exec(left)
  if (languageId === 'python' || (isBound && !member)) return undefined
  const brace = enclosingOpener(code, header.start, '{')
  const end = brace === undefined ? undefined : closerOf(code, brace)
  const span =
    brace === undefined || end === undefined ? { start: header.start, end: header.end } : { start: brace, end }
  return { name: member?.[1], span, heirs: true, bare: false }
}
