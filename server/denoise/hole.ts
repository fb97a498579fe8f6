/** One hole on its way from open slots to a finished middle: its canvases, one after the other. */
import type { Recall } from '../base/recall.ts'
import type { Prediction, TokenIds } from '../engine/engine.ts'
import { Canvas } from './canvas.ts'
import { type Clamp, clampAfter, recallAfter } from './commitRules.ts'
import type { Asked, Filling, FillingRules } from './filling.ts'
import type { Ahead } from './holeOrder.ts'
import { type Length, openFilling } from './length.ts'

export interface Hole {
  readonly length: Length
  readonly maxTokens: number
  /** The middle ends where the product of its tokens' probabilities falls below this. */
  readonly floor: number
  /** Text that is known to begin the middle. */
  readonly clamp: Clamp
  /** A second opinion on what comes next. */
  readonly recall?: Recall
  /** More ends, of this hole alone; counted as far as they are among the best of a slot. None of the request's. */
  readonly ownEndIds?: ReadonlySet<number>
}

/** A middle from the left, as far as it is committed; ends are not included. */
export interface Progress {
  readonly ids: TokenIds
  /** What the model gave each of them when it was committed. */
  readonly probabilities: readonly number[]
}

/** 'length': `maxTokens` were filled without an end; 'unsure': the floor was reached; 'stuck': nothing fits the clamp. */
export type Finish = 'ended' | 'length' | 'stuck' | 'unsure'

export class OpenHole {
  private readonly hole: Hole
  private readonly rules: FillingRules // the clamp of which is that of the first canvas
  private readonly done: number[] = [] // middles of the canvases folded so far
  private readonly doneProbabilities: number[] = []
  private filling: Filling
  private asked: readonly Asked[] | undefined // and not answered yet
  private begun = false
  finish: Finish | undefined // once there is nothing left to do

  constructor(hole: Hole, rules: FillingRules) {
    this.hole = hole
    this.rules = rules
    this.filling = openFilling(this.lengthLeft(), rules)
  }

  /** Its canvas, or several of which one is to be chosen. The same again until it takes an answer. */
  ask(): readonly Asked[] {
    this.begun = true
    this.asked ??= this.filling.ask()
    return this.asked
  }

  /** Asks nothing, and stands there as it is; as long as it has not asked anything, as `ahead` says. */
  standing(ahead: Ahead): Asked {
    const canvas = this.begun || ahead === 'open' ? this.filling.canvas : new Canvas(0, this.rules.maskId)
    return { canvas, slots: [] }
  }

  /**
   * Commits what the pass said; not once it is finished.
   *
   * @param predictions one for each canvas that was asked.
   * @param guesses that stood behind what is committed, where these are not those of `ask()`.
   * @returns whether the canvas is full, and is to be folded before the next pass.
   */
  take(predictions: readonly Prediction[], guesses?: TokenIds): boolean {
    this.asked = undefined
    const { maxTokens, floor } = this.hole
    const outcome = this.filling.take(predictions, guesses)
    const { canvas } = this.filling
    const filled = this.done.length + canvas.leftmostOpen()
    if (product(this.progress().probabilities) < floor) this.finish = 'unsure'
    else if (filled > maxTokens) this.finish = 'length'
    else if (outcome === 'ended' || outcome === 'stuck') this.finish = outcome
    else if (filled === maxTokens) this.finish = 'length'
    // The slots that are left over are no part of the text: for the other holes it goes on behind the last token.
    if (this.finish) canvas.cutTo(Math.min(canvas.leftmostOpen(), maxTokens - this.done.length))
    return this.finish === undefined && outcome === 'filled'
  }

  /** The tokens of the full canvas. */
  middle(): TokenIds {
    return this.filling.canvas.leadingRun()
  }

  /** Opens the next canvas; the full one has become text. */
  folded(): void {
    const { canvas } = this.filling
    this.done.push(...canvas.leadingRun())
    this.doneProbabilities.push(...canvas.leadingProbabilities())
    const { rules } = this.rules
    const clamp = clampAfter(rules.clamp, [...this.done])
    const recall = rules.recall ? { recall: recallAfter(rules.recall, [...this.done]) } : {}
    const stream = (this.rules.stream ?? 0) + this.done.length
    this.filling = openFilling(this.lengthLeft(), {
      ...this.rules,
      rules: { ...rules, clamp, ...recall },
      stream,
      continues: true,
    })
  }

  /**
   * Of the next canvas. Rows that see only what is committed left of them do not know how many slots there are, so there need
   * be none that cannot be filled: else it would depend on the guesses of the last pass whether an end behind them is seen.
   */
  private lengthLeft(): Length {
    const { length, maxTokens } = this.hole
    return length.kind === 'drafted'
      ? { ...length, slots: Math.min(length.slots, maxTokens - this.done.length) }
      : length
  }

  progress(): Progress {
    const { canvas } = this.filling
    const { maxTokens } = this.hole
    return {
      ids: [...this.done, ...canvas.leadingRun()].slice(0, maxTokens),
      probabilities: [...this.doneProbabilities, ...canvas.leadingProbabilities()].slice(0, maxTokens),
    }
  }
}

export function product(probabilities: readonly number[]): number {
  return probabilities.reduce((sofar, probability) => sofar * probability, 1)
}
