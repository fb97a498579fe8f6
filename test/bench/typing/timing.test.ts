import { expect, test } from 'vitest'
import { median, quantile, seededRandom } from '../stats.ts'
import { drawReaction, drawWait, waitBefore } from './timing.ts'

function draws(kind: Parameters<typeof drawWait>[0]): number[] {
  const random = seededRandom(1)
  return Array.from({ length: 4000 }, () => drawWait(kind, random))
}

test('intervals within a word have their median at 150 ms and a long right tail', () => {
  const waits = draws('in-word')
  expect(median(waits)).toBeGreaterThan(143)
  expect(median(waits)).toBeLessThan(157)
  // Log-normal: the 95th percentile is the median times e to the power of 1.645 spreads.
  expect(quantile(waits, 0.95) / median(waits)).toBeCloseTo(Math.exp(1.645 * 0.4), 0)
  expect(Math.min(...waits)).toBeGreaterThanOrEqual(30)
})

test('a person pauses longer the more there is to think about', () => {
  const medians = (['correcting', 'in-word', 'boundary', 'line', 'place'] as const).map((kind) => median(draws(kind)))
  expect(medians).toEqual(medians.toSorted((a, b) => a - b))
})

test('what stands before a key and what it is tell the pause', () => {
  expect(waitBefore('', 'x')).toBe('line')
  expect(waitBefore('a', 'b')).toBe('in-word')
  expect(waitBefore('a', '(')).toBe('boundary')
  expect(waitBefore(' ', 'b')).toBe('boundary')
})

test('ghost text is taken 250 to 300 ms after it was seen', () => {
  expect(drawReaction(() => 0)).toBe(250)
  expect(drawReaction(() => 0.999999)).toBeLessThan(300)
})
