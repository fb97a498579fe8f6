/** What may stand in a slot, and what the model's best is that may. */
import type { Prediction, TokenIds } from '../engine/engine.ts'

export interface CommitRules {
  /** Their probabilities count as one. */
  readonly endIds: ReadonlySet<number>
  /** Those of them that are not in the set of the pass: they count as far as they are among the best (default: none). */
  readonly uncountedEndIds?: ReadonlySet<number>
  /** `last`: an end ends the middle, so it waits until all slots left of it are committed. `anywhere`: it does not wait. */
  readonly ends: 'last' | 'anywhere'
  /** Never committed. */
  readonly forbiddenIds: ReadonlySet<number>
  /** Text that is known to begin the middle. */
  readonly clamp: Clamp
}

export interface Clamp {
  /** Whether the leading run spells all that is known. */
  isOver(leading: TokenIds): boolean
  /** While it is not over: whether `id` may follow the leading run. */
  allows(leading: TokenIds, id: number): boolean
}

export const noClamp: Clamp = { isOver: () => true, allows: () => true }

/** The clamp for what follows `done`. */
export function clampAfter(clamp: Clamp, done: TokenIds): Clamp {
  return {
    isOver: (leading) => clamp.isOver([...done, ...leading]),
    allows: (leading, id) => clamp.allows([...done, ...leading], id),
  }
}

export interface Guess {
  readonly id: number | 'end'
  readonly probability: number
}

/** What a schedule chose to commit. */
export interface Pick extends Guess {
  readonly slot: number
}

/** While the clamp is not over: the best token that it allows; its probability is among those of the best that it allows. */
export function clampedGuess(prediction: Prediction, row: number, rules: CommitRules, leading: TokenIds) {
  let best: number | undefined
  let [bestProbability, sum] = [0, 0]
  for (const [k, id] of prediction.topIds[row]!.entries()) {
    if (rules.forbiddenIds.has(id) || !rules.clamp.allows(leading, id)) continue
    const probability = Math.exp(prediction.topLogProbs[row]![k]!)
    sum += probability
    if (best === undefined) [best, bestProbability] = [id, probability]
  }
  return best === undefined ? undefined : { id: best, probability: bestProbability / sum }
}

/** The best single token, or the end when all ends together are likelier. */
export function freeGuess(prediction: Prediction, row: number, rules: CommitRules): Guess | undefined {
  const ids = prediction.topIds[row]!
  const at = ids.findIndex((id) => !rules.forbiddenIds.has(id) && !rules.endIds.has(id))
  const end = endProbability(prediction, row, rules)
  const best = at < 0 ? 0 : Math.exp(prediction.topLogProbs[row]![at]!)
  if (end > best) return { id: 'end', probability: end }
  return at < 0 ? undefined : { id: ids[at]!, probability: best }
}

/** Of all ends together. */
export function endProbability(prediction: Prediction, row: number, { uncountedEndIds }: CommitRules): number {
  let sum = Math.exp(prediction.setLogProbs[row]!)
  for (const [k, id] of prediction.topIds[row]!.entries())
    if (uncountedEndIds?.has(id)) sum += Math.exp(prediction.topLogProbs[row]![k]!)
  return sum
}
