import { describe, expect, test } from 'vitest'
import { Aborted, EngineError } from '../../server/base/errors.ts'
import { noClamp } from '../../server/denoise/commitRules.ts'
import { Denoiser } from '../../server/denoise/denoiser.ts'
import type { Schedule } from '../../server/denoise/schedule.ts'
import type { WholeContext } from '../../server/denoise/wholeSurroundings.ts'
import type { Engine, Piece } from '../../server/engine/engine.ts'
import { range } from '../engine/engine.case.ts'
import { byteEngine, byteIds, knows, mixed, type Script, ScriptedEngine } from '../engine/scriptedEngine.ts'
import { fillOne, type OneHole } from './oneHole.ts'

const never = new AbortController().signal
const bytes = (text: string): number[] => [...Buffer.from(text)]
const leftmostFirst: Schedule = { kind: 'leftmost-first', threshold: 0.9, window: 4 }
const turn = () => new Promise((resolve) => setImmediate(resolve))

type Options = Partial<Pick<OneHole, 'maxTokens' | 'floor' | 'schedule'>> &
  Partial<OneHole['rules']> & { canvasSlots?: number }

/** A request as the session makes it: context encoded, the last prefix token being the canvas's. */
async function requestFor(engine: Engine, prefix: string, suffix: string, options: Options = {}) {
  const [prefixIds, suffixIds] = [[byteIds.documentStart, ...bytes(prefix)], bytes(suffix)]
  const encode = async (ids: number[]) => (ids.length ? (await engine.encode([{ ids }], never))[0]!.id : undefined)
  const { canvasSlots = 8, maxTokens = 64, floor = 0, schedule = leftmostFirst, ...rules } = options
  const request = {
    prefixIds,
    suffixIds,
    context: { kind: 'causal', encodings: [await encode(prefixIds.slice(0, -1)), await encode(suffixIds)] },
    length: { kind: 'end-token', slots: canvasSlots },
    maxTokens,
    floor,
    maskId: byteIds.mask,
    schedule,
    rules: { endIds: new Set([byteIds.end]), forbiddenIds: new Set([byteIds.mask]), clamp: noClamp, ...rules },
  } satisfies OneHole
  return request
}

const textOf = (ids: readonly number[]): string => Buffer.from(ids).toString()
const whole = (text: string): number[] => [byteIds.documentStart, ...bytes(text)]

describe('one gap', () => {
  test('is filled up to the end, several slots a step where they are sure', async () => {
    const engine = new ScriptedEngine(knows(whole('print(value)')))
    const result = await fillOne(new Denoiser(engine), await requestFor(engine, 'print(', '\n'), never)
    expect(result).toMatchObject({ finish: 'ended', steps: 2, rows: 18 })
    expect(textOf(result.ids)).toBe('value)')
  })

  test('takes a step per token where none is sure', async () => {
    const engine = new ScriptedEngine(knows(whole('print(value)'), () => 0.5))
    const progress: string[] = []
    const result = await fillOne(new Denoiser(engine), await requestFor(engine, 'print(', ''), never, ({ ids }) =>
      progress.push(textOf(ids)),
    )
    expect(result).toMatchObject({ finish: 'ended', steps: 7 })
    expect(progress).toEqual(['v', 'va', 'val', 'valu', 'value', 'value)', 'value)'])
  })

  test('with a prefix of a single token and no suffix needs no context', async () => {
    const engine = new ScriptedEngine(knows(whole('x')))
    const result = await fillOne(new Denoiser(engine), await requestFor(engine, '', ''), never)
    expect(textOf(result.ids)).toBe('x')
    expect(engine.steps[0]![0]!.context).toEqual([])
    expect(engine.encodedRows).toBe(0)
  })

  test('stops where the product of probabilities falls below the floor', async () => {
    const engine = new ScriptedEngine(knows(whole('abcdefgh'), () => 0.5))
    const result = await fillOne(new Denoiser(engine), await requestFor(engine, '', '', { floor: 0.1 }), never)
    expect(result.finish).toBe('unsure')
    expect(textOf(result.ids)).toBe('abcd')
  })

  test('refuses a request without prefix, and what would commit nothing', async () => {
    const engine = new ScriptedEngine()
    const request = await requestFor(engine, 'a', '')
    const denoise = async (change: Partial<OneHole>) => fillOne(new Denoiser(engine), { ...request, ...change }, never)
    await expect(denoise({ prefixIds: [] })).rejects.toThrow(RangeError)
    await expect(denoise({ schedule: { ...leftmostFirst, window: 0 } })).rejects.toThrow(RangeError)
    await expect(denoise({ length: { kind: 'end-token', slots: 0 } })).rejects.toThrow(RangeError)
    await expect(denoise({ length: { kind: 'search', lengths: [] } })).rejects.toThrow(RangeError)
    const context: WholeContext = { kind: 'whole', keep: 'both', refreshEvery: 0, freshRows: 0 }
    await expect(denoise({ context })).rejects.toThrow(RangeError)
  })
})

describe('a canvas that fills up', () => {
  const middle = 'a middle of many canvases'

  test('is folded into the prefix, the suffix still in sight', async () => {
    const engine = new ScriptedEngine(knows(whole(`left ${middle}`)))
    const request = await requestFor(engine, 'left ', ' right')
    const before = { rows: engine.encodedRows, live: engine.liveCount }
    const result = await fillOne(new Denoiser(engine), request, never)
    expect(textOf(result.ids)).toBe(middle)
    expect(result.finish).toBe('ended')
    // Three full canvases were read once, none of their tokens twice.
    expect(engine.encodedRows - before.rows).toBe(24)
    expect(engine.liveCount).toBe(before.live)
    for (const { context, positions } of engine.steps.map(([job]) => job!)) {
      expect(context[0], 'the suffix begins behind the last slot').toEqual({
        id: request.context.encodings[1],
        rows: 6,
        firstPosition: positions.at(-1)! + 1,
      })
      expect(context[1]!.rows, 'the prefix ends before the canvas').toBe(positions[0])
    }
  })

  test('continues what is encoded already, causally and unmasked', async () => {
    const engine = new ScriptedEngine(knows(whole(`left ${middle}`)))
    const pieces: Piece[] = []
    const encode = engine.encode.bind(engine)
    const request = await requestFor(engine, 'left ', ' right')
    engine.encode = (asked, signal) => {
      pieces.push(...asked)
      return encode(asked, signal)
    }
    await fillOne(new Denoiser(engine), request, never)
    expect(pieces.map(({ ids }) => textOf(ids))).toEqual([' a middl', 'e of man', 'y canvas'])
    expect(pieces[0]).toMatchObject({ after: request.context.encodings[0], rows: 5 })
    expect(pieces.map(({ rows }) => rows)).toEqual([5, 13, 21])
  })

  test('never exceeds the most tokens that are wanted', async () => {
    for (const maxTokens of [1, 7, 8, 9, 20]) {
      const engine = new ScriptedEngine(knows(whole('x'.repeat(100))))
      const result = await fillOne(new Denoiser(engine), await requestFor(engine, '', 'y', { maxTokens }), never)
      expect(result).toMatchObject({ finish: 'length', ids: bytes('x'.repeat(maxTokens)) })
    }
  })

  test('gives what one large canvas gives, where a prediction needs no more than the prefix', async () => {
    const byPrefix: Script = (question) => {
      const seen = new Map([...question.context, ...question.canvas].filter(([at]) => at < question.position))
      return mixed(200)({ position: question.position, canvas: new Map(), context: seen })
    }
    const fill = async (canvasSlots: number) => {
      const engine = new ScriptedEngine(byPrefix)
      return fillOne(new Denoiser(engine), await requestFor(engine, 'left', '', { canvasSlots, maxTokens: 24 }), never)
    }
    expect((await fill(5)).ids).toEqual((await fill(24)).ids)
  })

  test('does not ask known text a second time', async () => {
    const engine = new ScriptedEngine(knows(whole('x = long_name')))
    const spells = { isOver: (leading: readonly number[]) => leading.length > 0 }
    const clamp = { ...spells, allows: (_: readonly number[], id: number) => id === 32 }
    const request = await requestFor(engine, 'x =', '', { clamp, canvasSlots: 4 })
    const result = await fillOne(new Denoiser(engine), request, never)
    expect(textOf(result.ids)).toBe(' long_name')
    expect(result.finish).toBe('ended')
  })

  test('of one slot makes progress too', async () => {
    const engine = new ScriptedEngine(knows(whole('abc')))
    const result = await fillOne(new Denoiser(engine), await requestFor(engine, '', '', { canvasSlots: 1 }), never)
    expect(textOf(result.ids)).toBe('abc')
  })
})

describe('several at once', () => {
  const places = [
    ['left', 'right', 8],
    ['another place that is longer', '', 4],
    ['', 'only a suffix', 8],
    ['left', 'elsewhere', 3],
  ] as const

  test('give what they give one by one, in fewer passes', async () => {
    const script = mixed(200)
    const alone = []
    let passes = 0
    for (const [prefix, suffix, canvasSlots] of places) {
      const engine = new ScriptedEngine(script)
      const request = await requestFor(engine, prefix, suffix, { canvasSlots, maxTokens: 20 })
      alone.push(await fillOne(new Denoiser(engine), request, never))
      passes += engine.steps.length
    }
    const engine = new ScriptedEngine(script)
    const denoiser = new Denoiser(engine)
    const requests = []
    for (const [prefix, suffix, canvasSlots] of places)
      requests.push(await requestFor(engine, prefix, suffix, { canvasSlots, maxTokens: 20 }))
    const together = await Promise.all(requests.map((request) => fillOne(denoiser, request, never)))
    expect(together).toEqual(alone)
    expect(engine.steps[0]).toHaveLength(places.length)
    expect(engine.steps.length).toBeLessThan(passes / 2)
  })

  test('one joins between two steps', async () => {
    const engine = new ScriptedEngine(knows(whole('abcdefgh'), () => 0.5))
    const denoiser = new Denoiser(engine)
    const [first, second] = [await requestFor(engine, '', ''), await requestFor(engine, 'abc', '')]
    let joined: Promise<unknown> | undefined
    await fillOne(denoiser, first, never, ({ ids }) => {
      if (ids.length === 2) joined ??= fillOne(denoiser, second, never)
    })
    await joined
    expect(engine.steps.slice(0, 4).map((jobs) => jobs.length)).toEqual([1, 1, 2, 2])
  })

  test('one that is aborted between two steps leaves, the others go on', async () => {
    const engine = new ScriptedEngine(knows(whole('abcdefgh'), () => 0.5))
    const denoiser = new Denoiser(engine)
    const abort = new AbortController()
    const leaves = fillOne(denoiser, await requestFor(engine, 'ab', ''), abort.signal, ({ ids }) => {
      if (ids.length === 2) abort.abort(new Aborted('superseded'))
    })
    const stays = fillOne(denoiser, await requestFor(engine, '', ''), never)
    await expect(leaves).rejects.toMatchObject({ why: 'superseded' })
    expect(textOf((await stays).ids)).toBe('abcdefgh')
    expect(engine.steps.at(-1)).toHaveLength(1)
  })

  test('one that is aborted during a step leaves after it, the others lose nothing', async () => {
    const engine = new ScriptedEngine(knows(whole('abcdefgh'), () => 0.5))
    const denoiser = new Denoiser(engine)
    const abort = new AbortController()
    const [a, b] = [await requestFor(engine, '', ''), await requestFor(engine, '', '')]
    engine.hold()
    const leaves = fillOne(denoiser, a, abort.signal)
    const stays = fillOne(denoiser, b, never)
    await turn()
    abort.abort(new Aborted('cancelled'))
    engine.resume()
    await expect(leaves).rejects.toMatchObject({ why: 'cancelled' })
    expect((await stays).steps).toBe(9) // eight tokens, then the end in a canvas of its own
  })

  test('a step of which all are aborted is given up', async () => {
    const engine = new ScriptedEngine(knows(whole('abcdefgh')))
    const denoiser = new Denoiser(engine)
    const aborts = [new AbortController(), new AbortController()]
    const request = await requestFor(engine, '', '')
    engine.hold()
    const running = Promise.allSettled(aborts.map(({ signal }) => fillOne(denoiser, request, signal)))
    await turn()
    for (const abort of aborts) abort.abort(new Aborted('superseded'))
    // The engine is still held: nobody waits for it.
    for (const outcome of await running) expect(outcome).toMatchObject({ reason: { why: 'superseded' } })
    engine.resume()
    expect(textOf((await fillOne(denoiser, request, never)).ids)).toBe('abcdefgh')
    expect(engine.steps.every((jobs) => jobs.length === 1)).toBe(true)
  })

  test('aborted before it began or while it is folded, it rejects and frees what it encoded', async () => {
    const engine = new ScriptedEngine(knows(whole('x'.repeat(40))))
    const denoiser = new Denoiser(engine)
    const request = await requestFor(engine, 'x', 'y')
    const live = engine.liveCount
    await expect(fillOne(denoiser, request, AbortSignal.abort(new Aborted('superseded')))).rejects.toThrow(Aborted)
    expect(engine.steps).toHaveLength(0)
    const abort = new AbortController()
    const folded = fillOne(denoiser, request, abort.signal, ({ ids }) => {
      if (ids.length === 16) abort.abort(new Aborted('superseded'))
    })
    await expect(folded).rejects.toThrow(Aborted)
    expect(engine.liveCount).toBe(live)
  })

  test('many steps leave no listeners on a signal', async () => {
    const warnings: string[] = []
    const warn = (warning: Error) => warnings.push(warning.name)
    process.on('warning', warn)
    const engine = new ScriptedEngine(knows(whole('x'.repeat(40)), () => 0.5))
    const denoiser = new Denoiser(engine)
    const request = await requestFor(engine, '', '', { maxTokens: 30 })
    const signals = [new AbortController().signal, new AbortController().signal]
    await Promise.all(signals.map((signal) => fillOne(denoiser, request, signal)))
    await turn()
    process.off('warning', warn)
    expect(warnings).toEqual([])
  })
})

describe('an engine that fails', () => {
  test('rejects all that take part, and the next request works', async () => {
    const engine = new ScriptedEngine(knows(whole('abcdefgh')))
    const denoiser = new Denoiser(engine)
    const request = await requestFor(engine, '', '')
    engine.failNext(new EngineError('no memory'))
    const outcomes = await Promise.allSettled([fillOne(denoiser, request, never), fillOne(denoiser, request, never)])
    for (const outcome of outcomes) expect(outcome).toMatchObject({ reason: { message: 'no memory' } })
    expect(textOf((await fillOne(denoiser, request, never)).ids)).toBe('abcdefgh')
  })

  test('while a canvas is folded rejects that one alone', async () => {
    const engine = new ScriptedEngine(knows(whole('x'.repeat(40)), (position) => (position < 10 ? 0.99 : 0.5)))
    const denoiser = new Denoiser(engine)
    const [folds, steps] = [await requestFor(engine, '', ''), await requestFor(engine, 'x'.repeat(36), '')]
    const encode = engine.encode.bind(engine)
    engine.encode = async () => {
      throw new EngineError('no memory')
    }
    const folding = fillOne(denoiser, folds, never)
    const stepping = fillOne(denoiser, steps, never)
    await expect(folding).rejects.toThrow('no memory')
    expect((await stepping).ids).toEqual(bytes('xxxx'))
    engine.encode = encode
    expect((await fillOne(denoiser, folds, never)).ids).toEqual(bytes('x'.repeat(40)))
  })
})

describe('never an endless loop', () => {
  const only =
    (...ids: number[]): Script =>
    () =>
      ids.map((id) => ({ id, probability: 1 / ids.length }))
  const withMask = { ...byteEngine, vocab: 259 }

  test('where the mask is the best guess the second best is taken', async () => {
    const engine = new ScriptedEngine(
      () => [
        { id: byteIds.mask, probability: 0.9 },
        { id: 97, probability: 0.05 },
      ],
      withMask,
    )
    const denoiser = new Denoiser(engine)
    for (const forbiddenIds of [new Set([byteIds.mask]), new Set<number>()]) {
      const request = await requestFor(engine, '', '', { maxTokens: 10, forbiddenIds })
      expect(await fillOne(denoiser, request, never)).toMatchObject({ ids: bytes('a'.repeat(10)), finish: 'length' })
    }
  })

  test('where all eight best are forbidden it is stuck', async () => {
    const engine = new ScriptedEngine(only(...range(97, 8)))
    const request = await requestFor(engine, '', '', { forbiddenIds: new Set(range(97, 8)) })
    expect(await fillOne(new Denoiser(engine), request, never)).toMatchObject({ ids: [], finish: 'stuck', steps: 1 })
  })

  test('where it is stuck later it gives what it has', async () => {
    const known = knows(whole('abc'))
    const stuck = only(...range(100, 8))
    const engine = new ScriptedEngine((question) => (question.position < 4 ? known(question) : stuck(question)))
    const request = await requestFor(engine, '', '', { forbiddenIds: new Set(range(100, 8)) })
    const result = await fillOne(new Denoiser(engine), request, never)
    expect(result).toMatchObject({ ids: bytes('abc'), finish: 'stuck' })
  })

  test('where numbers are no numbers it ends all the same', async () => {
    const engine = new ScriptedEngine(() => [{ id: 97, probability: Number.NaN }])
    const request = await requestFor(engine, '', '', { maxTokens: 12 })
    expect((await fillOne(new Denoiser(engine), request, never)).steps).toBeLessThanOrEqual(12)
  })
})
