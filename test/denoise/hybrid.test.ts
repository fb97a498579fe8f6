import { describe, expect, test } from 'vitest'
import { noClamp } from '../../server/denoise/commitRules.ts'
import { Denoiser } from '../../server/denoise/denoiser.ts'
import { mixed } from '../../server/denoise/hybrid.ts'
import type { LeftmostFirst } from '../../server/denoise/sampling/leftmostFirst.ts'
import type { TokenIds } from '../../server/engine/engine.ts'
import { byteEngine, byteIds, mixed as dependent, type Script, ScriptedEngine } from '../engine/scriptedEngine.ts'
import { writeGreedily } from './greedyLoop.ts'
import { fillOne, type OneHole, requestOf } from './oneHole.ts'
import { prediction, row, tops } from './signs.ts'

const never = new AbortController().signal

describe('the mixture', () => {
  const said = (canvas: Parameters<typeof tops>, base: Parameters<typeof tops>, share: number) => {
    const { topIds, topLogProbs, setLogProbs } = mixed(
      prediction(tops(...canvas), row(9, 0.5)),
      prediction(tops(...base)),
      share,
    )
    const probabilities = topIds[0]!.map((id, k) => [id, Number(Math.exp(topLogProbs[0]![k]!).toFixed(6))])
    return { probabilities, end: Number(Math.exp(setLogProbs[0]!).toFixed(6)), other: topIds[1] }
  }

  test('weighs what both say of a token, ends too, best first', () =>
    expect(said([[1, 2], [0.6, 0.2], 0.1], [[2, 3], [0.8, 0.1], 0.5], 0.25)).toEqual({
      probabilities: [
        [1, 0.45],
        [2, 0.35],
        [3, 0.025],
      ],
      end: 0.2,
      other: [9],
    }))

  test('is one of them alone at 0 and 1', () => {
    const [canvas, base] = [tops([1, 2], [0.6, 0.2], 0.1), tops([2, 3], [0.8, 0.1], 0.5)]
    const ids = (share: number) => mixed(prediction(canvas), prediction(base), share).topIds[0]
    expect([ids(0), ids(1)]).toEqual([
      [1, 2],
      [2, 3],
    ])
  })

  test('is about the base’s last row', () => {
    const base = prediction(tops([7], [1]), tops([8], [1], 0.3))
    expect(mixed(prediction(row(1, 0.9)), base, 1)).toMatchObject({ topIds: [[8]], setLogProbs: [Math.log(0.3)] })
  })
})

describe('hybrid decoding', () => {
  const bytes = (text: string): number[] => [...Buffer.from(text)]

  /** The canvas, which sees masks, says one thing and the base another. */
  const divided =
    (canvas: string, base: string): Script =>
    ({ position, canvas: rows }) => {
      const text = [...rows.values()].includes(byteIds.mask) ? canvas : base
      return [{ id: bytes(text)[position - 2] ?? byteIds.end, probability: 0.8 }]
    }

  async function fill(script: Script, hybrid: LeftmostFirst['hybrid'], change: Partial<OneHole> = {}) {
    const engine = new ScriptedEngine(script, byteEngine)
    const prefixIds = [byteIds.documentStart, ...bytes('=')]
    const encode = async (ids: TokenIds) => (await engine.encode([{ ids }], never))[0]!.id
    const request: OneHole = {
      ...{ prefixIds, suffixIds: bytes('\n'), maxTokens: 24, floor: 0, maskId: byteIds.mask },
      context: { kind: 'causal', encodings: [await encode(prefixIds.slice(0, -1)), await encode(bytes('\n'))] },
      length: { kind: 'end-token', slots: 8 },
      schedule: { kind: 'leftmost-first', threshold: 0.9, window: 4, ...(hybrid ? { hybrid } : {}) },
      rules: { endIds: new Set([byteIds.end]), forbiddenIds: new Set([byteIds.mask]), clamp: noClamp },
      ...change,
    }
    const encodings = engine.liveCount
    const result = await fillOne(new Denoiser(engine), request, never)
    expect(engine.liveCount, 'encodings that were not released').toBe(encodings)
    return { result, text: Buffer.from(result.ids).toString(), engine, request }
  }

  test('follows whoever has the larger share in the leftmost slot', async () => {
    const by = async (share: number) => (await fill(divided('canvas', 'base'), { first: share, later: share })).text
    expect([await by(0.4), await by(0.6)]).toEqual(['canvas', 'base'])
  })

  test('has a share of its own for the first slot of a gap, and no other', async () => {
    const { text, engine } = await fill(divided('canvas', 'base'), { first: 0, later: 0.6 })
    expect(text).toBe('case') // two letters of each at most: the first is the canvas's
    expect(engine.steps[0]).toHaveLength(1) // where the base has no share it is not asked
    const folded = await fill(
      divided('canvas', 'bbbbbb'),
      { first: 0, later: 0.6 },
      { length: { kind: 'end-token', slots: 2 } },
    )
    expect(folded.text).toBe('cbbbbb')
  })

  test('with all of the share is the base alone, from canvas to canvas', async () => {
    const alone = { first: 1, later: 1 }
    for (const slots of [1, 3, 8]) {
      const { result, engine, request } = await fill(dependent(16), alone, { length: { kind: 'end-token', slots } })
      expect(result.ids).toEqual((await writeGreedily(engine, request)).ids)
      expect(result.ids).toHaveLength(24)
    }
  })

  test('reads each token once, in the pass that is made anyway', async () => {
    const sure: Script = (question) => [
      ...divided('canvas', 'canvas')(question).map(({ id }) => ({ id, probability: 0.95 })),
    ]
    const { result, engine, text } = await fill(
      sure,
      { first: 0.4, later: 0.4 },
      { length: { kind: 'end-token', slots: 4 } },
    )
    const reads = engine.steps.flatMap((jobs) => jobs.filter(({ kind }) => kind === 'text'))
    expect([text, result.steps]).toEqual(['canvas', 2])
    expect(reads.flatMap(({ ids }) => ids)).toEqual(bytes('=canv'))
    expect(reads.map(({ positions }) => positions)).toEqual([[1], [2, 3, 4], [5]])
  })

  test('reads for each hole the text right before it, and what was put in', async () => {
    /** The base goes up from the last token to the next multiple of eight. */
    const counting: Script = ({ position, canvas, context }) => {
      const last = canvas.get(position - 1) ?? context.get(position - 1)!
      return [{ id: last % 8 === 7 ? byteIds.end : last + 1, probability: 0.8 }]
    }
    const { engine, request } = await fill(counting, { first: 1, later: 1 })
    const texts = [[byteIds.documentStart, 10], [20, 29], [30]]
    const encode = async (ids: TokenIds) => (await engine.encode([{ ids }], never))[0]!.id
    const one = requestOf(request)
    const { middles } = await new Denoiser(engine).denoise(
      {
        ...{ ...one, texts, holes: [one.holes[0]!, one.holes[0]!] },
        context: {
          kind: 'causal',
          encodings: [await encode([byteIds.documentStart]), await encode([20]), await encode([30])],
        },
      },
      never,
    )
    expect(middles.map(({ ids }) => ids)).toEqual([
      [11, 12, 13, 14, 15],
      [30, 31],
    ])
    // Rows of both kinds stand where their text does: a shared encoding has one place in a pass.
    for (const jobs of engine.steps.slice(-5)) {
      const places = jobs.flatMap(({ context }) => context.map(({ id, firstPosition }) => `${id} at ${firstPosition}`))
      const ids = new Set(jobs.flatMap(({ context }) => context.map(({ id }) => id)))
      expect(new Set(places).size).toBe(ids.size)
    }
  })

  test('is refused where there is no base to be had, or nothing that would ask it', async () => {
    const hybrid = { first: 0.4, later: 0.4 }
    const whole = { kind: 'whole', keep: 'nothing', refreshEvery: 1, freshRows: 0 } as const
    await expect(fill(dependent(4), hybrid, { context: whole })).rejects.toThrow(/cannot be read left to right/)
    await expect(fill(dependent(4), hybrid, { length: { kind: 'search', lengths: [2] } })).rejects.toThrow(/end-token/)
    await expect(fill(dependent(4), { first: 0, later: 1.5 })).rejects.toThrow(/share is 0 to 1, found 1.5/)
  })
})
