/** What a session needs to know of its model, and what follows from it for denoising. */
import type { HoleOrder } from '../denoise/holeOrder.ts'
import type { Length } from '../denoise/length.ts'
import type { Schedule } from '../denoise/schedule.ts'
import type { WholeContext } from '../denoise/wholeSurroundings.ts'
import { lineTail, type PlanModel } from '../infill/plan.ts'

/** Plain data from the manifest, and the tokenizer's two ways. */
export interface SessionModel extends PlanModel {
  readonly name: string
  readonly decode: (ids: readonly number[]) => string
  readonly tokenText: (id: number) => string
  readonly maskId: number
  readonly endIds: readonly number[]
  readonly forbiddenIds: readonly number[]
  readonly lineBreakIds: readonly number[]
  readonly attention: 'causal-context' | 'bidirectional'
  /** With bidirectional attention: what is kept of the surroundings between the steps of a request. */
  readonly whole: Omit<WholeContext, 'kind'>
  readonly lengthMode: 'end-token' | 'search' | 'expand-delete'
  readonly expandId: number | undefined // there is one where the length mode needs it
  readonly canvasSlots: number
  /** For rows that write from the left and look ahead: how they were taught. Otherwise rows of a canvas all see each other. */
  readonly drafting: Drafting | undefined
  readonly threshold: number
  readonly window: number // of the leftmost-first schedule
  /** The share that the model as it reads text from the left (`hybrid.ts`) has in the leftmost open slot, 0 … 1. */
  readonly baseShare: number
  /** Whether completions are those that it alone would write. */
  readonly verify: boolean
}

export interface Drafting {
  readonly distance: number // positions from the last token before a gap to the first one after it, less one
  readonly slots: number // of a canvas
  readonly open: number // rows that look ahead together
  readonly begun: number // tokens before a gap that may open its canvas, at most
}

/** Lengths that are looked at by `search`: past 32 a score says little (CAL's ends at 64, and fails beyond some 16). */
const searchedLengths = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32]

/** Of a canvas that is verified: 0.89 passes a token; 0.93 with guesses of at least 0.6, 0.89 with seven ahead. */
const guessedAhead = { ahead: 3, threshold: 0.3 }

/**
 * Milliseconds a token with the model before (75 gaps): 7.2 with no open rows, 7.3 with one at 0.4, 7.9 with three; 17 without any guesses.
 * What other text says is right twice as often. Passes a token and what they cost (13.6 ms and 0.9 a row; 60 gaps of the fit packages) with at
 * most 5, 8, 12 guesses: 0.443, 0.419, 0.400; 4.01, 3.94, 3.87 s.
 */
const draftedAhead = { drafts: 12, threshold: 0.4, open: 1 }

/** Where canvases write from the left and look ahead; where the base has a say, they do not. */
export function draftingOf({ drafting, verify, baseShare }: SessionModel): Drafting | undefined {
  return verify || baseShare > 0 ? undefined : drafting
}

/** @param begun slots that are taken by known tokens. */
export function draftedLength({ slots }: Drafting, begun: number): Length {
  return { kind: 'drafted', slots: slots - begun, ...draftedAhead }
}

/** Tokens before a gap that may be rows of its canvas; none where the model was not taught so. */
export function mostBegun(model: SessionModel): number {
  return draftingOf(model)?.begun ?? 0
}

/**
 * How many tokens before a gap are rows of its canvas: those of the line, so that they need not be read first (with the default
 * model 338 ms of reading a gap for 565, and as many lines right: 35.6 for 34.4 % of 180 places of the fit packages).
 */
export function begunOf(model: SessionModel, prefixIds: readonly number[]): number {
  const most = mostBegun(model)
  return most > 0 ? lineTail(prefixIds, most, model.tokenText) : 0
}

/** Whether with the next token the canvas no longer begins where it does: on a new line, and after so many tokens of one. */
export function beginsAnew(model: SessionModel, prefixIds: readonly number[], held: string): boolean {
  const most = mostBegun(model)
  return most > 0 && (held.includes('\n') || begunOf(model, prefixIds) === most - 1)
}

/** @param maxTokens at least one. */
export function lengthOf({ lengthMode, canvasSlots, expandId, verify }: SessionModel, maxTokens: number): Length {
  if (verify) return { kind: 'verified', slots: canvasSlots, ...guessedAhead }
  switch (lengthMode) {
    case 'end-token':
      return { kind: 'end-token', slots: canvasSlots }
    case 'search':
      return { kind: 'search', lengths: searchedLengths.filter((slots) => slots <= maxTokens) }
    case 'expand-delete':
      return { kind: 'expand-delete', slots: canvasSlots, maxSlots: maxTokens, expandId: expandId! }
  }
}

/**
 * Our own model's order is its own; others are filled where they are surest, and what grows one slot at a time.
 *
 * @param endsInWord whether the text left of the gap does: its last word may be half a one, with which the base cannot go on.
 */
export function scheduleOf(model: SessionModel, endsInWord: boolean): Schedule {
  const { attention, lengthMode, threshold, window, baseShare } = model
  switch (attention) {
    case 'causal-context': {
      const hybrid = { first: endsInWord ? 0 : baseShare, later: baseShare }
      const mixes = lengthMode === 'end-token' && baseShare > 0
      return { kind: 'leftmost-first', threshold, window, ...(mixes ? { hybrid } : {}) }
    }
    case 'bidirectional':
      return { kind: 'surest-first', threshold: lengthMode === 'expand-delete' ? 1 : threshold }
  }
}

/** In which of several gaps a step commits. */
export function holeOrderOf(model: SessionModel): HoleOrder {
  const { attention } = model
  if (draftingOf(model)) return { kind: 'left-to-right', ahead: 'closed' }
  switch (attention) {
    case 'causal-context':
      return { kind: 'surest-hole', threshold: 1 }
    case 'bidirectional':
      return { kind: 'at-once' } // its schedule commits where it is surest anyway
  }
}
