import { expect, test } from 'vitest'
import { fitLogistic, logistic } from './logistic.ts'
import { seededRandom } from './stats.ts'

test('finds the weights that drew the answers', () => {
  const random = seededRandom(3)
  const truth = [-1, 2, -0.5]
  const rows = Array.from({ length: 8000 }, () => [1, 2 * random() - 1, 4 * random() - 2])
  const right = rows.map((row) => (random() < logistic(row, truth) ? 1 : 0))
  const found = fitLogistic(rows, right, 0.01)
  for (const [i, weight] of truth.entries()) expect(Math.abs(found[i]! - weight), `weight ${i}`).toBeLessThan(0.15)
})

test('a constant alone gives the share of right ones; the ridge leaves that', () => {
  const found = fitLogistic([[1], [1], [1], [1]], [1, 0, 0, 0], 5)
  expect(logistic([1], found)).toBeCloseTo(0.25, 6)
})
