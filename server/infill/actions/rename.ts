/** *Rename consistently*: the model finds a name by how it is used; the same one then stands everywhere. */
import type { Span } from '../../base/spans.ts'
import { type Action, type Change, most, NotHere, type Place } from './action.ts'
import { isMember, keywords, nameAt, nameLike, namesIn, occurrencesOf, scopeOf, standsInTemplate } from './names.ts'
import { isEmpty } from './source.ts'

const mostHoles = 4 // that are asked: each is read with the others open
const reachUnits = 1200 // from the first to the last of them
/** Where the name stands that is not asked: it must not tell the old one. */
const meanwhile = '_'

export const rename: Action = {
  name: 'rename',
  kind: 'refactor.rewrite',
  title: 'Rename consistently',
  offer(place) {
    const word = renamedAt(place)
    if (!word) return []
    return [{ title: `Rename ${place.text.slice(word.start, word.end)} consistently` }]
  },
  prepare(request) {
    const word = renamedAt(request)
    if (!word) throw new NotHere('There is no name here that could be changed.')
    const name = request.text.slice(word.start, word.end)
    const scope = scopeOf(request, name, word.start)
    const found = occurrencesOf(request, name, scope)
    if (!found) throw new NotHere(`"${name}" is the key of an object too; a language server can rename it.`)
    if (!found.some(({ start }) => start === word.start))
      throw new NotHere(`"${name}" is a member or a key here, not a name.`)
    if (standsInTemplate(request, name, scope))
      throw new NotHere(`"${name}" stands in a string too, where it may be code; a language server can rename it.`)
    const { languageId } = request
    const code = request.code.slice(scope.start, scope.end)
    const taken = new Set([...namesIn({ code, languageId }), ...keywords])
    return { changes: linked(found, 0), maxTokens: most.name, names: { pattern: nameLike(name, languageId), taken } }
  },
}

/** The first of them are asked, as many as are near each other. */
export function linked(spans: readonly Span[], link: number): Change[] {
  const last = spans[0]!.start + reachUnits
  return spans.map((span, i) => {
    const ask = i < mostHoles && span.end <= last
    return { span, fill: { kind: 'name', link, ask, meanwhile } }
  })
}

function renamedAt({ text, code, languageId, selection }: Place): Span | undefined {
  const word = nameAt(text, languageId, selection.start)
  if (!word || (!isEmpty(selection) && (selection.start !== word.start || selection.end !== word.end))) return undefined
  const name = text.slice(word.start, word.end)
  const before = code.slice(Math.max(0, word.start - 8), word.start)
  const isOther = isMember(before, languageId) || keywords.has(name) || code.slice(word.start, word.end) !== name
  return isOther ? undefined : word
}
