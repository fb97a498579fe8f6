/** How one gap is filled between passes: which canvases are asked, what is committed, and whether that was all. */
import type { Prediction } from '../engine/engine.ts'
import type { Canvas } from './canvas.ts'
import type { CommitRules } from './commitRules.ts'
import type { Schedule } from './schedule.ts'

/** Slots of one canvas, from the left. */
export interface Asked {
  readonly canvas: Canvas
  readonly slots: readonly number[]
}

/** `filled`: more may follow, in a canvas of its own; `stuck`: no token that may stand there is among the best. */
export type Outcome = 'open' | 'filled' | 'ended' | 'stuck'

export interface Filling {
  /** The one that is being filled. */
  readonly canvas: Canvas
  /** What the next pass is asked; several canvases where one of them is to be chosen. */
  ask(): readonly Asked[]
  /** Commits what the pass said, one prediction for each of `ask()`. */
  take(predictions: readonly Prediction[]): Outcome
}

/** What all ways of filling need. */
export interface FillingRules {
  readonly schedule: Schedule
  readonly rules: Omit<CommitRules, 'ends'>
  readonly maskId: number
}
