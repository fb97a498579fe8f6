/** Which slots a step commits, as plain data; each kind is a file of `sampling/`. */
import type { Hybrid } from './hybrid.ts'
import { AnywhereSampler, type Rule } from './sampling/anywhere.ts'
import { type BestOfPlan, bestOfPlan } from './sampling/bestOfPlan.ts'
import { BlocksSampler } from './sampling/blocks.ts'
import { checkDraw, type Draw } from './sampling/draw.ts'
import { type EntropyBound, entropyBound } from './sampling/entropyBound.ts'
import { type Factor, factorRule } from './sampling/factor.ts'
import { type LeftmostFirst, LeftmostFirstSampler } from './sampling/leftmostFirst.ts'
import { type Origin, origin } from './sampling/origin.ts'
import { checkPlan } from './sampling/plan.ts'
import type { Sampler } from './sampling/sampler.ts'
import { type SurestFirst, surestFirst } from './sampling/surestFirst.ts'
import { seededUniforms, type Uniforms } from './sampling/uniforms.ts'

type WholeCanvas = LeftmostFirst | SurestFirst | Origin | BestOfPlan | Factor | EntropyBound

export interface Blocks {
  readonly kind: 'blocks'
  readonly slots: number // of each block
  readonly inner: WholeCanvas
}

export type Schedule = WholeCanvas | Blocks

/** @param stream which canvas of a request it is for: each draws numbers of its own. */
export function openSampler(schedule: Schedule, stream: number): Sampler {
  switch (schedule.kind) {
    case 'leftmost-first':
      return new LeftmostFirstSampler(schedule)
    case 'blocks':
      return new BlocksSampler(schedule.slots, (block) => openSampler(schedule.inner, stream + block * 2 ** 24))
    case 'surest-first':
      return new AnywhereSampler(surestFirst(schedule), theBest, seededUniforms(0, stream))
  }
  const uniforms = seededUniforms(schedule.seed, stream)
  return new AnywhereSampler(ruleOf(schedule, uniforms), schedule, uniforms)
}

const theBest: Draw = { temperature: 0, seed: 0 }

function ruleOf(schedule: Origin | BestOfPlan | Factor | EntropyBound, uniforms: Uniforms): Rule {
  switch (schedule.kind) {
    case 'origin':
      return origin(schedule, uniforms)
    case 'maskgit-plus':
    case 'topk-margin':
    case 'entropy':
      return bestOfPlan(schedule, uniforms)
    case 'factor':
      return factorRule(schedule)
    case 'entropy-bound':
      return entropyBound(schedule)
  }
}

/** The base's share, where it has one. */
export function hybridOf(schedule: Schedule): Hybrid | undefined {
  if (schedule.kind === 'blocks') return hybridOf(schedule.inner)
  return schedule.kind === 'leftmost-first' ? schedule.hybrid : undefined
}

/** @throws {RangeError} for numbers that no sampler can work with. */
export function checkSchedule(schedule: Schedule): void {
  switch (schedule.kind) {
    case 'leftmost-first':
      if (!(schedule.window >= 1)) throw new RangeError('a schedule needs a window of at least one slot')
      for (const share of schedule.hybrid ? [schedule.hybrid.first, schedule.hybrid.later] : [])
        if (!(share >= 0 && share <= 1)) throw new RangeError(`the base's share is 0 to 1, found ${share}`)
      return
    case 'surest-first':
      return
    case 'origin':
      checkPlan(schedule)
      return checkDraw(schedule)
    case 'maskgit-plus':
    case 'topk-margin':
    case 'entropy':
      if (!((schedule.algTemp ?? 0) >= 0)) throw new RangeError(`alg-temp is 0 or more, found ${schedule.algTemp}`)
      checkPlan(schedule)
      return checkDraw(schedule)
    case 'factor':
      if (!(schedule.factor >= 0)) throw new RangeError(`a factor is 0 or more, found ${schedule.factor}`)
      return checkDraw(schedule)
    case 'entropy-bound':
      if (!(schedule.bound >= 0)) throw new RangeError(`an entropy bound is 0 or more, found ${schedule.bound}`)
      return checkDraw(schedule)
    case 'blocks':
      if (!(schedule.slots >= 1)) throw new RangeError('a block needs at least one slot')
      return checkSchedule(schedule.inner)
  }
}
