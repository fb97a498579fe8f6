/** Length mode `end-token`: the model commits an end behind the last token; a canvas without one is followed by another. */
import type { Prediction } from '../engine/engine.ts'
import { Canvas } from './canvas.ts'
import type { CommitRules, Pick } from './commitRules.ts'
import { type Asked, askedBy, type Filling, type FillingRules, type Outcome } from './filling.ts'
import { mixed } from './hybrid.ts'
import type { Sampler } from './sampling/sampler.ts'
import { hybridOf, openSampler } from './schedule.ts'

export interface EndToken {
  readonly kind: 'end-token'
  readonly slots: number // of each canvas
}

export class EndTokenFilling implements Filling {
  readonly canvas: Canvas
  private readonly with: FillingRules
  private readonly sampler: Sampler
  private asked: Asked

  constructor({ slots }: EndToken, rules: FillingRules) {
    this.canvas = new Canvas(slots, rules.maskId)
    this.with = rules
    this.sampler = openSampler(rules.schedule, rules.stream ?? 0)
    this.asked = { canvas: this.canvas, slots: [] }
  }

  ask(): readonly Asked[] {
    this.asked = { ...askedBy(this.sampler, this.canvas), read: this.baseShare() > 0 }
    return [this.asked]
  }

  take([canvas, base]: readonly Prediction[]): Outcome {
    const rules: CommitRules = { ...this.with.rules, ends: 'last' }
    const prediction = base ? mixed(canvas!, base, this.baseShare()) : canvas!
    const picks = this.sampler.pick(this.canvas, this.asked.slots, prediction, rules)
    return commitUpToEnd(this.canvas, picks)
  }

  private baseShare(): number {
    const hybrid = hybridOf(this.with.schedule)
    if (!hybrid) return 0
    return this.canvas.leftmostOpen() > 0 || this.with.continues ? hybrid.later : hybrid.first
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
