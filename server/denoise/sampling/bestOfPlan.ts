/**
 * CoDA's `maskgit_plus`, `topk_margin` and `entropy`: each step commits as many slots as the plan says, the surest ones by
 * one of three measures; with `algTemp`, slots drawn in proportion to it.
 *
 * A step that commits nothing needs no pass: the reference makes 512 to fill 8 slots in 512 steps, here it is 8.
 *
 * Source: CoDA `generation_utils.py`, `_sample`; token for token the same (`test/oracle/samplers.test.ts`).
 */
import { bySureness, type Candidate, type Rule } from './anywhere.ts'
import type { Draw, Reading } from './draw.ts'
import { countOf, type Plan } from './plan.ts'
import type { Uniforms } from './uniforms.ts'

export interface BestOfPlan extends Plan, Draw {
  readonly kind: 'maskgit-plus' | 'topk-margin' | 'entropy'
  /** Left out or 0: the surest slots. */
  readonly algTemp?: number
}

export function bestOfPlan(schedule: BestOfPlan, uniforms: Uniforms): Rule {
  const { kind, algTemp = 0 } = schedule
  return {
    asks: (open, step) => (countOf(open.length, step, schedule) > 0 ? open : []),
    confidence: (reading) => measure(kind, reading),
    choose(candidates, step, openCount) {
      const count = countOf(openCount, step, schedule)
      return algTemp > 0
        ? drawn(candidates, count, algTemp, (draw) => uniforms(step, 'order', draw))
        : bySureness(candidates).slice(0, count)
    },
  }
}

function measure(kind: BestOfPlan['kind'], { chosen, margin, entropy }: Reading): number {
  switch (kind) {
    case 'maskgit-plus':
      return chosen
    case 'topk-margin':
      return margin
    case 'entropy':
      return -entropy
  }
}

/** `count` of the candidates without replacement, in proportion to exp(confidence / temperature). */
function drawn(
  candidates: readonly Candidate[],
  count: number,
  temperature: number,
  uniform: (draw: number) => number,
): Candidate[] {
  const most = Math.max(...candidates.map(({ confidence }) => confidence))
  const left = candidates.map((candidate) => ({
    candidate,
    weight: Math.exp((candidate.confidence - most) / temperature),
  }))
  const taken: Candidate[] = []
  while (taken.length < count && left.length > 0) {
    const target = uniform(taken.length) * left.reduce((sum, { weight }) => sum + weight, 0)
    let sum = 0
    const at = left.findIndex(({ weight }) => (sum += weight) > target)
    taken.push(left.splice(Math.max(at, 0), 1)[0]!.candidate) // nothing weighs anything: the leftmost
  }
  return taken
}
