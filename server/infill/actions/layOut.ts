/**
 * A prepared action as a text with holes, and the way back: from what stands in the holes to edits of the document. Hints
 * are in the text and not in the edits. Pure.
 */
import type { Span, TextEdit } from '../../base/spans.ts'
import type { Scope } from '../plan.ts'
import { type Change, NotHere, type Prepared, type WantedNames } from './action.ts'

export interface LaidOut {
  readonly text: string
  /** Empty ones, from the left. */
  readonly holes: readonly { readonly span: Span; readonly scope: Scope }[]
}

/** What came to stand in a hole. */
export interface FilledText {
  readonly text: string // with the document's line breaks
  /** UTF-16 units after the hole that it takes the place of too. */
  readonly replaceAfter: number
  /** That all of it is right, as the model has it. */
  readonly probability: number
}

export function layOut(text: string, { changes, hints = [] }: Prepared): LaidOut {
  let laid = ''
  let from = 0
  const holes: LaidOut['holes'][number][] = []
  let hint = 0
  const takeUpTo = (offset: number) => {
    for (; hint < hints.length && hints[hint]!.offset <= offset; hint++) {
      laid += text.slice(from, hints[hint]!.offset) + hints[hint]!.text
      from = hints[hint]!.offset
    }
    laid += text.slice(from, offset)
  }
  for (const { span, before = '', fill, after = '' } of changes) {
    takeUpTo(span.start)
    laid += before
    const scope = scopeOf(fill)
    if (scope) holes.push({ span: { start: laid.length, end: laid.length }, scope })
    else if (fill.kind === 'text') laid += fill.text
    else if (fill.kind === 'name') laid += fill.meanwhile
    laid += after
    from = span.end
  }
  takeUpTo(text.length)
  return { text: laid, holes }
}

function scopeOf(fill: Change['fill']): Scope | undefined {
  switch (fill.kind) {
    case 'hole':
      return fill.scope
    case 'name':
      return fill.ask ? 'line' : undefined
    case 'text':
      return undefined
  }
}

/**
 * @param filled one for each hole, `undefined` where nothing was found.
 * @returns edits of the document, from the left; those that would change nothing are left out.
 * @throws {NotHere} when nothing of use was found.
 */
export function editsOf(
  text: string,
  { changes, names: wanted }: Prepared,
  filled: readonly (FilledText | undefined)[],
): TextEdit[] {
  const holes = changes.filter(({ fill }) => scopeOf(fill) !== undefined)
  const filledOf = new Map(holes.map((change, i) => [change, filled[i]]))
  const names = wanted ? namesOf(filledOf, wanted) : new Map<number, string>()
  const edits = changes.flatMap((change, i) => {
    const next = changes[i + 1]?.span.start ?? text.length
    return editOf(change, filledOf.get(change), names, next) ?? []
  })
  const asked = changes.some(({ fill }) => fill.kind === 'hole')
  if (asked && filled.every((found) => !found)) throw new NotHere('The model found nothing to put there.')
  const changing = edits.filter(({ span, text: put }) => text.slice(span.start, span.end) !== put)
  if (changing.length === 0) throw new NotHere('The model would write the same.')
  return changing
}

/** @param next where the next change begins: what is replaced ends there at the latest. */
function editOf(
  { span, before = '', fill, after = '' }: Change,
  found: FilledText | undefined,
  names: ReadonlyMap<number, string>,
  next: number,
): TextEdit | undefined {
  switch (fill.kind) {
    case 'text':
      return { span, text: before + fill.text + after }
    case 'name':
      return { span, text: before + nameIn(names, fill.link) + after }
    case 'hole': {
      if (!found) return undefined
      // What it takes the place of is our own text first, then the document's.
      const end = span.end + Math.max(0, found.replaceAfter - after.length)
      if (end > next) return { span, text: before + found.text + after }
      return { span: { start: span.start, end }, text: before + found.text + after.slice(found.replaceAfter) }
    }
  }
}

function nameIn(names: ReadonlyMap<number, string>, link: number): string {
  const name = names.get(link)
  if (name === undefined) throw new NotHere('The model found no other name that is free.')
  return name
}

/** Of each link the name that the model is surest of. */
function namesOf(
  filledOf: ReadonlyMap<Change, FilledText | undefined>,
  { pattern, taken }: WantedNames,
): Map<number, string> {
  const best = new Map<number, { readonly name: string; readonly probability: number }>()
  for (const [{ fill }, found] of filledOf) {
    if (fill.kind !== 'name' || !found) continue
    const name = pattern.exec(found.text)?.[0]
    if (name === undefined || taken.has(name) || found.probability <= (best.get(fill.link)?.probability ?? -1)) continue
    best.set(fill.link, { name, probability: found.probability })
  }
  return new Map([...best].map(([link, { name }]) => [link, name]))
}
