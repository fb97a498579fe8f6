/**
 * What of a filled line is worth showing when nobody asked. Pure.
 *
 * The gate is the product of the probabilities that the tokens had when they were committed, and it is calibrated as it
 * comes: of 374 real lines that it gave 0.03, 0.08, 0.15, 0.24, 0.34, 0.46, 0.66, 0.93 on average, 14, 8, 16, 24, 32, 52,
 * 62 and 92 % were exactly right. Nothing tried beside it (the end's probability, the least token, length, the cursor's
 * situation, the base's reading of the finished text) had clearly more right lines among as many of held-out places
 * (`test/bench/gateCurve.ts`, CHANGELOG).
 */
import type { Progress } from '../denoise/hole.ts'

/** @returns the longest beginning that is right with a probability of at least `showAbove`. */
export function sureRun({ ids, probabilities }: Progress, showAbove: number): readonly number[] {
  let product = 1
  const end = probabilities.findIndex((probability) => (product *= probability) < showAbove)
  return end < 0 ? ids : ids.slice(0, end)
}

/**
 * Whether a beginning is long enough to be looked at when nobody asked: 52 of 88 ghost texts of a typing person had one or
 * two characters, which nobody takes, and 23 of the 41 wrong ones were among them (CHANGELOG).
 */
export function isWorthALook(beginning: string): boolean {
  return beginning.trim().length >= 3
}
