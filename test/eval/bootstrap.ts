/** Intervals for figures of a sample of cases, by drawing that sample anew from itself. Seeded: the same for the same numbers. */
import { quantile, seededRandom } from '../bench/stats.ts'

export interface Interval {
  readonly mean: number
  readonly low: number
  readonly high: number
}

const draws = 4000

/**
 * Percentile bootstrap of the mean, 95 %.
 *
 * @param values one for each case; of a paired comparison the differences, case by case.
 */
export function bootstrap(values: readonly number[], seed = 1): Interval {
  const random = seededRandom(seed)
  const mean = meanOf(values)
  if (values.length < 2) return { mean, low: mean, high: mean }
  const means = Array.from({ length: draws }, () => {
    let sum = 0
    for (let i = 0; i < values.length; i++) sum += values[Math.floor(random() * values.length)]!
    return sum / values.length
  })
  return { mean, low: quantile(means, 0.025), high: quantile(means, 0.975) }
}

export function meanOf(values: readonly number[]): number {
  return values.length === 0 ? Number.NaN : values.reduce((sum, value) => sum + value, 0) / values.length
}
