/**
 * Decides which slots a step commits, and to what. One for each canvas, from its first step to its last; what it is made
 * of is a `Schedule`.
 */
import type { Prediction } from '../../engine/engine.ts'
import type { Canvas } from '../canvas.ts'
import type { CommitRules, Pick } from '../commitRules.ts'

export interface Sampler {
  /** Whether the best eight tokens do not tell it enough: it draws tokens, or leaves unlikely ones out. */
  readonly logits: boolean
  /**
   * Begins a step; those of a plan that would commit nothing are passed over.
   *
   * @param open the slots that may be committed, from the left.
   * @returns those whose token it asks for, from the left, the leftmost open one first.
   */
  ask(open: readonly number[]): readonly number[]
  /**
   * What to commit now, from the left; nothing only where no token that may stand there is among the best. An end that
   * waits for the slots left of it comes last, and all of these are committed or picked.
   *
   * @param asked as `ask` gave them; row `i` of the prediction is about `asked[i]`.
   */
  pick(canvas: Canvas, asked: readonly number[], prediction: Prediction, rules: CommitRules): Pick[]
}
