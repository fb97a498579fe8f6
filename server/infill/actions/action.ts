/**
 * What a code action is below the protocol: when it is offered, and what of the document it leaves open. Pure; an action
 * knows no model, and listing never asks one.
 */
import type { Span } from '../../base/spans.ts'
import type { Scope } from '../plan.ts'
import type { Source } from './source.ts'

export const actionNames = [
  'fix',
  'fill',
  'completeBody',
  'completeArguments',
  'rewrite',
  'change',
  'rename',
  'introduceParameter',
  'document',
] as const

export type ActionName = (typeof actionNames)[number]

/** LSP's words for what a user may ask for by kind. */
export type ActionKind = 'quickfix' | 'refactor.rewrite'

/** Somebody's place in a document; `selection` is empty where only a cursor stands. */
export interface Place extends Source {
  readonly selection: Span
}

export interface ListedDiagnostic {
  readonly span: Span
  readonly message: string
}

/** An action that makes sense at a place. */
export interface Offer {
  readonly name: ActionName
  readonly kind: ActionKind
  readonly title: string
  /** Where, if not at the selection. */
  readonly span?: Span
  /** What goes in as a comment while the model reads. */
  readonly message?: string
  /** Why it cannot be done as things are; for clients that show such. */
  readonly disabled?: string
}

/** What may be asked of `prepare`. */
export interface ActionRequest extends Place {
  /** The diagnostic to be fixed. */
  readonly message?: string
  /** What the selection is to become, in words. */
  readonly wish?: string
}

/** What is to stand at a changed place. */
export type Fill =
  | { readonly kind: 'hole'; readonly scope: Scope }
  /**
   * One and the same name wherever `link` is the same; the model is asked where `ask`, and what it is surest of stands in
   * all. Elsewhere `meanwhile` stands until then.
   */
  | { readonly kind: 'name'; readonly link: number; readonly ask: boolean; readonly meanwhile: string }
  | { readonly kind: 'text'; readonly text: string }

/** One place of the document that an action changes: `before` + what is filled + `after` in place of `span`. */
export interface Change {
  readonly span: Span
  readonly before?: string
  readonly fill: Fill
  readonly after?: string
}

/** Lines that stand in the text only while the model reads it. */
export interface Hint {
  readonly offset: number // of a line's start, at or before a change
  readonly text: string // with the line break at its end
}

/** What a name that is to be filled in may be. */
export interface WantedNames {
  readonly pattern: RegExp // of the name that a text begins with
  readonly taken: ReadonlySet<string> // may not be given
}

export interface Prepared {
  /** From the left; they neither overlap nor touch. */
  readonly changes: readonly Change[]
  readonly hints?: readonly Hint[]
  readonly maxTokens: number // of each hole
  readonly names?: WantedNames
}

export interface Action {
  readonly name: ActionName
  readonly kind: ActionKind
  /** What the client shows while it goes on, and what the edit is called. */
  readonly title: string
  offer(place: Place, diagnostics: readonly ListedDiagnostic[]): readonly Omit<Offer, 'name' | 'kind'>[]
  /** @throws {NotHere} where there is nothing to do. */
  prepare(request: ActionRequest): Prepared
}

/** Why an action cannot be done at a place: a sentence for the user. */
export class NotHere extends Error {
  override readonly name: string = 'NotHere'
}

/** Tokens of a rest of a line, of a block, of a name. */
export const most = { line: 64, block: 192, name: 8 } as const
