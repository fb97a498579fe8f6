/** The generator's figures, pinned: those of `PINNED` in `counterWeights.py`, which that file compares with its own. */
import { expect, test } from 'vitest'
import { checksum, counterFloats, counterIds, counterWeight, counterWords } from './counterWeights.ts'
import { readFamilies } from './familyModels.ts'

test('gives the words, floats and checksum of the Python generator', () => {
  expect(Array.from(counterWords(7, 'model.norm.weight', 5, 4))).toEqual([17012245, 2112318053, 725876761, 2319195348])
  const floats = counterFloats(7, 'model.embed_tokens.weight', 4, { mean: 0, deviation: 0.5 })
  expect(Array.from(floats)).toEqual([
    0.8252719044685364, -0.23114801943302155, -0.101117342710495, -0.06648214161396027,
  ])
  expect(checksum(counterWeight(7, 'model.layers.1.self_attn.q_proj.weight', [96, 64]))).toBe(241446440)
})

test('starts a stream anywhere', () => {
  const whole = counterWords(3, 'é', 0, 100)
  expect(counterWords(3, 'é', 90, 10)).toEqual(whole.slice(90))
})

test('depends on seed, name and place', () => {
  const one = counterFloats(1, 'a', 1000, { mean: 0, deviation: 1 })
  for (const other of [
    counterFloats(2, 'a', 1000, { mean: 0, deviation: 1 }),
    counterFloats(1, 'b', 1000, { mean: 0, deviation: 1 }),
  ]) {
    expect(one.filter((value, i) => value === other[i]).length).toBeLessThan(5)
  }
})

test('is near-normal', () => {
  const values = counterFloats(1, 'x', 100_000, { mean: 3, deviation: 2 })
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length
  expect(mean).toBeCloseTo(3, 1)
  expect(Math.sqrt(variance)).toBeCloseTo(2, 1)
})

test('draws the ids of the Python generator', () => {
  const { someIds, plainIds } = readFamilies().header
  expect(counterIds(1, 'ids', someIds.length, plainIds)).toEqual(someIds)
})
