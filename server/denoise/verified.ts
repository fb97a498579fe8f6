/**
 * Length mode `verified`: the middle is, token for token, what the base alone would write greedily from left to right, until
 * it writes an end. The canvas guesses ahead; a guess that the base would not have made is dropped with all that follows it.
 *
 * Every pass proves at least one token, the base's own, so there are never more passes than reading token by token takes.
 *
 * Source: speculative decoding (arXiv 2211.17192) at temperature 0, with the denoiser as the draft model; both in one pass.
 */
import type { Prediction, TokenIds } from '../engine/engine.ts'
import { Canvas } from './canvas.ts'
import { type CommitRules, clampedGuess, freeGuess, type Guess } from './commitRules.ts'
import type { Asked, Filling, FillingRules, Outcome } from './filling.ts'

export interface Verified {
  readonly kind: 'verified'
  readonly slots: number // of each canvas
  /** Slots guessed ahead at most; each that is right saves a pass, each that is wrong has cost a row. */
  readonly ahead: number
  /** Guesses ahead are at least this probable. */
  readonly threshold: number
}

export class VerifiedFilling implements Filling {
  /** What is proven; guesses are in a copy. */
  readonly canvas: Canvas
  private readonly mode: Verified
  private readonly with: FillingRules
  private guessed: TokenIds = [] // behind what is proven
  private asked: readonly number[] = []

  constructor(mode: Verified, rules: FillingRules) {
    this.canvas = new Canvas(mode.slots, rules.maskId)
    this.mode = mode
    this.with = rules
  }

  ask(): readonly Asked[] {
    const canvas = new Canvas(this.mode.slots, this.with.maskId)
    for (const [slot, id] of [...this.canvas.leadingRun(), ...this.guessed].entries()) canvas.commit(slot, id, 1)
    this.asked = canvas.openSlots().slice(0, this.mode.ahead + 1)
    return [{ canvas, slots: this.asked, read: true }]
  }

  /** Row `i` of what the base says is about the slot `i` behind what was proven before. */
  take([ahead, base]: readonly Prediction[]): Outcome {
    const { canvas, guessed } = this
    this.guessed = []
    for (let row = 0; row <= guessed.length; row++) {
      const leading = canvas.leadingRun()
      const written = greedyGuess(base!, row, this.with.rules, leading)
      if (!written) return 'stuck'
      if (written.id === 'end') return 'ended'
      canvas.commit(leading.length, written.id, written.probability)
      if (canvas.isFilled()) return 'filled'
      if (row < guessed.length && written.id !== guessed[row]) return 'open'
    }
    this.guessed = this.guessAhead(ahead!)
    return 'open'
  }

  /** The canvas saw what is proven but for the last token: where it would have put another one there, its guesses go. */
  private guessAhead(prediction: Prediction): TokenIds {
    const rules: CommitRules = { ...this.with.rules, ends: 'last' }
    const ids: number[] = []
    for (const row of this.asked.keys()) {
      const guess = freeGuess(prediction, row, rules)
      if (!guess || guess.id === 'end') break
      if (row === 0 ? guess.id !== this.canvas.leadingRun().at(-1) : guess.probability < this.mode.threshold) break
      if (row > 0) ids.push(guess.id)
    }
    return ids
  }
}

/** The base's best token; while the clamp is not over, its best that this allows. */
export function greedyGuess(
  prediction: Prediction,
  row: number,
  rules: FillingRules['rules'],
  leading: TokenIds,
): Guess | undefined {
  if (!rules.clamp.isOver(leading)) return clampedGuess(prediction, row, { ...rules, ends: 'last' }, leading)
  const at = prediction.topIds[row]!.findIndex((id) => !rules.forbiddenIds.has(id))
  if (at < 0) return undefined
  const id = prediction.topIds[row]![at]!
  return { id: rules.endIds.has(id) ? 'end' : id, probability: Math.exp(prediction.topLogProbs[row]![at]!) }
}
