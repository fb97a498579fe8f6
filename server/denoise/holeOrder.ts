/**
 * In which of several open holes a step commits. All rows see each other whatever the answer is: it decides only whose
 * guesses are written down first, and so what the others can go by.
 */
import type { Prediction } from '../engine/engine.ts'

export type HoleOrder =
  /** In each of them. Two guesses of one name are then made without knowing of each other. */
  | { readonly kind: 'at-once' }
  /** In the one that is surest of its leftmost open slot, and in those that are at least as sure as `threshold`. */
  | { readonly kind: 'surest-hole'; readonly threshold: number } // probability
  /** In one after the other: the next one only when that is finished. */
  | { readonly kind: 'left-to-right'; readonly ahead: Ahead }
  | { readonly kind: 'right-to-left'; readonly ahead: Ahead }

/** How a hole stands in the canvas whose turn has not come: with open slots, or with none, as if nothing were missing. */
export type Ahead = 'open' | 'closed'

/**
 * @param open indices of the holes that are not finished, from the left; at least one.
 * @returns those of them that the next pass asks.
 */
export function holesToAsk(order: HoleOrder, open: readonly number[]): readonly number[] {
  switch (order.kind) {
    case 'at-once':
    case 'surest-hole':
      return open
    case 'left-to-right':
      return open.slice(0, 1)
    case 'right-to-left':
      return open.slice(-1)
  }
}

export function aheadOf(order: HoleOrder): Ahead {
  return order.kind === 'left-to-right' || order.kind === 'right-to-left' ? order.ahead : 'open'
}

/**
 * @param asked what `holesToAsk` gave.
 * @param predictions of every hole of the request; those of a hole are of the canvases it asked.
 * @returns those of them that commit what the pass said; at least one.
 */
export function holesToTake(
  order: HoleOrder,
  asked: readonly number[],
  predictions: readonly (readonly Prediction[])[],
): readonly number[] {
  if (order.kind !== 'surest-hole') return asked
  const sureness = asked.map((hole) => Math.max(...predictions[hole]!.map(surenessOfFirst)))
  const most = sureness.indexOf(Math.max(...sureness))
  return asked.filter((_, i) => i === most || sureness[i]! >= order.threshold)
}

/** Probability of what is likeliest in the leftmost slot that was asked, a token or an end. */
function surenessOfFirst({ topLogProbs, setLogProbs }: Prediction): number {
  return Math.exp(Math.max(topLogProbs[0]![0]!, setLogProbs[0]!))
}
