/**
 * The schedule of bidirectional models: each step commits the surest open slot, wherever it is, and with it all whose
 * best token reaches the threshold.
 *
 * Source: Fast-dLLM (arXiv 2505.22618), confidence threshold, over the whole canvas.
 */
import type { Prediction } from '../engine/engine.ts'
import type { Canvas } from './canvas.ts'
import { type CommitRules, clampedGuess, freeGuess, type Guess, type Pick } from './commitRules.ts'

export interface SurestFirst {
  readonly kind: 'surest-first'
  /** Probability. From 1 on it is one slot a step, even where a probability is rounded to 1. */
  readonly threshold: number
}

/**
 * While the text that is known to begin the middle is not spelled out, the leftmost open slot is the surest: it alone is
 * held to that text.
 *
 * @see pickSlots
 */
export function pickSurestFirst(
  canvas: Canvas,
  asked: readonly number[],
  prediction: Prediction,
  { threshold }: SurestFirst,
  rules: CommitRules,
): Pick[] {
  const leading = canvas.leadingRun()
  const guesses = asked.map((_, row): Guess | undefined => freeGuess(prediction, row, rules))
  const waits = (row: number) => guesses[row]?.id === 'end' && rules.ends === 'last'
  let surest = -1
  if (rules.clamp.isOver(leading)) {
    for (const [row, guess] of guesses.entries()) {
      if (!guess || (waits(row) && row > 0)) continue
      if (surest < 0 || guess.probability > guesses[surest]!.probability) surest = row
    }
  } else {
    const clamped = clampedGuess(prediction, 0, rules, leading)
    if (!clamped) return []
    if (!rules.clamp.isOver([...leading, clamped.id])) return [{ slot: asked[0]!, ...clamped }]
    guesses[0] = clamped
    surest = 0
  }
  const picks: Pick[] = []
  let allLeft = true // slots left of this one are committed or picked
  for (const [row, slot] of asked.entries()) {
    const guess = guesses[row]
    const sure = row === surest || (threshold < 1 && (guess?.probability ?? 0) >= threshold)
    if (!guess || !sure || (waits(row) && !allLeft)) {
      allLeft = false
      continue
    }
    picks.push({ slot, ...guess })
    if (waits(row)) break
  }
  return picks
}
