/**
 * What the distribution of one slot says: the token, and how sure it is.
 *
 * In the order of the reference: divided by the temperature, cut to the nucleus (top-p), then to the best (top-k),
 * softmax, then a draw or the best. All measures of sureness are of what is left after that. A nucleus and a top-k also act at
 * temperature 0: the token is the same, its probability is not.
 *
 * Source: CoDA `generation_utils.py`, `sample_tokens`. There is no end and no forbidden id in it; here all ends are one
 * token, and forbidden ids are left out of the draw, not out of the probabilities.
 */
import type { Prediction } from '../../engine/engine.ts'
import { type CommitRules, endProbability, freeGuess, type Guess } from '../commitRules.ts'

export interface Draw {
  readonly temperature: number // 0: the best token
  readonly topP?: number // probability; left out: all tokens
  readonly topK?: number // tokens; left out: all
  readonly seed: number
}

/** `probability` is what the model gave the token, before temperature and cuts. */
export interface Reading extends Guess {
  readonly chosen: number // probability of the token among those that are left
  readonly margin: number // between the best two
  readonly entropy: number // nats
}

export function needsLogits({ temperature, topP = 1, topK }: Draw): boolean {
  return temperature > 0 || topP < 1 || topK !== undefined
}

/** @throws {RangeError} */
export function checkDraw({ temperature, topP = 1, topK = 1 }: Draw): void {
  if (!(temperature >= 0)) throw new RangeError(`a temperature is 0 or more, found ${temperature}`)
  if (!(topP > 0 && topP <= 1)) throw new RangeError(`top-p is above 0 and at most 1, found ${topP}`)
  if (!(topK >= 1)) throw new RangeError(`top-k is at least 1, found ${topK}`)
}

/**
 * @param row of the prediction, which has logits if `needsLogits`.
 * @param uniform in [0, 1); used where a token is drawn.
 * @returns `undefined` where no token that may stand there is left, nor is any among the best eight.
 */
export function read(prediction: Prediction, row: number, draw: Draw, uniform: number, rules: CommitRules) {
  return needsLogits(draw) ? readLogits(prediction, row, draw, uniform, rules) : readBest(prediction, row, rules)
}

/** From the best eight; `undefined` where none of them may stand there. */
function readBest(prediction: Prediction, row: number, rules: CommitRules): Reading | undefined {
  const guess = freeGuess(prediction, row, rules)
  if (!guess) return undefined
  const tokens = prediction.topIds[row]!.flatMap((id, k) =>
    rules.forbiddenIds.has(id) || rules.endIds.has(id) ? [] : [Math.exp(prediction.topLogProbs[row]![k]!)],
  )
  const [first = 0, second = 0] = [...tokens, endProbability(prediction, row, rules)].sort((a, b) => b - a)
  return { ...guess, chosen: guess.probability, margin: first - second, entropy: prediction.entropy[row]! }
}

function readLogits(
  prediction: Prediction,
  row: number,
  draw: Draw,
  uniform: number,
  rules: CommitRules,
): Reading | undefined {
  const { temperature } = draw
  const raw = prediction.logits![row]!
  const logits = temperature > 0 ? raw.map((logit) => logit / temperature) : raw // float32, as in the reference
  const most = largest(logits)
  const least = leastKept(logits, most, draw)
  let [mass, weighted, ends, barred] = [0, 0, 0, 0]
  let [best, first, second] = [-1, 0, 0]
  for (let id = 0; id < logits.length; id++) {
    const below = logits[id]! - most
    if (!(logits[id]! >= least)) continue
    const weight = Math.exp(below)
    mass += weight
    if (weight > 0) weighted += weight * below
    if (rules.endIds.has(id)) ends += weight
    else if (rules.forbiddenIds.has(id)) barred += weight
    else if (weight > first) [best, first, second] = [id, weight, first]
    else if (weight > second) second = weight
  }
  const entropy = Math.log(mass) - weighted / mass
  if (best < 0 && ends === 0) {
    // All that is left is forbidden: the best that is not, surer than nothing.
    const fallback = readBest(prediction, row, rules)
    return fallback && { ...fallback, chosen: 0, margin: 0, entropy }
  }
  const drawn = temperature > 0 ? tokenAt(uniform * (mass - barred)) : undefined
  const id = drawn ?? (ends > first ? 'end' : best)
  const margin = (ends > first ? ends - first : first - Math.max(second, ends)) / mass
  if (id === 'end')
    return { id, probability: endProbability(prediction, row, rules), chosen: ends / mass, margin, entropy }
  const normalizer = raw[prediction.topIds[row]![0]!]! - prediction.topLogProbs[row]![0]!
  const chosen = Math.exp(logits[id]! - most) / mass
  return { id, probability: Math.exp(raw[id]! - normalizer), chosen, margin, entropy }

  /** The token at which the summed weights pass `target`, in the order of ids. */
  function tokenAt(target: number): number | 'end' | undefined {
    let sum = 0
    for (let id = 0; id < logits.length; id++) {
      if (!(logits[id]! >= least)) continue
      const isEnd = rules.endIds.has(id)
      if (!isEnd && rules.forbiddenIds.has(id)) continue
      sum += Math.exp(logits[id]! - most)
      if (sum > target) return isEnd ? 'end' : id
    }
    return undefined
  }
}

function largest(values: Float32Array): number {
  let most = Number.NEGATIVE_INFINITY
  for (const value of values) if (value > most) most = value
  return most
}

/** The smallest logit that stays: top-p, then top-k. Equals stay together. */
function leastKept(logits: Float32Array, most: number, { topP = 1, topK = Number.POSITIVE_INFINITY }: Draw): number {
  if (topP >= 1 && topK >= logits.length) return Number.NEGATIVE_INFINITY
  let mass = 0
  for (const logit of logits) mass += Math.exp(logit - most)
  // Sorted no deeper than needed: of 49,152 logits some hundred make up the nucleus.
  for (const depth of [8, 16, Number.POSITIVE_INFINITY]) {
    const sorted = logits.filter((logit) => logit >= most - depth).sort()
    const whole = depth === Number.POSITIVE_INFINITY
    let [kept, before] = [0, 0]
    while (kept < sorted.length && kept < topK && (topP >= 1 || before <= topP * mass)) {
      before += Math.exp(sorted.at(-1 - kept)! - most)
      kept++
    }
    if (whole || kept < sorted.length) return sorted.at(-kept) ?? Number.NEGATIVE_INFINITY
  }
  return Number.NEGATIVE_INFINITY
}
