/**
 * The default model's schedule: each step commits the leftmost open slot, and of the slots right after it those whose
 * best token is sure enough. Twice as many exact lines as committing the surest slots anywhere (CHANGELOG).
 *
 * Source: `training/reference.py`, `infill`.
 */
import type { Prediction, TokenIds } from '../engine/engine.ts'
import type { Canvas } from './canvas.ts'

export interface LeftmostFirst {
  readonly threshold: number // probability
  readonly window: number // slots looked at, the leftmost open one included
}

/** What may stand in a slot. */
export interface CommitRules {
  /** Any of these ends the middle; their probabilities count as one. */
  readonly endIds: ReadonlySet<number>
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

/** `ended`: an end was committed; `stuck`: no token that may stand in the leftmost slot is among the best. */
export type CommitOutcome = 'open' | 'filled' | 'ended' | 'stuck'

/** Slots to ask in the next step: the open ones of the window. */
export function slotsToAsk(canvas: Canvas, { window }: LeftmostFirst): number[] {
  const leftmost = canvas.leftmostOpen()
  const slots = []
  for (let slot = leftmost; slot < Math.min(leftmost + window, canvas.slots.length); slot++) {
    if (canvas.isOpen(slot)) slots.push(slot)
  }
  return slots
}

/**
 * Commits into the canvas; at least one slot unless 'ended' or 'stuck'.
 *
 * @param asked slots in rising order, the first being the leftmost open one; `prediction[i]` is about `asked[i]`.
 */
export function commitLeftmostFirst(
  canvas: Canvas,
  asked: readonly number[],
  prediction: Prediction,
  schedule: LeftmostFirst,
  rules: CommitRules,
): CommitOutcome {
  for (const [i, slot] of asked.entries()) {
    const allLeftCommitted = canvas.leftmostOpen() === slot
    const leading = canvas.leadingRun()
    const clamped = !rules.clamp.isOver(leading)
    const guess = clamped ? clampedGuess(prediction, i, rules, leading) : freeGuess(prediction, i, rules)
    if (!guess) {
      if (i === 0) return 'stuck'
      continue
    }
    if (i > 0 && (clamped || guess.probability < schedule.threshold)) continue
    if (guess.id !== 'end') canvas.commit(slot, guess.id, guess.probability)
    else if (allLeftCommitted) return 'ended'
  }
  return canvas.leftmostOpen() === canvas.slots.length ? 'filled' : 'open'
}

interface Guess {
  readonly id: number | 'end'
  readonly probability: number
}

/** The best token that the clamp allows; its probability is among those of the best that it allows. */
function clampedGuess(prediction: Prediction, i: number, rules: CommitRules, leading: TokenIds): Guess | undefined {
  let best: number | undefined
  let [bestProbability, sum] = [0, 0]
  for (const [k, id] of prediction.topIds[i]!.entries()) {
    if (rules.forbiddenIds.has(id) || !rules.clamp.allows(leading, id)) continue
    const probability = Math.exp(prediction.topLogProbs[i]![k]!)
    sum += probability
    if (best === undefined) [best, bestProbability] = [id, probability]
  }
  return best === undefined ? undefined : { id: best, probability: bestProbability / sum }
}

/** The best single token, or the end when all ends together are likelier. */
function freeGuess(prediction: Prediction, i: number, rules: CommitRules): Guess | undefined {
  const ids = prediction.topIds[i]!
  const at = ids.findIndex((id) => !rules.forbiddenIds.has(id) && !rules.endIds.has(id))
  const end = Math.exp(prediction.setLogProbs[i]!)
  const best = at < 0 ? 0 : Math.exp(prediction.topLogProbs[i]![at]!)
  if (end > best) return { id: 'end', probability: end }
  return at < 0 ? undefined : { id: ids[at]!, probability: best }
}
