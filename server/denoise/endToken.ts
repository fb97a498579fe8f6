/** Length mode `end-token`: the model commits an end behind the last token; a canvas without one is followed by another. */
import type { Prediction } from '../engine/engine.ts'
import { Canvas } from './canvas.ts'
import type { Pick } from './commitRules.ts'
import type { Asked, Filling, FillingRules, Outcome } from './filling.ts'
import { pickSlots, slotsToAsk } from './schedule.ts'

export interface EndToken {
  readonly kind: 'end-token'
  readonly slots: number // of each canvas
}

export class EndTokenFilling implements Filling {
  readonly canvas: Canvas
  private readonly with: FillingRules
  private asked: readonly number[] = []

  constructor({ slots }: EndToken, rules: FillingRules) {
    this.canvas = new Canvas(slots, rules.maskId)
    this.with = rules
  }

  ask(): readonly Asked[] {
    this.asked = slotsToAsk(this.canvas, this.with.schedule)
    return [{ canvas: this.canvas, slots: this.asked }]
  }

  take([prediction]: readonly Prediction[]): Outcome {
    const { schedule, rules } = this.with
    const picks = pickSlots(this.canvas, this.asked, prediction!, schedule, { ...rules, ends: 'last' })
    return commitUpToEnd(this.canvas, picks)
  }
}

/** Commits tokens; an end is not written: it says that what is left of it was all. */
export function commitUpToEnd(canvas: Canvas, picks: readonly Pick[]): Outcome {
  if (picks.length === 0) return 'stuck'
  for (const { slot, id, probability } of picks) {
    if (id === 'end') return 'ended'
    canvas.commit(slot, id, probability)
  }
  return canvas.isFilled() ? 'filled' : 'open'
}
