/**
 * The entropy bound: of the slots, lowest entropy first, as many as there are whose entropies, the largest left out, sum
 * up to at most the bound. That sum bounds how far tokens committed together can be from tokens committed one by one.
 *
 * Source: arXiv 2505.24857 (EB-Sampler), with entropy as its measure of error; the same rule is diffusers'
 * `EntropyBoundScheduler`, whose default bound is 0.1; token for token the same (`test/oracle/rules.test.ts`).
 */
import { bySureness, type Rule } from './anywhere.ts'
import type { Draw } from './draw.ts'

export interface EntropyBound extends Draw {
  readonly kind: 'entropy-bound'
  readonly bound: number // nats; 0: one slot a step, and all that are certain
}

export function entropyBound({ bound }: EntropyBound): Rule {
  return {
    asks: (open) => open,
    confidence: ({ entropy }) => -entropy,
    choose(candidates) {
      const sorted = bySureness(candidates)
      let before = 0 // entropies of those that are surer
      const end = sorted.findIndex(({ confidence }) => {
        const over = before > bound
        before -= confidence
        return over
      })
      return end < 0 ? sorted : sorted.slice(0, end)
    },
  }
}
