/** How one gap is filled between passes: which canvases are asked, what is committed, and whether that was all. */
import type { Prediction, TokenIds } from '../engine/engine.ts'
import type { Canvas } from './canvas.ts'
import type { CommitRules } from './commitRules.ts'
import type { Draft } from './drafted.ts'
import type { Sampler } from './sampling/sampler.ts'
import type { Schedule } from './schedule.ts'

/** Slots of one canvas, from the left. */
export interface Asked {
  readonly canvas: Canvas
  readonly slots: readonly number[]
  /** The whole distribution of each is needed. */
  readonly logits?: boolean
  /** What the base says behind the committed run is needed too. */
  readonly read?: boolean
  /** What stands behind the committed run besides; then slots may be asked of more than one row. */
  readonly draft?: Draft
}

/** What a sampler asks of a canvas that has open slots. */
export function askedBy(sampler: Sampler, canvas: Canvas): Asked {
  return { canvas, slots: sampler.ask(canvas.openSlots()), ...wanted(sampler) }
}

/** What it needs to be told besides the best tokens. */
export function wanted({ logits }: Sampler): Pick<Asked, 'logits'> {
  return logits ? { logits } : {}
}

/** `filled`: more may follow, in a canvas of its own; `stuck`: no token that may stand there is among the best. */
export type Outcome = 'open' | 'filled' | 'ended' | 'stuck'

export interface Filling {
  /** The one that is being filled. */
  readonly canvas: Canvas
  /** What the next pass is asked; several canvases where one of them is to be chosen. */
  ask(): readonly Asked[]
  /**
   * Commits what the pass said, one prediction for each of `ask()`; where it asked to `read`, the base's comes last.
   *
   * @param guesses of somebody else, one less than rows in the prediction: heard by the length mode `drafted`.
   */
  take(predictions: readonly Prediction[], guesses?: TokenIds): Outcome
}

/** What all ways of filling need. */
export interface FillingRules {
  readonly schedule: Schedule
  readonly rules: Omit<CommitRules, 'ends'>
  readonly maskId: number
  /** Tells the canvases of a request apart, so that each draws numbers of its own (default 0). */
  readonly stream?: number
  /** Something of the middle is filled already, and has become text. */
  readonly continues?: boolean
}

/** What is said of some of the asked slots. @param rows indices into what was asked. */
export function rowsOf(prediction: Prediction, rows: readonly number[]): Prediction {
  const of = <Value>(values: readonly Value[]): Value[] => rows.map((row) => values[row]!)
  return {
    topIds: of(prediction.topIds),
    topLogProbs: of(prediction.topLogProbs),
    entropy: of(prediction.entropy),
    setLogProbs: of(prediction.setLogProbs),
    scoreLogProbs: [],
    ...(prediction.logits ? { logits: of(prediction.logits) } : {}),
    kept: [],
  }
}
