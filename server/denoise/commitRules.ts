/** What may stand in a slot, and what the model's best is that may. */
import type { Recall, Recalled } from '../base/recall.ts'
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
  /** A second opinion on what comes next; heard by the length mode `drafted`. */
  readonly recall?: Recall
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

export function recallAfter(recall: Recall, done: TokenIds): Recall {
  return (leading) => recall([...done, ...leading])
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

/**
 * What may stand behind the leading run, by the model and the second opinion together: (1 − weight) of the model's
 * probability, and the weight where the opinion is.
 */
export function mixedGuess(
  prediction: Prediction,
  row: number,
  rules: CommitRules,
  leading: TokenIds,
  recalled: Recalled | undefined,
): Guess | undefined {
  const clamped = !rules.clamp.isOver(leading)
  const guess = clamped ? clampedGuess(prediction, row, rules, leading) : freeGuess(prediction, row, rules)
  if (!recalled || !mayBe(recalled.id, rules, leading, clamped)) return guess
  const id = recalled.id !== 'end' && rules.endIds.has(recalled.id) ? 'end' : recalled.id
  const own = guess?.id === id ? guess.probability : clamped ? 0 : probabilityOf(prediction, row, rules, id)
  const together = (1 - recalled.weight) * own + recalled.weight
  const other = guess && guess.id !== id ? (1 - recalled.weight) * guess.probability : 0
  return other > together ? { ...guess!, probability: other } : { id, probability: together }
}

function mayBe(id: number | 'end', rules: CommitRules, leading: TokenIds, clamped: boolean): boolean {
  if (id === 'end') return !clamped
  return !rules.forbiddenIds.has(id) && (!clamped || rules.clamp.allows(leading, id))
}

/** As far as it is among the best. */
function probabilityOf(prediction: Prediction, row: number, rules: CommitRules, id: number | 'end'): number {
  if (id === 'end') return endProbability(prediction, row, rules)
  const at = prediction.topIds[row]!.indexOf(id)
  return at < 0 ? 0 : Math.exp(prediction.topLogProbs[row]![at]!)
}

/** Of all ends together. */
export function endProbability(prediction: Prediction, row: number, { uncountedEndIds }: CommitRules): number {
  let sum = Math.exp(prediction.setLogProbs[row]!)
  for (const [k, id] of prediction.topIds[row]!.entries())
    if (uncountedEndIds?.has(id)) sum += Math.exp(prediction.topLogProbs[row]![k]!)
  return sum
}
