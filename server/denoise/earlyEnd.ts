/**
 * Length mode `early-end`: ends are committed before all that is left of them, so that the slots that remain know how much
 * room there is. Two rules; with neither is the default model right more often (CHANGELOG), so it ends by
 * `endToken.ts`.
 *
 * Sources: `anywhere`: CoDA `generation_utils.py` and its kin, where an end is a token like others and the text is cut at
 * the first one. `from-right`: the rule that the ends of a canvas are a run at its right edge, as all are taught.
 */
import type { Prediction } from '../engine/engine.ts'
import { Canvas } from './canvas.ts'
import { type CommitRules, freeGuess } from './commitRules.ts'
import { type Asked, askedBy, type Filling, type FillingRules, type Outcome, rowsOf } from './filling.ts'
import type { Sampler } from './sampling/sampler.ts'
import { openSampler } from './schedule.ts'

export interface EarlyEnd {
  readonly kind: 'early-end'
  readonly slots: number // of each canvas
  /**
   * `anywhere`: wherever the schedule would commit a token. `from-right`: where nothing but ends is right of it and its
   * probability is at least `sure`; where all open slots say end, however unsure.
   */
  readonly rule: { readonly kind: 'anywhere' } | { readonly kind: 'from-right'; readonly sure: number }
}

export class EarlyEndFilling implements Filling {
  readonly canvas: Canvas
  private readonly mode: EarlyEnd
  private readonly rules: CommitRules
  private readonly endId: number
  private readonly sampler: Sampler
  private asked: Asked
  private sampled: readonly number[] = [] // of the asked slots, those that the sampler wants
  private edge: number // the leftmost committed end; the slot count when there is none

  constructor(mode: EarlyEnd, rules: FillingRules) {
    this.canvas = new Canvas(mode.slots, rules.maskId)
    this.mode = mode
    this.rules = { ...rules.rules, ends: 'anywhere' }
    this.endId = [...rules.rules.endIds][0]! // one stands for all, as in the training data
    this.sampler = openSampler(rules.schedule, rules.stream ?? 0)
    this.asked = { canvas: this.canvas, slots: [] }
    this.edge = mode.slots
  }

  ask(): readonly Asked[] {
    this.asked = askedBy(this.sampler, this.canvas)
    this.sampled = this.asked.slots
    // The run at the right edge is seen only where all is asked.
    if (this.mode.rule.kind === 'from-right') this.asked = { ...this.asked, slots: this.canvas.openSlots() }
    return [this.asked]
  }

  take([prediction]: readonly Prediction[]): Outcome {
    const heard = this.mode.rule.kind === 'anywhere' ? prediction! : this.takeRun(prediction!, this.mode.rule.sure)
    const slots = this.sampled.filter((slot) => slot < this.edge)
    if (slots.length > 0) {
      const rows = slots.map((slot) => this.asked.slots.indexOf(slot))
      const picks = this.sampler.pick(this.canvas, slots, rowsOf(heard, rows), this.rules)
      if (picks.length === 0) return 'stuck'
      for (const { slot, id, probability } of picks) {
        if (slot >= this.edge) break
        if (id === 'end') this.endAt(slot)
        else this.canvas.commit(slot, id, probability)
      }
    }
    if (!this.canvas.isFilled()) return 'open'
    const ended = this.edge < this.canvas.slots.length
    this.canvas.cutTo(this.edge)
    return ended ? 'ended' : 'filled'
  }

  /** Commits the run of ends; what is left of it is no end. */
  private takeRun(prediction: Prediction, sure: number): Prediction {
    const guesses = this.asked.slots.map((_, row) => freeGuess(prediction, row, this.rules))
    const known = this.rules.clamp.isOver(this.canvas.leadingRun())
    const allEnd = known && guesses.every((guess) => guess?.id === 'end')
    for (const [row, slot] of [...this.asked.slots.entries()].reverse()) {
      const guess = guesses[row]
      const next = slot === this.edge - 1 && (known || row > 0)
      if (next && guess?.id === 'end' && (allEnd || guess.probability >= sure)) this.endAt(slot)
    }
    return { ...prediction, setLogProbs: prediction.setLogProbs.map(() => Number.NEGATIVE_INFINITY) }
  }

  /** All that is right of it is closed. */
  private endAt(slot: number): void {
    this.edge = slot
    for (let right = slot; right < this.canvas.slots.length; right++) this.canvas.commit(right, this.endId, 1)
  }
}
