/**
 * Length mode `expand-delete`: an expand token becomes two open slots in its place, an end takes its slot away.
 *
 * Source: DreamOn (arXiv 2602.01326). Its step commits one slot: a schedule with threshold 1.
 */
import type { Prediction } from '../engine/engine.ts'
import { Canvas } from './canvas.ts'
import type { CommitRules } from './commitRules.ts'
import { type Asked, askedBy, type Filling, type FillingRules, type Outcome } from './filling.ts'
import type { Sampler } from './sampling/sampler.ts'
import { openSampler } from './schedule.ts'

export interface ExpandDelete {
  readonly kind: 'expand-delete'
  readonly slots: number // to begin with
  /** The canvas grows no further, and no more often in all: else expanding and deleting could go on for ever. */
  readonly maxSlots: number
  readonly expandId: number
}

export class ExpandDeleteFilling implements Filling {
  readonly canvas: Canvas
  private readonly sampler: Sampler
  private readonly mode: ExpandDelete
  private readonly growing: CommitRules
  private readonly full: CommitRules
  private asked: Asked
  private expanded = 0

  constructor(mode: ExpandDelete, rules: FillingRules) {
    const { forbiddenIds } = rules.rules
    const others = [...forbiddenIds].filter((id) => id !== mode.expandId)
    this.canvas = new Canvas(Math.min(mode.slots, mode.maxSlots), rules.maskId)
    this.sampler = openSampler(rules.schedule, rules.stream ?? 0)
    this.asked = { canvas: this.canvas, slots: [] }
    this.mode = mode
    this.growing = { ...rules.rules, ends: 'anywhere', forbiddenIds: new Set(others) }
    this.full = { ...this.growing, forbiddenIds: new Set([...others, mode.expandId]) }
  }

  ask(): readonly Asked[] {
    this.asked = askedBy(this.sampler, this.canvas)
    return [this.asked]
  }

  take([prediction]: readonly Prediction[]): Outcome {
    const { canvas, asked } = this
    const rules = this.mayGrow() ? this.growing : this.full
    const picks = this.sampler.pick(canvas, asked.slots, prediction!, rules)
    if (picks.length === 0) return 'stuck'
    // From the right: what is left of a slot stays where it is.
    for (const { slot, id, probability } of picks.toReversed()) {
      if (id === 'end') canvas.remove(slot)
      else if (id !== this.mode.expandId) canvas.commit(slot, id, probability)
      else if (this.mayGrow()) {
        canvas.expand(slot)
        this.expanded++
      }
    }
    return canvas.isFilled() ? 'ended' : 'open'
  }

  private mayGrow(): boolean {
    return this.canvas.slots.length < this.mode.maxSlots && this.expanded < this.mode.maxSlots
  }
}
