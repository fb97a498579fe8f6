/**
 * What is worth showing when nobody asked: how likely a filled line is exactly what its author would write. Pure; knows
 * nothing of text.
 *
 * Two numbers tell: the product of the probabilities that the tokens had when they were committed, and the probability
 * of the end behind them. `test/bench/fitGate.ts` found the weights and tried what else there is (CHANGELOG).
 */
import { product } from '../denoise/hole.ts'

/** A middle as far as it is committed. */
export interface Evidence {
  readonly probabilities: readonly number[] // of its tokens, as they were committed
  /** Of the end behind them; 1 where the length was not found by an end. */
  readonly end: number
}

/** Log-odds that a whole line is exactly right. */
export interface GateWeights {
  readonly bias: number
  readonly tokens: number // for each nat of the product's logarithm
  readonly end: number // for each nat of the end's
}

/** For the embedded model. Fitted on ... */
export const gateWeights: GateWeights = { bias: 1, tokens: 1, end: 1 }

/** The probability that a line which has ended is exactly right. */
export function exactness({ probabilities, end }: Evidence, weights = gateWeights): number {
  const { bias } = weights
  return sigmoid(bias + weights.tokens * log(product(probabilities)) + weights.end * log(end))
}

/** A line whose tokens' product is below this cannot be shown whole any more, however sure its end. */
export function leastProduct(showAbove: number, { bias, tokens }: GateWeights = gateWeights): number {
  if (showAbove <= 0) return 0
  return Math.min(1, Math.exp((Math.log(showAbove / (1 - showAbove)) - bias) / tokens))
}

function sigmoid(odds: number): number {
  return 1 / (1 + Math.exp(-odds))
}

/** Finite, so that a probability of 0 leaves an order. */
function log(probability: number): number {
  return Math.log(Math.max(probability, 1e-9))
}
