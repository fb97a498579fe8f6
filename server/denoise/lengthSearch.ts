/**
 * Length mode `search`: canvases of several lengths are looked at once, and the one is filled of whose tokens the model is
 * surest. For models that were not taught to end.
 *
 * The first look is the first step of the canvas that is chosen, so it is not asked a second time.
 *
 * Source: CAL (arXiv 2602.00476), all lengths at once where it climbs from one to the next.
 */
import type { Prediction } from '../engine/engine.ts'
import { Canvas } from './canvas.ts'
import { commitUpToEnd } from './endToken.ts'
import type { Asked, Filling, FillingRules, Outcome } from './filling.ts'
import { pickSlots, slotsToAsk } from './schedule.ts'

export interface LengthSearch {
  readonly kind: 'search'
  readonly lengths: readonly number[] // slots, rising; at least one
}

export class LengthSearchFilling implements Filling {
  canvas: Canvas
  private candidates: readonly Canvas[] // empty once one is chosen
  private readonly with: FillingRules

  constructor({ lengths }: LengthSearch, rules: FillingRules) {
    this.candidates = lengths.map((length) => new Canvas(length, rules.maskId))
    this.canvas = this.candidates[0]!
    this.with = rules
  }

  ask(): readonly Asked[] {
    if (this.candidates.length > 0) return this.candidates.map((canvas) => ({ canvas, slots: canvas.openSlots() }))
    return [{ canvas: this.canvas, slots: slotsToAsk(this.canvas, this.with.schedule) }]
  }

  take(predictions: readonly Prediction[]): Outcome {
    const { schedule, rules } = this.with
    const chosen = this.candidates.length > 0 ? surestLength(predictions) : 0
    this.canvas = this.candidates[chosen] ?? this.canvas
    this.candidates = []
    // Of a canvas that was looked at, the schedule asks the first slots or all.
    const asked = slotsToAsk(this.canvas, schedule)
    const picks = pickSlots(this.canvas, asked, predictions[chosen]!, schedule, { ...rules, ends: 'last' })
    const outcome = commitUpToEnd(this.canvas, picks)
    return outcome === 'filled' ? 'ended' : outcome
  }
}

/** Index of the prediction, each of all slots of an open canvas, with the best score; the shortest of equals. */
export function surestLength(predictions: readonly Prediction[]): number {
  let best = 0
  let bestScore = Number.NEGATIVE_INFINITY
  for (const [i, { topLogProbs }] of predictions.entries()) {
    const sum = topLogProbs.reduce((total, row) => total + Math.exp(row[0]!), 0)
    const score = sum / topLogProbs.length / lengthBias(topLogProbs.length)
    if (score > bestScore) [best, bestScore] = [i, score]
  }
  return best
}

/** What a model's mean top-1 probability is of a canvas of so many slots, whatever stands around it. */
export function lengthBias(slots: number): number {
  return 1.0 * Math.exp(-1.77 * slots) + 0.56 * Math.exp(-0.06 * slots) + 0.24
}
