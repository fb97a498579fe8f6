/** Which slots a step commits. */
import type { Prediction } from '../engine/engine.ts'
import type { Canvas } from './canvas.ts'
import type { CommitRules, Pick } from './commitRules.ts'
import { type LeftmostFirst, pickLeftmostFirst, windowSlots } from './leftmostFirst.ts'
import { pickSurestFirst, type SurestFirst } from './surestFirst.ts'

export type Schedule = LeftmostFirst | SurestFirst

/** Slots to ask in the next step, from the left, the leftmost open one first. */
export function slotsToAsk(canvas: Canvas, schedule: Schedule): number[] {
  switch (schedule.kind) {
    case 'leftmost-first':
      return windowSlots(canvas, schedule)
    case 'surest-first':
      return canvas.openSlots()
  }
}

/**
 * What to commit now, from the left; nothing only where no token that may stand there is among the best. An end that
 * waits for the slots left of it comes last, and all of these are committed or picked.
 *
 * @param asked as `slotsToAsk` gave them; row `i` of the prediction is about `asked[i]`.
 */
export function pickSlots(
  canvas: Canvas,
  asked: readonly number[],
  prediction: Prediction,
  schedule: Schedule,
  rules: CommitRules,
): Pick[] {
  switch (schedule.kind) {
    case 'leftmost-first':
      return pickLeftmostFirst(canvas, asked, prediction, schedule, rules)
    case 'surest-first':
      return pickSurestFirst(canvas, asked, prediction, schedule, rules)
  }
}
