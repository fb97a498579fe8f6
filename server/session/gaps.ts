/** Gaps that are to be filled, and what became of them: what both ways of filling share. Pure. */
import type { Span, TextEdit } from '../base/spans.ts'
import type { Finish } from '../denoise/hole.ts'
import type { HoleOrder } from '../denoise/holeOrder.ts'
import { finishHoles, type Middle } from '../infill/finishHoles.ts'
import { type HolesPlan, lineBreakOf, type Scope } from '../infill/plan.ts'

export interface GapRequest {
  readonly text: string
  /** Texts of other documents that may say what comes next, the nearest first; LF line ends only (default: none). */
  readonly nearby?: readonly string[]
  readonly offset: number // UTF-16 units
  readonly scope: Scope
  readonly maxTokens: number
  readonly languageId?: string
  readonly certainty: Certainty
  /** The middle begins with all but the last of these tokens, and goes on with another one than that. */
  readonly otherThan?: readonly number[]
}

/** Several gaps of one text, filled together. */
export interface HolesRequest extends Omit<GapRequest, 'offset' | 'scope' | 'otherThan'> {
  /** From the left, with text between any two. */
  readonly holes: readonly AskedHole[]
  readonly maxTokens: number // of each
  /** Default: that of the model. */
  readonly order?: HoleOrder
}

export type AskedHole = { readonly span: Span } & Pick<GapRequest, 'scope' | 'otherThan'>

/** How sure the model must be: products of the probabilities its tokens had when they were committed. */
export interface Certainty {
  /** Below this the work stops. */
  readonly giveUp: number
  /** What is shown of work that stopped: the longest beginning of at least this. */
  readonly show: number
}

/**
 * For what nobody asked for. Work stops as soon as no more of it can be shown: a product only falls.
 *
 * @param showAbove probability, 0 … 1; 0 shows everything.
 */
export function unasked(showAbove: number): Certainty {
  return { giveUp: showAbove, show: showAbove }
}

/** For what was asked for by hand: whatever the model has to say. */
export const askedFor: Certainty = { giveUp: 0, show: 0 }

/** What became of one gap. */
export type FilledHole = (
  | { readonly kind: 'completion'; readonly edit: TextEdit }
  | { readonly kind: 'nothing'; readonly reason: string }
) & {
  readonly probabilities: readonly number[] // of its tokens, as they were committed
  readonly ids: readonly number[]
  readonly finish: Finish
  readonly tokens: number // of the middle as the model gave it
}

/** What all gaps of a request cost together; of what was written elsewhere only the time is known. */
export interface Cost {
  readonly writtenBy: string // for the user
  readonly steps: number
  readonly rows: number // computed over all steps
  readonly encodedRows: number
  readonly ms: { readonly encode: number; readonly denoise: number; readonly total: number }
}

export type Filled = FilledHole & Cost
export type FilledHoles = Cost & { readonly holes: readonly FilledHole[] }

/** What became of a middle: an edit, or why there is none. */
export interface Outcome {
  readonly edit: TextEdit | undefined
  readonly reason: string
}

/** @param middles one for each gap, what was held back for it included. */
export function outcomesOf(
  { text, holes, languageId }: HolesRequest,
  plan: Pick<HolesPlan, 'pieces' | 'held'>,
  middles: readonly Middle[],
): Outcome[] {
  return finishHoles(plan, middles, languageId).map((one, i) => {
    if (one.kind === 'nothing') return { edit: undefined, reason: one.reason }
    const { start, end } = holes[i]!.span
    const edit = { span: { start, end: end + one.replaceAfter }, text: one.text.replaceAll('\n', lineBreakOf(text)) }
    return { edit, reason: '' }
  })
}

/** What a gap was filled with, and how. */
export interface HowWritten {
  readonly ids: readonly number[] // none where it was written as text
  readonly text?: string
  readonly probabilities: readonly number[]
  readonly finish: Finish
}

export function filledHole({ edit, reason }: Outcome, how: HowWritten): FilledHole {
  const { ids, probabilities, finish } = how
  return {
    ...(edit ? { kind: 'completion', edit } : { kind: 'nothing', reason: reasonOf(reason, how) }),
    ...{ probabilities, ids, finish, tokens: ids.length },
  }
}

/** Why there is no edit. */
function reasonOf(reason: string, { finish, ids, text = '' }: HowWritten): string {
  if (finish === 'stuck') return 'no likely token fits what is already typed'
  if (finish === 'ended' && ids.length === 0 && text === '') return 'the model left the gap empty'
  return reason
}
