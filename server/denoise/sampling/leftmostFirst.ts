/**
 * The default model's sampler: each step commits the leftmost open slot, and of the slots right after it those whose
 * best token is sure enough. Twice as many exact lines as committing the surest slots anywhere (CHANGELOG).
 *
 * Source: `training/reference.py`, `infill`.
 */
import type { Prediction } from '../../engine/engine.ts'
import type { Canvas } from '../canvas.ts'
import { type CommitRules, clampedGuess, freeGuess, type Pick } from '../commitRules.ts'
import type { Hybrid } from '../hybrid.ts'
import type { Sampler } from './sampler.ts'

export interface LeftmostFirst {
  readonly kind: 'leftmost-first'
  readonly threshold: number // probability
  readonly window: number // slots looked at, the leftmost open one included
  /** What stands in the leftmost open slot is said by canvas and base together (default: by the canvas alone). */
  readonly hybrid?: Hybrid
}

export class LeftmostFirstSampler implements Sampler {
  readonly logits = false
  private readonly threshold: number
  private readonly window: number

  constructor({ threshold, window }: LeftmostFirst) {
    this.threshold = threshold
    this.window = window
  }

  /** The open slots of the window. */
  ask(open: readonly number[]): readonly number[] {
    return open.filter((slot) => slot < open[0]! + this.window)
  }

  pick(canvas: Canvas, asked: readonly number[], prediction: Prediction, rules: CommitRules): Pick[] {
    const picks: Pick[] = []
    const leading = canvas.leadingRun()
    let clamped = !rules.clamp.isOver(leading)
    let allLeft = true // slots left of this one are committed or picked
    for (const [row, slot] of asked.entries()) {
      const guess = clamped ? clampedGuess(prediction, row, rules, leading) : freeGuess(prediction, row, rules)
      const sure = row === 0 || (!clamped && (guess?.probability ?? 0) >= this.threshold)
      const waits = guess?.id === 'end' && rules.ends === 'last'
      if (!guess || !sure || (waits && !allLeft)) {
        if (row === 0) return []
        allLeft = false
        continue
      }
      picks.push({ slot, ...guess })
      if (waits) break
      if (clamped && guess.id !== 'end') clamped = !rules.clamp.isOver([...leading, guess.id])
    }
    return picks
  }
}
