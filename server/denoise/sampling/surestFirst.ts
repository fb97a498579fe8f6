/**
 * Confidence threshold: each step commits the surest open slot, wherever it is, and with it all whose best token reaches
 * the threshold. What bidirectional models are filled with when nothing else is asked for.
 *
 * Source: Fast-dLLM (arXiv 2505.22618), over the whole canvas; token for token the same (`test/oracle/rules.test.ts`).
 */
import type { Rule } from './anywhere.ts'

export interface SurestFirst {
  readonly kind: 'surest-first'
  /** Probability. From 1 on it is one slot a step, even where a probability is rounded to 1. */
  readonly threshold: number
}

export function surestFirst({ threshold }: SurestFirst): Rule {
  return {
    asks: (open) => open,
    confidence: ({ chosen }) => chosen,
    choose: (candidates) => candidates.filter(({ confidence }) => threshold < 1 && confidence >= threshold),
  }
}
