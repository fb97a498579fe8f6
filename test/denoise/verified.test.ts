import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Clamp, noClamp } from '../../server/denoise/commitRules.ts'
import { Denoiser } from '../../server/denoise/denoiser.ts'
import type { TokenIds } from '../../server/engine/engine.ts'
import { byteEngine, byteIds, mixed, type Question, type Script, ScriptedEngine } from '../engine/scriptedEngine.ts'
import { writeGreedily } from './greedyLoop.ts'
import { fillOne, type OneHole, requestOf } from './oneHole.ts'
import { alphabet, chance, next } from './seededText.ts'

const never = new AbortController().signal

/** Of a base that writes on for a while behind the token 1. */
const longSeed = 2

/** A base that writes by `next`, and a canvas that guesses what it will write, rightly so often. */
function guessing(seed: number, right: number): Script {
  const leftOf = ({ position, canvas, context }: Question): number[] =>
    [...context, ...canvas]
      .filter(([at, id]) => at < position && id !== byteIds.mask)
      .sort(([a], [b]) => a - b)
      .map(([, id]) => id)
  return (question) => {
    const known = leftOf(question)
    const isBase = ![...question.canvas.values()].includes(byteIds.mask)
    const best = next(seed, known)
    const others = [1, 2, 3, 4, 5, 6].map((n) => ({ id: (best + n) % (alphabet - 1), probability: 0.05 }))
    if (isBase) return [{ id: best, probability: 0.6 }, ...others]
    while (known.length < question.position) known.push(next(seed, known))
    const luck = chance(seed, question.position, known.length, known.at(-1)!, 7)
    const id = luck < right ? next(seed, known) : Math.floor(chance(seed, question.position) * (alphabet - 1))
    return [{ id, probability: 0.3 + 0.7 * chance(seed, question.position, 3) }]
  }
}

const clampTo = (ids: TokenIds): Clamp => ({
  isOver: (leading) => leading.length >= ids.length,
  allows: (leading, id) => id === ids[leading.length],
})

interface Case {
  readonly script: Script
  readonly prefix: TokenIds
  readonly slots?: number
  readonly ahead?: number
  readonly threshold?: number
  readonly maxTokens?: number
  readonly clamp?: Clamp
}

async function run({ script, prefix, slots = 8, ahead = 3, threshold = 0.5, maxTokens = 40, clamp = noClamp }: Case) {
  const engine = new ScriptedEngine(script, byteEngine)
  const prefixIds = [byteIds.documentStart, ...prefix]
  const encode = async (ids: TokenIds) => (await engine.encode([{ ids }], never))[0]!.id
  const suffixIds = [1, 2, 3]
  const request: OneHole = {
    ...{ prefixIds, suffixIds, maxTokens },
    context: {
      kind: 'causal',
      encodings: [prefix.length > 0 ? await encode(prefixIds.slice(0, -1)) : undefined, await encode(suffixIds)],
    },
    length: { kind: 'verified', slots, ahead, threshold },
    ...{ floor: 0, maskId: byteIds.mask, schedule: { kind: 'leftmost-first', threshold: 0.9, window: 4 } },
    rules: { endIds: new Set([byteIds.end]), forbiddenIds: new Set([byteIds.mask]), clamp },
  }
  const encodings = engine.liveCount
  const beginnings: TokenIds[] = []
  const result = await fillOne(new Denoiser(engine), request, never, ({ ids }) => beginnings.push(ids))
  expect(engine.liveCount, 'encodings that were not released').toBe(encodings)
  const passes = engine.steps.length
  const encodedRows = engine.encodedRows - prefix.length - suffixIds.length
  return { result, passes, encodedRows, beginnings, written: await writeGreedily(engine, request), engine }
}

describe('a verified middle', () => {
  const cases = fc.record({
    seed: fc.nat(),
    right: fc.constantFrom(0, 0.3, 0.7, 0.95, 1),
    prefix: fc.array(fc.nat(alphabet - 2), { maxLength: 4 }),
    slots: fc.integer({ min: 1, max: 9 }),
    ahead: fc.integer({ min: 0, max: 5 }),
    threshold: fc.constantFrom(0, 0.5, 0.9),
    maxTokens: fc.integer({ min: 1, max: 40 }),
    held: fc.array(fc.nat(alphabet - 2), { maxLength: 2 }),
  })

  test('is what the base writes, token for token, in no more passes, whatever the canvas guesses', () =>
    fc.assert(
      fc.asyncProperty(cases, async ({ seed, right, held, ...rest }) => {
        const clamp = clampTo(held)
        const { result, written, beginnings } = await run({ script: guessing(seed, right), clamp, ...rest })
        expect(result.ids).toEqual(written.ids)
        for (const ids of beginnings) expect(ids, 'shown on the way').toEqual(written.ids.slice(0, ids.length))
        expect(result.steps).toBeLessThanOrEqual(written.passes)
      }),
      { numRuns: 300 },
    ))

  test('is that too where every row depends on all that it sees, and the canvas is never right', () =>
    fc.assert(
      fc.asyncProperty(cases, async ({ held: _, seed: __, right: ___, ...rest }) => {
        const { result, written } = await run({ script: mixed(16), ...rest })
        expect(result.ids).toEqual(written.ids)
      }),
      { numRuns: 100 },
    ))

  test('takes a pass for several tokens where the canvas is right, and reads each token once', async () => {
    const seed = longSeed
    const { result, passes, encodedRows, written, engine } = await run({
      script: guessing(seed, 1),
      prefix: [1],
      threshold: 0,
      slots: 40,
      maxTokens: 20,
    })
    expect(written.ids.length).toBeGreaterThan(8)
    // The first pass proves one token, every other one as many as were guessed and one more.
    expect(result.steps).toBe(1 + Math.ceil((written.ids.length - 1) / 4))
    expect([passes, encodedRows]).toEqual([result.steps, 0])
    const read = engine.steps.slice(0, passes).flatMap(([, text]) => text!.ids)
    expect(read.slice(0, written.ids.length)).toEqual([1, ...written.ids.slice(0, -1)])
  })

  test('goes on in another canvas without a pass for what was read', async () => {
    const { result, passes, encodedRows, written } = await run({
      script: guessing(longSeed, 1),
      prefix: [1],
      slots: 2,
      maxTokens: 12,
    })
    expect(result.ids).toEqual(written.ids)
    expect(written.ids.length).toBeGreaterThan(4)
    expect([passes, encodedRows]).toEqual([result.steps, 0])
  })

  test('takes a token a pass where the canvas is wrong', async () => {
    const { result, written } = await run({ script: guessing(longSeed, 0), prefix: [1], maxTokens: 12 })
    expect(result.steps).toBe(written.passes)
  })

  test('is had for one hole at a time, and where there are rows that see only what is left of them', async () => {
    const denoise = async (change: Partial<OneHole>, texts = 2) => {
      const engine = new ScriptedEngine(mixed(16), byteEngine)
      const one = requestOf({
        ...{ prefixIds: [1, 2], suffixIds: [], maxTokens: 4, floor: 0, maskId: byteIds.mask },
        context: { kind: 'causal', encodings: [undefined, undefined] },
        length: { kind: 'verified', slots: 4, ahead: 3, threshold: 0.5 },
        schedule: { kind: 'leftmost-first', threshold: 0.9, window: 4 },
        rules: { endIds: new Set([byteIds.end]), forbiddenIds: new Set(), clamp: noClamp },
        ...change,
      })
      const holes = Array.from({ length: texts - 1 }, () => one.holes[0]!)
      return new Denoiser(engine).denoise({ ...one, texts: Array(texts).fill([1, 2]), holes }, never)
    }
    await expect(denoise({}, 3)).rejects.toThrow(/one hole can be verified at a time/)
    const whole = { kind: 'whole', keep: 'nothing', refreshEvery: 1, freshRows: 0 } as const
    await expect(denoise({ context: whole })).rejects.toThrow(/cannot be read left to right/)
    await expect(denoise({ length: { kind: 'verified', slots: 0, ahead: 3, threshold: 0 } })).rejects.toThrow(/slot/)
  })
})
