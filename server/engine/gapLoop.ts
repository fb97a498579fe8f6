/**
 * The seam to who writes a whole middle, pass after pass, where passes are computed: for models whose committed rows write from
 * the left. Token ids, and what each row said; what is made of it, is decided by who asks.
 */
import type { Recalled } from '../base/recall.ts'
import type { Prediction, TokenIds } from './engine.ts'

export interface GapJob {
  readonly prefixIds: TokenIds // at least one
  readonly suffixIds: TokenIds
  /** Tokens at the end of the prefix that are rows of the canvas, the last one before the gap included: at least one. */
  readonly known: number
  readonly most: number // tokens of the middle
  /** Of this canvas that are open, and of the next ones: a full canvas becomes text of the prefix. */
  readonly slots: { readonly now: number; readonly later: number }
  /** Their probabilities count as one, the end's. */
  readonly endIds: TokenIds
  /** A guess stands in a pass only if it and those left of it are this probable together; saves passes, changes no token. */
  readonly threshold: number
  /** The middle stops where the product of its probabilities falls below this. */
  readonly floor: number
  /** What comes next by somebody else's opinion, from the left: each is heard as far as all before it came so. */
  readonly hints: readonly Recalled[]
}

/** Texts that a gap to come will have around its canvas. */
export interface GapTexts {
  readonly startIds: TokenIds // before the tokens that are rows of the canvas
  readonly suffixIds: TokenIds
}

export interface WrittenGap {
  readonly ids: TokenIds
  /** Of each of `ids`, and, where the end was said, of that: what the row before it said. `setLogProbs`: of all ends. */
  readonly rows: Pick<Prediction, 'topIds' | 'topLogProbs' | 'setLogProbs'>
  readonly passes: number
}

export interface GapLoop {
  /** Whether it is there now, as far as is known. */
  readonly available: boolean
  /**
   * The best token of each row and its hint together that is no end and may stand there, until the ends are likelier: at
   * least one, or the end.
   *
   * @returns undefined when it is not there any more; then passes are asked for.
   * @throws as `Engine.step`.
   */
  infill(job: GapJob, signal: AbortSignal): Promise<WrittenGap | undefined>
  /** Has texts read, behind all that is asked for: a gap between them needs less then. @throws as `Engine.encode`. */
  readAhead(texts: GapTexts, signal: AbortSignal): Promise<void>
}
