/** All code actions, in the order in which they are offered, and the two things that are asked of them. Pure. */
import type { Span } from '../../base/spans.ts'
import type { Action, ActionName, ListedDiagnostic, Offer, Prepared } from './action.ts'
import { completeArguments } from './completeArguments.ts'
import { completeBody } from './completeBody.ts'
import { document } from './document.ts'
import { fill } from './fill.ts'
import { fix } from './fix.ts'
import { introduceParameter } from './introduceParameter.ts'
import { rename } from './rename.ts'
import { changeAction, rewrite } from './rewrite.ts'
import { linesAround, readSource } from './source.ts'

const actions: Readonly<Record<ActionName, (asksWish: boolean) => Action>> = {
  fix: () => fix,
  fill: () => fill,
  completeBody: () => completeBody,
  completeArguments: () => completeArguments,
  rewrite: () => rewrite,
  change: changeAction,
  rename: () => rename,
  introduceParameter: () => introduceParameter,
  document: () => document,
}

export interface ListRequest {
  readonly text: string
  readonly languageId: string
  readonly selection: Span
  readonly diagnostics: readonly ListedDiagnostic[]
  /** Whether the client asks for a wish by itself. */
  readonly asksWish: boolean
}

/** More than these a menu is not read. */
const mostOffers = 5

/** What makes sense at a place: the nearest lines are looked at, whatever the document's length. Asks no model. */
export function listActions({ text, languageId, selection, diagnostics, asksWish }: ListRequest): Offer[] {
  const near = linesAround(text, selection)
  const shifted = ({ start, end }: Span, by: number): Span => ({ start: start + by, end: end + by })
  const source = readSource(text.slice(near.start, near.end), languageId)
  const place = { ...source, selection: shifted(selection, -near.start) }
  const inside = diagnostics.filter(({ span }) => near.start <= span.start && span.end <= near.end)
  const own = inside.map((diagnostic) => ({ ...diagnostic, span: shifted(diagnostic.span, -near.start) }))
  const offers = Object.values(actions).flatMap((actionOf): Offer[] => {
    const { name, kind, offer } = actionOf(asksWish)
    return offer(place, own).map(({ span, ...rest }) => ({
      ...{ name, kind, ...rest },
      ...(span ? { span: shifted(span, near.start) } : {}),
    }))
  })
  return [
    ...offers.filter(({ disabled }) => disabled === undefined).slice(0, mostOffers),
    ...offers.filter(({ disabled }) => disabled !== undefined),
  ]
}

export interface PrepareRequest {
  readonly name: ActionName
  readonly text: string
  readonly languageId: string
  readonly selection: Span
  readonly message?: string
  readonly wish?: string
}

/** @throws {NotHere} where there is nothing to do. */
export function prepareAction({ name, text, languageId, ...request }: PrepareRequest): Prepared {
  const source = readSource(text, languageId)
  return actions[name](request.wish !== undefined).prepare({ ...source, ...request })
}

export function titleOf(name: ActionName): string {
  return actions[name](false).title
}
