/** Bidirectional models over an engine whose predictions depend on every id in sight: what a pass is given is all. */
import { describe, expect, test } from 'vitest'
import { Aborted, EngineError } from '../../server/base/errors.ts'
import { noClamp } from '../../server/denoise/commitRules.ts'
import { Denoiser } from '../../server/denoise/denoiser.ts'
import type { Length } from '../../server/denoise/length.ts'
import type { Keep, WholeContext } from '../../server/denoise/wholeSurroundings.ts'
import type { StepJob } from '../../server/engine/engine.ts'
import { range } from '../engine/engine.case.ts'
import { byteEngine, byteIds, knows, mixed, type Script, ScriptedEngine } from '../engine/scriptedEngine.ts'
import { fillOne, type OneHole } from './oneHole.ts'

const never = new AbortController().signal
const bytes = (text: string): number[] => [...Buffer.from(text)]
const textOf = (ids: readonly number[]): string => Buffer.from(ids).toString()

const whole = (keep: Keep = 'nothing', refreshEvery = 1, freshRows = 0): WholeContext => ({
  ...{ kind: 'whole', keep, refreshEvery, freshRows },
})
const endToken: Length = { kind: 'end-token', slots: 4 }
const expandId = 10

function requestFor(prefix: string, suffix: string, change: Partial<OneHole> = {}): OneHole {
  return {
    prefixIds: [byteIds.documentStart, ...bytes(prefix)],
    suffixIds: bytes(suffix),
    context: whole(),
    length: endToken,
    maxTokens: 64,
    floor: 0,
    maskId: byteIds.mask,
    schedule: { kind: 'surest-first', threshold: 1 },
    rules: { endIds: new Set([byteIds.end]), forbiddenIds: new Set(), clamp: noClamp },
    ...change,
  }
}

const script = (middle: string, prefix = 'left ', sure = 0.5): Script =>
  knows([byteIds.documentStart, ...bytes(prefix + middle)], () => sure)

/** Rows by name, and what is in the context, and what is kept. */
function shapeOf({ ids, positions, context, keep = [] }: StepJob) {
  const rows = `${positions[0]}-${positions.at(-1)}`
  expect(positions, 'positions follow each other').toEqual(range(positions[0]!, ids.length))
  return [
    rows,
    ...context.map(({ rows, firstPosition }) => `past ${firstPosition}-${firstPosition + rows - 1}`),
    ...keep.map(({ first, count }) => `keep ${first}-${first + count - 1}`),
  ].join(' ')
}

async function shapes(context: WholeContext, middle = 'abcd', prefix = 'left ', suffix = ' right') {
  const engine = new ScriptedEngine(script(middle, prefix))
  const result = await fillOne(new Denoiser(engine), requestFor(prefix, suffix, { context }), never)
  expect(textOf(result.ids)).toBe(middle)
  expect(engine.liveCount, 'encodings that nobody released').toBe(0)
  expect(engine.encodedRows).toBe(0)
  return engine.steps.map(([job]) => shapeOf(job!))
}

describe('a pass', () => {
  // 6 prefix tokens, 4 slots, 6 suffix tokens: positions 0 to 15; the second canvas finds the end.
  test('is everything where nothing is kept', async () => {
    const first = Array(4).fill('0-15')
    expect(await shapes(whole())).toEqual([...first, '0-19'])
    for (const keep of ['prefix', 'both'] as const) expect(await shapes(whole(keep, 1))).toEqual([...first, '0-19'])
  })

  test('then the last prefix token, slots and suffix, over the kept prefix', async () => {
    const [full, over] = ['0-15 keep 0-4', '5-15 past 0-4']
    const second = '0-19 keep 0-8'
    expect(await shapes(whole('prefix', Number.POSITIVE_INFINITY))).toEqual([full, over, over, over, second])
    expect(await shapes(whole('prefix', 2))).toEqual([full, over, full, over, second])
    expect(await shapes(whole('prefix', 3))).toEqual([full, over, over, full, second])
  })

  test('then the last prefix token and slots, over both', async () => {
    const [full, over] = ['0-15 keep 0-4 keep 10-15', '5-9 past 10-15 past 0-4']
    const second = '0-19 keep 0-8 keep 14-19'
    expect(await shapes(whole('both', Number.POSITIVE_INFINITY))).toEqual([full, over, over, over, second])
    expect(await shapes(whole('both', 2))).toEqual([full, over, full, over, second])
  })

  test('computes the rows next to the slots all the same, as many as it is told', async () => {
    const [full, over] = ['0-15 keep 0-2 keep 12-15', '3-11 past 12-15 past 0-2']
    expect((await shapes(whole('both', 9, 2))).slice(0, 4)).toEqual([full, over, over, over])
    expect((await shapes(whole('prefix', 9, 4))).slice(0, 2)).toEqual(['0-15 keep 0-0', '1-15 past 0-0'])
    expect(await shapes(whole('both', 9, 16))).toEqual([...Array(4).fill('0-15'), '0-19'])
  })

  test('keeps only what there is', async () => {
    expect(await shapes(whole('both', 9), 'abcd', '', '')).toEqual([...Array(4).fill('0-4'), '0-8 keep 0-3'])
    expect((await shapes(whole('both', 9), 'abcd', '', 'xy')).slice(0, 2)).toEqual(['0-6 keep 5-6', '0-4 past 5-6'])
    expect((await shapes(whole('both', 9), 'abcd', 'x', '')).slice(0, 2)).toEqual(['0-5 keep 0-0', '1-5 past 0-0'])
  })
})

// An encoding of this engine knows its ids and nothing else, so nothing kept is ever stale: every way of keeping must
// give what keeping nothing gives, wherever slots come and go.
describe('over an engine whose rows depend on nothing but their ids, what is kept changes nothing', () => {
  const keeps = [whole('prefix', 2), whole('both', 2), whole('prefix', 5), whole('both', Number.POSITIVE_INFINITY)]
  const lengths: Length[] = [
    endToken,
    { kind: 'search', lengths: [1, 2, 3, 5, 8] },
    { kind: 'expand-delete', slots: 5, maxSlots: 12, expandId },
  ]
  /** An end or an expand token now and then. */
  const uneven: Script = (question) => {
    const guesses = mixed(200)(question)
    const best = guesses[0]!.id
    const other = best % 5 === 0 ? byteIds.end : best % 5 === 1 ? expandId : best
    return [{ id: other, probability: guesses[0]!.probability }]
  }
  for (const logitsShift of [0, 1] as const) {
    for (const length of lengths) {
      test(`length mode ${length.kind}, shift ${logitsShift}`, async () => {
        const endings = new Set<number>()
        for (let place = 0; place < 12; place++) {
          const fill = async (context: WholeContext) => {
            const engine = new ScriptedEngine(uneven, { ...byteEngine, logitsShift })
            const [prefix, suffix] = ['p'.repeat(place % 5), 's'.repeat(place % 4)]
            const request = requestFor(`${place}${prefix}`, suffix, {
              context,
              length,
              maxTokens: 12,
              schedule: { kind: 'surest-first', threshold: place % 2 ? 1 : 0.2 },
            })
            const result = await fillOne(new Denoiser(engine), request, never)
            expect(engine.liveCount).toBe(0)
            return result
          }
          const wanted = await fill(whole())
          endings.add(wanted.ids.length)
          for (const keep of keeps) {
            const { ids, steps, finish, rows } = await fill(keep)
            expect({ ids, steps, finish }).toEqual({ ids: wanted.ids, steps: wanted.steps, finish: wanted.finish })
            expect(rows).toBeLessThanOrEqual(wanted.rows)
          }
        }
        expect(endings.size, 'lengths of the middles').toBeGreaterThan(2)
      })
    }
  }
})

test('the lengths of a search are looked at in one call, and nothing of them is kept', async () => {
  const engine = new ScriptedEngine(script('abcdefgh'))
  const length: Length = { kind: 'search', lengths: [1, 2, 4, 8] }
  const context = whole('both', 3)
  const result = await fillOne(new Denoiser(engine), requestFor('left ', ' right', { context, length }), never)
  expect(engine.steps.slice(0, 3).map((jobs) => jobs.map(shapeOf))).toEqual([
    ['0-12', '0-13', '0-15', '0-19'],
    ['0-19 keep 0-4 keep 14-19'],
    ['5-13 past 14-19 past 0-4'],
  ])
  expect(result).toMatchObject({ finish: 'ended', ids: bytes('abcdefgh'), steps: 8 })
  expect(engine.liveCount).toBe(0)
})

describe('what is kept is released', () => {
  const context = whole('both', 4)
  const two = (engine: ScriptedEngine, signal: AbortSignal) => {
    const denoiser = new Denoiser(engine)
    const request = requestFor('left ', ' right', { context })
    return [fillOne(denoiser, request, signal), fillOne(denoiser, request, never)] as const
  }

  test('by a job that is aborted between two passes while others go on', async () => {
    const engine = new ScriptedEngine(script('abcd'))
    const abort = new AbortController()
    const [leaves, stays] = two(engine, abort.signal)
    const left = expect(leaves).rejects.toThrow(Aborted)
    while (engine.steps.length < 1) await new Promise((resolve) => setImmediate(resolve))
    abort.abort(new Aborted('superseded'))
    await left
    expect(textOf((await stays).ids)).toBe('abcd')
    expect(engine.liveCount).toBe(0)
  })

  test('by a job that is aborted during the pass that keeps it', async () => {
    const engine = new ScriptedEngine(script('abcd'))
    const abort = new AbortController()
    engine.hold()
    const [leaves, stays] = two(engine, abort.signal)
    const left = expect(leaves).rejects.toThrow(Aborted)
    await new Promise((resolve) => setImmediate(resolve))
    abort.abort(new Aborted('superseded'))
    engine.resume()
    await left
    expect(engine.steps[0]!.map(({ keep }) => keep?.length)).toEqual([2, 2])
    expect(textOf((await stays).ids)).toBe('abcd')
    expect(engine.liveCount).toBe(0)
  })

  test('when the engine fails', async () => {
    const engine = new ScriptedEngine(script('abcd'))
    const jobs = Promise.allSettled(two(engine, never))
    while (engine.steps.length < 2) await new Promise((resolve) => setImmediate(resolve))
    engine.failNext(new EngineError('no memory'))
    for (const outcome of await jobs) expect(outcome).toMatchObject({ reason: { message: 'no memory' } })
    expect(engine.liveCount).toBe(0)
  })
})
