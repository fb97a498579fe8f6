/**
 * *Introduce a parameter*: a value in a function becomes one. Its name is found by the model, and the same where it is
 * declared and where it was; every call in the file hands over what stood there.
 */
import type { Span } from '../../base/spans.ts'
import { type Action, type Change, most, NotHere, type Place } from './action.ts'
import { type Block, type FunctionHeader, functionAt } from './blocks.ts'
import { callsOf, type NamedFunction } from './calls.ts'
import { keywords, nameLike, namesIn } from './names.ts'
import { trimmed } from './source.ts'

/** Languages in which a parameter is declared by its name alone, or by a type that a literal tells. */
const declared: Readonly<Record<string, 'name' | 'name and type'>> = {
  python: 'name',
  ruby: 'name',
  lua: 'name',
  javascript: 'name',
  javascriptreact: 'name',
  typescript: 'name and type',
  typescriptreact: 'name and type',
}

const literal = /^(?:-?\d[\w.]*|"[^"\n]*"|'[^'\n]*'|`[^`$]*`|[Tt]rue|[Ff]alse)$/

export const introduceParameter: Action = {
  name: 'introduceParameter',
  kind: 'refactor.rewrite',
  title: 'Introduce a parameter',
  offer: (place) => (valueAt(place) ? [{ title: 'Introduce a parameter' }] : []),
  prepare(request) {
    const found = valueAt(request)
    if (!found) throw new NotHere('The selection is no value in a function that could become a parameter.')
    const { text, code, languageId } = request
    const { value, called } = found
    const { parameters: list } = called.function
    const words = text.slice(value.start, value.end)
    const name = { kind: 'name', link: 0, ask: true, meanwhile: '_' } as const
    const parameters = { before: separator(code, list), after: typeOf(words, languageId) }
    const end = endOf(code, list)
    const changes: Change[] = [
      { span: { start: end, end }, fill: name, ...parameters },
      // Asked for too where it is near enough to be read with the other.
      { span: value, fill: { ...name, ask: value.start - end < 1200 } },
      ...argumentListsOf(request, called).map((handed): Change => {
        const at = endOf(code, handed)
        return { span: { start: at, end: at }, before: separator(code, handed), fill: { kind: 'text', text: words } }
      }),
    ]
    const inFunction = code.slice(list.start, called.body.end)
    return {
      changes: changes.toSorted((a, b) => a.span.start - b.span.start),
      maxTokens: most.name,
      names: {
        pattern: nameLike('a', languageId),
        taken: new Set([...namesIn({ code: inFunction, languageId }), ...keywords]),
      },
    }
  },
}

interface Value {
  readonly value: Span
  readonly called: NamedFunction
}

/** The selection, where it is a literal in a named function whose parameters are plain. */
function valueAt(place: Place): Value | undefined {
  const { text, code, languageId, selection } = place
  const value = trimmed(text, selection)
  if (value.end === value.start || !declared[languageId] || !literal.test(text.slice(value.start, value.end)))
    return undefined
  const found = functionAt(place, value.start)
  if (!found || !hasName(found) || value.start < found.body.start || value.end > found.body.end) return undefined
  const { name, parameters } = found.function
  if (calledOtherwise.test(code.slice(name.start, name.end))) return undefined
  // What follows one with a default, or the rest, cannot be handed over by its place.
  if (/[=*]|\.\.\./.test(code.slice(parameters.start, parameters.end))) return undefined
  return { value, called: found }
}

function hasName(found: Block & { readonly function: FunctionHeader }): found is NamedFunction {
  return found.function.name !== undefined
}

/** No call has their name. */
const calledOtherwise = /^(?:constructor|initialize|__\w+__)$/

/** @throws {NotHere} where a call hands over its arguments in another way than by their places. */
function argumentListsOf(place: Place, called: NamedFunction): Span[] {
  const lists = callsOf(place, called)
  if (lists.some(({ start, end }) => /[*]|\.\.\.|[\w]\s*=(?![=>])/.test(place.code.slice(start, end))))
    throw new NotHere(
      'A call of this function hands over arguments by name, or a rest; the value cannot be added to it.',
    )
  return lists
}

/** Behind what stands in a list. */
function endOf(code: string, { start, end }: Span): number {
  const inside = code.slice(start, end).trimEnd()
  return start + inside.replace(/,$/, '').length
}

function separator(code: string, list: Span): string {
  return code.slice(list.start, list.end).trim() === '' ? '' : ', '
}

function typeOf(words: string, languageId: string): string {
  if (declared[languageId] !== 'name and type') return ''
  if (/^["'`]/.test(words)) return ': string'
  return /^(?:true|false)$/.test(words) ? ': boolean' : ': number'
}
