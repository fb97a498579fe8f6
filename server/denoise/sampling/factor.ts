/**
 * The factor rule: of the slots, surest first, as many as there are with (n + 1) · (1 − p of the n-th) ≤ factor. Few are
 * committed together that are somewhat sure, or many that are very sure.
 *
 * Source: Fast-dLLM (arXiv 2505.22618) and dInfer, `get_transfer_index_dynamic`, the same slots
 * (`test/oracle/rules.test.ts`) but for one: where all are sure enough but the last, it commits that one too.
 */
import { bySureness, type Rule } from './anywhere.ts'
import type { Draw } from './draw.ts'

export interface Factor extends Draw {
  readonly kind: 'factor'
  readonly factor: number // 0: one slot a step, and all that are certain
}

export function factorRule({ factor }: Factor): Rule {
  return {
    asks: (open) => open,
    confidence: ({ chosen }) => chosen,
    choose(candidates) {
      const sorted = bySureness(candidates)
      // (n + 1) · (1 − p) only grows.
      const end = sorted.findIndex(({ confidence }, i) => !((i + 2) * (1 - confidence) <= factor))
      return end < 0 ? sorted : sorted.slice(0, end)
    },
  }
}
