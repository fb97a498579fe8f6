import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Aborted } from '../../server/base/errors.ts'
import type { Recall } from '../../server/base/recall.ts'
import { CanvasCache } from '../../server/cache/canvasCache.ts'
import { type Clamp, noClamp } from '../../server/denoise/commitRules.ts'
import { type DenoiseRequest, Denoiser } from '../../server/denoise/denoiser.ts'
import type { TokenIds } from '../../server/engine/engine.ts'
import { byteEngine, byteIds, mixed, type Question, type Script, ScriptedEngine } from '../engine/scriptedEngine.ts'
import { alphabet, chance, next } from './seededText.ts'

const never = new AbortController().signal
const distance = 40

/** Committed rows write by `next`; open rows guess what these will write, rightly so often. */
function guessing(seed: number, right: number): Script {
  return ({ position, canvas, context }: Question) => {
    const known = [...context, ...canvas]
      .filter(([at, id]) => at < position && id !== byteIds.mask)
      .sort(([a], [b]) => a - b)
      .map(([, id]) => id)
    const isOpen = [...canvas.values()].includes(byteIds.mask)
    const luck = chance(seed, position, known.length, 7)
    while (isOpen && known.length < position) known.push(next(seed, known))
    const id = !isOpen || luck < right ? next(seed, known) : Math.floor(chance(seed, position) * (alphabet - 1))
    return [{ id, probability: 0.6 }]
  }
}

const clampTo = (ids: TokenIds): Clamp => ({
  isOver: (leading) => leading.length >= ids.length,
  allows: (leading, id) => id === ids[leading.length],
})

interface Case {
  readonly script: Script
  readonly texts: readonly TokenIds[] // before, between and after the holes
  readonly slots?: number
  readonly drafts?: number
  readonly open?: number
  readonly threshold?: number
  readonly maxTokens?: number
  readonly clamp?: Clamp
  readonly keeps?: boolean
  readonly recall?: Recall
  readonly begun?: number
  /** Of an engine, with what earlier requests left there. */
  readonly on?: { readonly engine: ScriptedEngine; readonly canvases: CanvasCache }
  readonly signal?: AbortSignal
}

async function run({
  script,
  texts,
  recall,
  on,
  signal = never,
  keeps = true,
  begun = 0,
  clamp = noClamp,
  slots = 40,
  maxTokens = 30,
  ...mode
}: Case) {
  const { drafts = 2, open = 3, threshold = 0 } = mode
  const engine = on?.engine ?? new ScriptedEngine(script, byteEngine)
  engine.script = script
  const stepsBefore = engine.steps.length
  const ids = texts.map((text, i) => (i === 0 ? [byteIds.documentStart, ...text] : text))
  const encodings: (number | undefined)[] = []
  for (const [i, text] of ids.entries()) {
    const told = i === ids.length - 1 ? text : text.slice(0, text.length - 1 - (i === 0 ? begun : 0))
    encodings.push(told.length > 0 ? (await engine.encode([{ ids: told }], never))[0]!.id : undefined)
  }
  const read = encodings.filter((id) => id !== undefined)
  const encodedBefore = engine.encodedRows
  const hole = {
    length: { kind: 'drafted', slots, drafts, threshold, open },
    maxTokens,
    floor: 0,
    clamp,
    ...(recall ? { recall } : {}),
  } as const
  const request: DenoiseRequest = {
    texts: ids,
    holes: ids.slice(1).map(() => hole),
    order: { kind: 'left-to-right', ahead: 'closed' },
    context: { kind: 'drafted', encodings, distance, keeps, begun, ...(on ? { canvases: on.canvases } : {}) },
    schedule: { kind: 'leftmost-first', threshold: 0.9, window: 4 },
    maskId: byteIds.mask,
    endIds: new Set([byteIds.end]),
    forbiddenIds: new Set([byteIds.mask]),
    urgent: true,
  }
  const shown: TokenIds[][] = []
  const result = await new Denoiser(engine)
    .denoise(request, signal, (progress) => shown.push(progress.map(({ ids }) => ids)))
    .finally(() => engine.release(read))
  if (!on) expect(engine.liveCount, 'encodings that were not released').toBe(0)
  return {
    middles: result.middles.map(({ ids }) => ids),
    result,
    shown,
    engine,
    steps: engine.steps.slice(stepsBefore).flat(),
    encodedRows: engine.encodedRows - encodedBefore,
  }
}

const cases = fc.record({
  seed: fc.nat(),
  right: fc.constantFrom(0, 0.3, 0.7, 0.95, 1),
  texts: fc.array(fc.array(fc.nat(alphabet - 2), { minLength: 1, maxLength: 4 }), { minLength: 2, maxLength: 4 }),
  slots: fc.integer({ min: 1, max: 9 }),
  drafts: fc.integer({ min: 0, max: 4 }),
  open: fc.integer({ min: 0, max: 4 }),
  threshold: fc.constantFrom(0, 0.5, 0.9),
  maxTokens: fc.integer({ min: 1, max: 20 }),
})

describe('a drafted middle', () => {
  test('is what committed rows write one by one, in no more passes, whatever is guessed ahead', () =>
    fc.assert(
      fc.asyncProperty(
        cases,
        fc.array(fc.nat(alphabet - 2), { maxLength: 2 }),
        async ({ seed, right, ...rest }, held) => {
          const given = { ...rest, script: guessing(seed, right), clamp: clampTo(held) }
          const [one, plain] = [await run(given), await run({ ...given, drafts: 0, keeps: false })]
          expect(one.middles).toEqual(plain.middles)
          expect(one.result.steps).toBeLessThanOrEqual(plain.result.steps)
          for (const ids of one.shown)
            for (const [i, middle] of plain.middles.entries()) expect(middle.slice(0, ids[i]!.length)).toEqual(ids[i])
        },
      ),
      { numRuns: 300 },
    ))

  test('is that too where every row depends on all that it sees', () =>
    fc.assert(
      fc.asyncProperty(cases, async ({ seed: _, right: __, ...rest }) => {
        const plain = await run({ ...rest, script: mixed(16), drafts: 0, keeps: false })
        for (const keeps of [true, false])
          expect((await run({ ...rest, script: mixed(16), keeps })).middles).toEqual(plain.middles)
      }),
      { numRuns: 150 },
    ))

  test('is the same where the hole begins earlier, with tokens of the text before it as its first rows', () =>
    fc.assert(
      fc.asyncProperty(cases, fc.integer({ min: 1, max: 4 }), async ({ seed, right, ...rest }, wanted) => {
        const begun = Math.min(wanted, rest.texts[0]!.length)
        const given = { ...rest, script: guessing(seed, right) }
        const [one, plain] = [await run({ ...given, begun }), await run({ ...given, drafts: 0, keeps: false })]
        expect(one.middles).toEqual(plain.middles)
        const again = { ...rest, script: mixed(16), begun }
        expect((await run(again)).middles).toEqual((await run({ ...again, drafts: 0, keeps: false })).middles)
      }),
      { numRuns: 200 },
    ))

  test('what follows stands as far from where the hole began, and rows of the text are computed once', async () => {
    const texts = [
      [1, 2, 3, 4],
      [1, 2],
    ]
    const { engine } = await run({ texts, script: guessing(2, 0.5), begun: 3, maxTokens: 20, slots: 9 })
    const [first] = engine.steps[0]!
    expect([first!.ids.slice(0, 4), first!.positions.slice(0, 4)]).toEqual([
      [1, 2, 3, 4],
      [1, 2, 3, 4], // the document's start stands before them
    ])
    const following = first!.context.find(({ firstPosition }) => firstPosition > 0)
    expect(following!.firstPosition).toBe(1 + 1 + distance)
    expect(engine.steps[1]![0]!.positions[0], 'where the first token of the middle stands').toBe(5)
  })

  test('no hole begins before the text does', async () => {
    await expect(run({ texts: [[1], [1]], script: guessing(1, 1), begun: 2 })).rejects.toThrow(RangeError)
  })

  /** Behind the token 1, a middle long enough to tell. */
  const long = { seed: 2, texts: [[1], [1, 2]], maxTokens: 20 }

  test('takes a pass for several tokens where the guesses are right, and computes each committed row once', async () => {
    const { middles, result, engine } = await run({ ...long, script: guessing(long.seed, 1), drafts: 3, open: 3 })
    const [middle] = middles as [TokenIds]
    expect(middle.length).toBeGreaterThan(8)
    expect(result.steps).toBe(1 + Math.ceil(middle.length / 4))
    const rows = engine.steps.flatMap(([job]) => job!.ids.filter((id) => id !== byteIds.mask))
    expect(rows.slice(0, middle.length + 1)).toEqual([1, ...middle])
  })

  test('has a guess in the next pass where one was wrong', async () => {
    // Every guess is right but that for the third slot.
    const right = guessing(long.seed, 1)
    const script: Script = (question) => {
      const [best] = right(question)
      const isOpen = [...question.canvas.values()].includes(byteIds.mask)
      return isOpen && question.position === 4 ? [{ id: (best!.id + 1) % 11, probability: 0.6 }] : [best!]
    }
    const { engine } = await run({ ...long, script, drafts: 2, open: 3 })
    const guesses = engine.steps.slice(0, 4).map(([job]) => job!.ids.filter((id) => id !== byteIds.mask).length - 1)
    expect(guesses[1]).toBe(2)
    expect(guesses[2], 'guesses beside the wrong one').toBeGreaterThan(0)
  })

  test('goes on in another canvas, what follows at the same distance as before', async () => {
    const { middles, engine, encodedRows } = await run({
      ...long,
      script: guessing(long.seed, 0),
      slots: 3,
      maxTokens: 9,
    })
    expect(middles[0]!).toHaveLength(9)
    expect(encodedRows).toBe(6)
    const after = engine.steps.map(([job]) => job!.context.find(({ rows }) => rows === 2)!.firstPosition)
    expect([...new Set(after)]).toEqual([2 + distance, 5 + distance, 8 + distance])
  })

  test('of two is filled from the left: the second sees the first, and what follows both stands at its distance', async () => {
    const { engine, middles } = await run({ script: mixed(16), texts: [[1, 2], [3, 4], [5]], maxTokens: 3, drafts: 0 })
    expect(middles).toHaveLength(2)
    const job = engine.steps.at(-1)![0]!
    // Document start and two tokens, the hole, two tokens, the hole.
    const second = 3 + distance + 1
    expect(job.positions.filter((_, i) => job.ids[i] !== byteIds.mask).every((at) => at >= second)).toBe(true)
    expect(job.context.map(({ firstPosition }) => firstPosition)).toEqual(
      expect.arrayContaining([5 + 2 * distance, 3 + distance, 0, 2]),
    )
  })

  test('is refused for rows of another kind, and for holes in another order', async () => {
    const engine = new ScriptedEngine(mixed(16), byteEngine)
    const hole = { length: { kind: 'end-token', slots: 4 }, maxTokens: 4, floor: 0, clamp: noClamp } as const
    const base: DenoiseRequest = {
      ...{ texts: [[1], []], holes: [hole], maskId: byteIds.mask, urgent: true, forbiddenIds: new Set() },
      context: { kind: 'drafted', encodings: [undefined, undefined], distance, keeps: true },
      schedule: { kind: 'leftmost-first', threshold: 0.9, window: 4 },
      endIds: new Set([byteIds.end]),
    }
    const denoise = (request: DenoiseRequest) => async () => new Denoiser(engine).denoise(request, never)
    await expect(denoise(base)).rejects.toThrow(RangeError)
    const drafted = { ...hole, length: { kind: 'drafted', slots: 4, drafts: 1, threshold: 0, open: 2 } } as const
    await expect(
      denoise({ ...base, holes: [drafted], context: { kind: 'causal', encodings: [undefined, undefined] } }),
    ).rejects.toThrow(RangeError)
    await expect(denoise({ ...base, texts: [[1], [2], []], holes: [drafted, drafted] })).rejects.toThrow(
      /left to right/,
    )
  })
})

describe('rows that an earlier request kept', () => {
  const engineAndCache = () => {
    const engine = new ScriptedEngine(mixed(16), byteEngine)
    return { engine, canvases: new CanvasCache(engine) }
  }

  test('change nothing, wherever somebody goes on, and are released in the end', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({
            before: fc.array(fc.nat(2), { minLength: 1, maxLength: 7 }),
            begun: fc.nat(7),
            after: fc.nat(1),
            slots: fc.integer({ min: 1, max: 5 }),
            maxTokens: fc.integer({ min: 1, max: 8 }),
          }),
          { minLength: 2, maxLength: 8 },
        ),
        async (requests) => {
          const on = engineAndCache()
          for (const { before, after, begun: wanted, ...rest } of requests) {
            const texts = [[1, 2, ...before], [after]]
            const given = { ...rest, texts, script: mixed(16), begun: Math.min(wanted, before.length) }
            const [kept, alone] = [await run({ ...given, on }), await run(given)]
            expect(kept.middles).toEqual(alone.middles)
            expect(kept.result.steps).toBe(alone.result.steps)
          }
          on.canvases.clear()
          expect(on.engine.liveCount).toBe(0)
        },
      ),
      { numRuns: 200 },
    ))

  test('are not computed again while a line is typed, but for that of the last token', async () => {
    const on = engineAndCache()
    const first = []
    for (const typed of [[], [5], [5, 6], [5, 7], [5, 7, 8]]) {
      const texts = [[1, 2, 3, ...typed], [4]]
      const { steps } = await run({ texts, script: mixed(16), begun: typed.length + 1, on, open: 0, maxTokens: 2 })
      first.push(steps[0]!.ids)
    }
    expect(first).toEqual([[2, 3], [5], [6], [7], [8]])
  })

  test('are computed again where the canvas begins elsewhere, or something else follows it', async () => {
    const on = engineAndCache()
    const first = async (texts: readonly TokenIds[], begun: number) => {
      const { steps } = await run({ texts, script: mixed(16), begun, on, open: 0, maxTokens: 1 })
      return steps[0]!.ids
    }
    expect(await first([[1, 2, 3], [4]], 2)).toEqual([1, 2, 3])
    expect(await first([[1, 2, 3], [5]], 2)).toEqual([1, 2, 3])
    expect(await first([[1, 2, 3], [5]], 1)).toEqual([2, 3])
  })

  test('stay where they are when a request was over before it began', async () => {
    const on = engineAndCache()
    const given = { texts: [[1, 2, 3], [4]], script: mixed(16), begun: 2, on, open: 0, maxTokens: 1 }
    await run(given)
    await expect(run({ ...given, signal: AbortSignal.abort(new Aborted('cancelled')) })).rejects.toThrow(Aborted)
    expect((await run(given)).steps[0]!.ids).toEqual([3])
    on.canvases.clear()
    expect(on.engine.liveCount).toBe(0)
  })
})

describe('a second opinion', () => {
  const end = byteIds.end
  /** The model says 5, with this probability, wherever it is asked. */
  const saysFive =
    (probability: number): Script =>
    () => [
      { id: 5, probability },
      { id: 6, probability: (1 - probability) / 2 },
    ]
  const recall = (weight: number) => (leading: TokenIds) =>
    ([7, 8, 9, 'end'] as const).slice(leading.length).map((id) => ({ id, weight }))
  const ask = (script: Script, weight: number) =>
    run({ script, texts: [[1], [2]], maxTokens: 4, recall: recall(weight) })

  test('is taken where model and opinion together are for it, and ends the middle', async () => {
    const { middles, result } = await ask(saysFive(0.5), 0.6)
    expect(middles).toEqual([[7, 8, 9]])
    expect(result.middles[0]!.finish).toBe('ended')
    // Two tokens are guessed from the start, and each pass adds one.
    expect(result.steps).toBe(2)
    for (const p of result.middles[0]!.probabilities) expect(p).toBeCloseTo(0.6, 1)
  })

  test('is not where the model is surer', async () => {
    expect((await ask(saysFive(0.9), 0.4)).middles).toEqual([[5, 5, 5, 5]])
  })

  test('adds to what the model says where both say the same', async () => {
    const both: Script = () => [{ id: 7, probability: 0.5 }]
    const { result } = await ask(both, 0.4)
    expect(result.middles[0]!.probabilities[0]).toBeCloseTo(0.4 + 0.6 * 0.5)
  })

  test('that must not stand there is not heard', async () => {
    const script = saysFive(0.3)
    const barred = await run({
      script,
      texts: [[1], [2]],
      maxTokens: 2,
      recall: () => [{ id: byteIds.mask, weight: 0.9 }],
    })
    expect(barred.middles).toEqual([[5, 5]])
    const clamp = clampTo([4])
    const clamped = await run({
      script,
      texts: [[1], [2]],
      maxTokens: 1,
      clamp,
      recall: () => [{ id: end, weight: 0.9 }],
    })
    expect(clamped.middles[0]).not.toContain(end)
  })
})

test('an end is said by a committed row alone, however sure an open one is', async () => {
  const ending: Script = ({ position, canvas }) => {
    if ([...canvas.values()].includes(byteIds.mask)) return [{ id: byteIds.end, probability: 0.99 }]
    return [{ id: position < 4 ? 97 : byteIds.end, probability: 0.6 }] // behind the start, a token of the text and two written
  }
  const { middles, result } = await run({ script: ending, texts: [[120], [121]] })
  expect(middles).toEqual([[97, 97]])
  expect(result.middles[0]!.finish).toBe('ended')
})
