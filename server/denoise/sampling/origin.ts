/**
 * CoDA's `origin`: each open slot is committed by chance, with the share of the plan's step as its probability. Which ones
 * is known before the pass, so only these are asked, and a step without any needs no pass.
 *
 * Source: CoDA `generation_utils.py`, `_sample`; token for token the same (`test/oracle/samplers.test.ts`).
 */
import type { Rule } from './anywhere.ts'
import type { Draw } from './draw.ts'
import { type Plan, shareOf } from './plan.ts'
import type { Uniforms } from './uniforms.ts'

export interface Origin extends Plan, Draw {
  readonly kind: 'origin'
}

export function origin(schedule: Origin, uniforms: Uniforms): Rule {
  const isCommitted = (slot: number, step: number) => uniforms(step, 'transfer', slot) < shareOf(step, schedule)
  return {
    /** The leftmost too: it may be held to known text. */
    asks(open, step) {
      const committed = open.filter((slot) => isCommitted(slot, step))
      return committed.length === 0 || committed[0] === open[0] ? committed : [open[0]!, ...committed]
    },
    confidence: ({ chosen }) => chosen,
    choose: (candidates, step) => candidates.filter(({ slot }) => isCommitted(slot, step)),
  }
}
