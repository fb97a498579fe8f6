/**
 * The default model's schedule: each step commits the leftmost open slot, and of the slots right after it those whose
 * best token is sure enough. Twice as many exact lines as committing the surest slots anywhere (CHANGELOG).
 *
 * Source: `training/reference.py`, `infill`.
 */
import type { Prediction } from '../engine/engine.ts'
import type { Canvas } from './canvas.ts'
import { type CommitRules, clampedGuess, freeGuess, type Pick } from './commitRules.ts'

export interface LeftmostFirst {
  readonly kind: 'leftmost-first'
  readonly threshold: number // probability
  readonly window: number // slots looked at, the leftmost open one included
}

/** The open slots of the window. */
export function windowSlots(canvas: Canvas, { window }: LeftmostFirst): number[] {
  const leftmost = canvas.leftmostOpen()
  return canvas.openSlots().filter((slot) => slot < leftmost + window)
}

/** @see pickSlots */
export function pickLeftmostFirst(
  canvas: Canvas,
  asked: readonly number[],
  prediction: Prediction,
  { threshold }: LeftmostFirst,
  rules: CommitRules,
): Pick[] {
  const picks: Pick[] = []
  const leading = canvas.leadingRun()
  let clamped = !rules.clamp.isOver(leading)
  let allLeft = true // slots left of this one are committed or picked
  for (const [row, slot] of asked.entries()) {
    const guess = clamped ? clampedGuess(prediction, row, rules, leading) : freeGuess(prediction, row, rules)
    const sure = row === 0 || (!clamped && (guess?.probability ?? 0) >= threshold)
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
