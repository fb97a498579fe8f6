import { describe, expect, test } from 'vitest'
import type { CommitRules } from '../../server/denoise/commitRules.ts'
import { checkDraw, type Draw, needsLogits, read } from '../../server/denoise/sampling/draw.ts'
import type { Prediction } from '../../server/engine/engine.ts'
import { predictionOf } from '../oracle/counterLogits.ts'
import { rules } from './signs.ts'

/** Ids 0, 1, … of one slot, which have these probabilities. `ends` are what the engine was asked to sum. */
function said(probabilities: readonly number[], ends: readonly number[] = []): Prediction {
  const prediction = predictionOf([Float32Array.from(probabilities, (p) => Math.log(p))])
  return { ...prediction, setLogProbs: [Math.log(ends.reduce((sum, id) => sum + probabilities[id]!, 0))] }
}

function reading(probabilities: readonly number[], draw: Partial<Draw>, uniform = 0, other: Partial<CommitRules> = {}) {
  const all = { ...rules, ...other }
  const whole = { temperature: 0, seed: 1, ...draw }
  const { id, ...numbers } = read(
    said(
      probabilities,
      [...all.endIds].filter((end) => end < 8),
    ),
    0,
    whole,
    uniform,
    all,
  )!
  const round = (value: number) => Number(value.toFixed(4))
  return { id, ...Object.fromEntries(Object.entries(numbers).map(([name, value]) => [name, round(value)])) }
}

const steps = [0.4, 0.3, 0.2, 0.1]
const entropy = (...ps: number[]) => Number(ps.reduce((sum, p) => sum - p * Math.log(p), 0).toFixed(4))

describe('without a temperature', () => {
  test('the best token and its probability', () =>
    expect(reading(steps, {})).toEqual({
      id: 0,
      probability: 0.4,
      chosen: 0.4,
      margin: 0.1,
      entropy: entropy(...steps),
    }))

  test('a nucleus keeps the token that crosses it, and the others share what is cut off', () =>
    expect(reading(steps, { topP: 0.5 })).toEqual({
      ...{ id: 0, probability: 0.4, chosen: 0.5714, margin: 0.1429, entropy: entropy(4 / 7, 3 / 7) },
    }))

  test('a nucleus that the best token fills keeps it alone', () =>
    expect(reading(steps, { topP: 0.3 })).toMatchObject({ chosen: 1, margin: 1, entropy: 0 }))

  test('the best of top-k, after the nucleus', () => {
    expect(reading(steps, { topK: 3 })).toMatchObject({ chosen: 0.4444, entropy: entropy(4 / 9, 3 / 9, 2 / 9) })
    expect(reading(steps, { topK: 3, topP: 0.5 })).toMatchObject({ chosen: 0.5714 })
    expect(reading(steps, { topK: 1, topP: 0.95 })).toMatchObject({ chosen: 1 })
  })

  test('equals at the cut stay together', () =>
    expect(reading([0.4, 0.2, 0.2, 0.2], { topK: 2 })).toMatchObject({ chosen: 0.4 }))

  test('more tokens than there are cut off nothing', () =>
    expect(reading(steps, { topK: 99 })).toEqual(reading(steps, {})))
})

describe('with a temperature', () => {
  test('the token at which the probabilities up to it pass the number', () => {
    const ids = [0, 0.39, 0.41, 0.69, 0.71, 0.95].map((uniform) => reading(steps, { temperature: 1 }, uniform).id)
    expect(ids).toEqual([0, 0, 1, 1, 2, 3])
  })

  test('divides first and cuts then', () =>
    // Squared and shared out anew: 16, 9, 4 and 1 of 30; the first two are 0.83.
    expect(reading(steps, { temperature: 0.5, topP: 0.8 }, 0.99)).toMatchObject({
      ...{ id: 1, probability: 0.3, chosen: 0.36, entropy: entropy(16 / 25, 9 / 25) },
    }))
})

describe('what may not be committed', () => {
  const forbiddenIds = new Set([0])

  test('is not drawn, and keeps its share of the probability', () => {
    for (const uniform of [0, 0.3, 0.99])
      expect(reading(steps, { temperature: 1 }, uniform, { forbiddenIds }).id).not.toBe(0)
    expect(reading(steps, { temperature: 1 }, 0, { forbiddenIds })).toMatchObject({ id: 1, chosen: 0.3 })
    expect(reading(steps, { topK: 3 }, 0, { forbiddenIds })).toMatchObject({ id: 1, chosen: 0.3333, margin: 0.1111 })
  })

  test('is passed over where a cut leaves nothing else, with no confidence', () =>
    expect(reading(steps, { topK: 1 }, 0, { forbiddenIds })).toEqual({
      ...{ id: 1, probability: 0.3, chosen: 0, margin: 0, entropy: 0 },
    }))

  test('may be all of the best: then there is nothing to read', () => {
    const all = { ...rules, forbiddenIds: new Set([0, 1, 2, 3]) }
    expect(read(said(steps), 0, { temperature: 0, topK: 2, seed: 1 }, 0, all)).toBeUndefined()
    expect(read(said(steps), 0, { temperature: 0, seed: 1 }, 0, all)).toBeUndefined()
  })
})

describe('all ends', () => {
  const endIds = new Set([1, 2])

  test('are one token, the best where they are likelier together', () => {
    for (const draw of [{}, { topK: 4 }])
      expect(reading(steps, draw, 0, { endIds })).toMatchObject({
        id: 'end',
        probability: 0.5,
        chosen: 0.5,
        margin: 0.1,
      })
  })

  test('and one token to draw', () => {
    const ids = [0, 0.41, 0.69, 0.71, 0.95].map((uniform) => reading(steps, { temperature: 1 }, uniform, { endIds }))
    expect(ids.map(({ id }) => id)).toEqual([0, 'end', 'end', 'end', 3])
  })

  test('count as far as a cut leaves them', () =>
    expect(reading(steps, { topK: 2 }, 0, { endIds })).toMatchObject({ id: 0, chosen: 0.5714, margin: 0.1429 }))
})

test('the best eight tell all that is needed without temperature and cuts', () => {
  const needs = (draw: Partial<Draw>) => needsLogits({ temperature: 0, seed: 1, ...draw })
  expect([{}, { topP: 1 }].map(needs)).toEqual([false, false])
  expect([{ temperature: 0.1 }, { topP: 0.9 }, { topK: 50 }].map(needs)).toEqual([true, true, true])
})

test('refuses numbers that mean nothing', () => {
  const bad: Partial<Draw>[] = [
    { temperature: -1 },
    { temperature: Number.NaN },
    { topP: 0 },
    { topP: 1.1 },
    { topK: 0 },
  ]
  for (const draw of bad) expect(() => checkDraw({ temperature: 0, seed: 1, ...draw })).toThrow(RangeError)
})
