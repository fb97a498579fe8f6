/**
 * How many slots each step of CoDA's samplers commits: of those that are open, a share that only depends on the number of
 * the step. After the last step all would be committed, so steps past it, which known text and ends may need, are as it is.
 *
 * Counted per canvas, where the reference takes the mean over its batch (and with unequal rows overwrites known text).
 *
 * Source: CoDA `generation_utils.py`, `_sample`, in float32 as there.
 */

export interface Plan {
  readonly steps: number
  /** Left over of the noise at the end; 0.001 in the reference. */
  readonly eps?: number
}

/** @throws {RangeError} */
export function checkPlan({ steps, eps = defaultEps }: Plan): void {
  if (!(Number.isInteger(steps) && steps >= 1))
    throw new RangeError(`a sampler needs at least one step, found ${steps}`)
  if (!(eps > 0 && eps < 1)) throw new RangeError(`eps is between 0 and 1, found ${eps}`)
}

const defaultEps = 1e-3

/** Share of the open slots that step `step` commits, from 0; 1 in the last. */
export function shareOf(step: number, { steps, eps = defaultEps }: Plan): number {
  if (step >= steps - 1) return 1
  return fround(1 - fround(time(step + 1, steps, eps) / time(step, steps, eps)))
}

export function countOf(open: number, step: number, plan: Plan): number {
  return Math.trunc(fround(open * shareOf(step, plan)))
}

const { fround } = Math

/** `linspace(1, eps, steps + 1)`, from both ends as torch does it. */
function time(index: number, steps: number, eps: number): number {
  const [end, width] = [fround(eps), fround(fround(fround(eps) - 1) / steps)]
  return index < Math.trunc((steps + 1) / 2)
    ? fround(1 + fround(width * index))
    : fround(end - fround(width * (steps - index)))
}
