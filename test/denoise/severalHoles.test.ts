/** Several holes in one canvas: every row sees all texts and all slots, and each hole finds its own length. */
import { describe, expect, test } from 'vitest'
import { Aborted } from '../../server/base/errors.ts'
import { noClamp } from '../../server/denoise/commitRules.ts'
import { type DenoiseRequest, Denoiser } from '../../server/denoise/denoiser.ts'
import type { Hole } from '../../server/denoise/hole.ts'
import type { StepJob } from '../../server/engine/engine.ts'
import { range } from '../engine/engine.case.ts'
import { byteIds, mixed, type Question, type Script, ScriptedEngine } from '../engine/scriptedEngine.ts'

const never = new AbortController().signal
const bytes = (text: string): number[] => [...Buffer.from(text)]
const textOf = (ids: readonly number[]): string => Buffer.from(ids).toString()
const hole: Hole = { length: { kind: 'end-token', slots: 4 }, maxTokens: 64, floor: 0, clamp: noClamp }
const kinds = ['causal', 'whole'] as const

async function requestFor(
  engine: ScriptedEngine,
  kind: 'causal' | 'whole',
  texts: readonly string[],
  change: Partial<DenoiseRequest> = {},
): Promise<DenoiseRequest> {
  const ids = texts.map((text, i) => (i === 0 ? [byteIds.documentStart, ...bytes(text)] : bytes(text)))
  const encodings = []
  for (const [i, text] of ids.entries()) {
    const rows = i === ids.length - 1 ? text : text.slice(0, -1)
    encodings.push(rows.length > 0 ? (await engine.encode([{ ids: rows }], never))[0]!.id : undefined)
  }
  return {
    texts: ids,
    holes: ids.slice(1).map(() => hole),
    context: kind === 'causal' ? { kind, encodings } : { kind, keep: 'nothing', refreshEvery: 1, freshRows: 0 },
    schedule: { kind: 'leftmost-first', threshold: 0.9, window: 4 },
    maskId: byteIds.mask,
    endIds: new Set([byteIds.end]),
    forbiddenIds: new Set([byteIds.mask]),
    urgent: true,
    ...change,
  }
}

/** Position → id of everything in sight, as the network would see it. */
const inSight = ({ canvas, context }: Question) => [...context, ...canvas].sort(([a], [b]) => a - b)

/** Knows each middle by the text before it, wherever that stands by now. */
function knowsMiddles(middles: Readonly<Record<string, string>>, sure = 0.99): Script {
  return (question) => {
    const before = textOf(inSight(question).flatMap(([at, id]) => (at < question.position && id < 256 ? [id] : [])))
    for (const [text, middle] of Object.entries(middles)) {
      const from = before.lastIndexOf(text)
      if (from < 0) continue
      const masks = inSight(question).filter(([at, id]) => at < question.position && id === byteIds.mask).length
      const at = before.length - from - text.length
      if (at <= middle.length && middle.startsWith(before.slice(from + text.length)))
        return [{ id: bytes(middle)[at + openBetween(question, masks)] ?? byteIds.end, probability: sure }]
    }
    return [{ id: byteIds.end, probability: sure }]
  }
}

/** Open slots right before the position that is asked: those of its own hole. */
function openBetween(question: Question, masks: number): number {
  if (masks === 0) return 0
  let count = 0
  for (let at = question.position - 1; question.canvas.get(at) === byteIds.mask; at--) count++
  return count
}

describe.each(kinds)('%s surroundings', (kind) => {
  test('each hole gets its own middle, of its own length', async () => {
    const engine = new ScriptedEngine(knowsMiddles({ 'f(': 'a, b', ' = ': 'value', '[': '' }))
    const request = await requestFor(engine, kind, ['f(', '): x = ', ' + y[', '];'])
    const live = engine.liveCount
    const { middles } = await new Denoiser(engine).denoise(request, never)
    expect(middles.map(({ ids }) => textOf(ids))).toEqual(['a, b', 'value', ''])
    expect(middles.every(({ finish }) => finish === 'ended')).toBe(true)
    expect(engine.liveCount).toBe(live)
  })

  test('a row sees every text and every slot, each at the place it has by then', async () => {
    const seen: string[] = []
    const engine = new ScriptedEngine((question) => {
      const all = inSight(question)
      expect(
        all.map(([at]) => at),
        'no gap, nothing twice',
      ).toEqual(range(0, all.length))
      seen.push(all.map(([, id]) => (id === byteIds.mask ? '_' : id < 256 ? String.fromCharCode(id) : '')).join(''))
      return knowsMiddles({ ab: '1', cd: '22222' }, 0.95)(question)
    })
    const { middles } = await new Denoiser(engine).denoise(await requestFor(engine, kind, ['ab', 'cd', 'ef']), never)
    expect(middles.map(({ ids }) => textOf(ids))).toEqual(['1', '22222'])
    // The first hole is closed once it has ended; the second goes on in a canvas of its own.
    expect(new Set(seen)).toEqual(new Set(['ab____cd____ef', 'ab1cd2222____ef']))
  })

  test('a single hole among them is filled as it is alone', async () => {
    for (const [place, texts] of [
      ['left', 'right'],
      ['', 'x'],
      ['another', '.'],
    ].entries()) {
      const fill = async (several: boolean) => {
        const engine = new ScriptedEngine((question) => {
          // What the first hole knows ends before the second text.
          const limit = texts[0]!.length + 1 + 12
          const near = (ids: ReadonlyMap<number, number>) =>
            new Map([...ids].filter(([at]) => at < limit && at < question.position))
          return mixed(200)({ ...question, canvas: near(question.canvas), context: near(question.context) })
        })
        const request = await requestFor(engine, kind, several ? [...texts, 'end'] : texts)
        const holes = request.holes.map((one) => ({ ...one, maxTokens: 10 }))
        return (await new Denoiser(engine).denoise({ ...request, holes }, never)).middles[0]!.ids
      }
      expect(await fill(true), `place ${place}`).toEqual(await fill(false))
    }
  })
})

test('texts are encodings at their places, from the right; each hole has the row of the token before it', async () => {
  const engine = new ScriptedEngine(() => [{ id: byteIds.end, probability: 0.99 }])
  const request = await requestFor(engine, 'causal', ['abc', 'd', 'efg', ''])
  await new Denoiser(engine).denoise(request, never)
  const { ids, positions, context, asked } = engine.steps[0]![0] as StepJob
  const open = Array<number>(4).fill(byteIds.mask)
  expect(ids).toEqual([...bytes('c'), ...open, ...bytes('d'), ...open, ...bytes('g'), ...open])
  expect(positions).toEqual([...range(3, 5), ...range(8, 5), ...range(15, 5)])
  expect(asked).toEqual([...range(4, 4), ...range(9, 4), ...range(16, 4)])
  expect(context.map(({ rows, firstPosition }) => [rows, firstPosition])).toEqual([
    [2, 13],
    [3, 0],
  ])
})

test('lengths are searched for in every hole, the others being as short as they may', async () => {
  const engine = new ScriptedEngine(knowsMiddles({ ab: '12', cd: '3' }))
  const length = { kind: 'search', lengths: [1, 2, 3] } as const
  const request = await requestFor(engine, 'whole', ['ab', 'cd', 'ef'])
  const holes = request.holes.map((one) => ({ ...one, length }))
  await new Denoiser(engine).denoise({ ...request, holes }, never)
  const shapes = engine.steps[0]!.map(({ ids, asked }) => [
    ids.filter((id) => id === byteIds.mask).length,
    asked.length,
  ])
  expect(shapes).toEqual([
    [2, 1],
    [3, 2],
    [4, 3],
    [2, 1],
    [3, 2],
    [4, 3],
  ])
})

test('requests that make no sense are refused', async () => {
  const engine = new ScriptedEngine()
  const request = await requestFor(engine, 'causal', ['a', 'b', 'c'])
  const denoise = async (change: Partial<DenoiseRequest>) =>
    new Denoiser(engine).denoise({ ...request, ...change }, never)
  await expect(denoise({ holes: [] })).rejects.toThrow(RangeError)
  await expect(denoise({ holes: [hole] })).rejects.toThrow(/1 holes need 2 texts/)
  await expect(denoise({ texts: [bytes('a'), [], bytes('c')] })).rejects.toThrow(/before it/)
})

describe('what a person waits for', () => {
  test('goes first: other work rests until it is done', async () => {
    const engine = new ScriptedEngine(() => [{ id: 97, probability: 0.5 }])
    const denoiser = new Denoiser(engine)
    const holes = (maxTokens: number) => [{ ...hole, maxTokens }]
    const slow = await requestFor(engine, 'causal', ['block', ''], { urgent: false, holes: holes(12) })
    const quick = await requestFor(engine, 'causal', ['key', ''], { holes: holes(3) })
    const order: string[] = []
    let typed: Promise<unknown> | undefined
    await denoiser.denoise(slow, never, ([progress]) => {
      order.push('slow')
      if (progress!.ids.length === 2) typed = denoiser.denoise(quick, never, () => order.push('quick'))
    })
    await typed
    expect(order.slice(0, 6)).toEqual(['slow', 'slow', 'quick', 'quick', 'quick', 'slow'])
    expect(order).toHaveLength(15)
    expect(engine.steps.every((jobs) => jobs.length === 1)).toBe(true)
  })

  test('leaves at once when it is aborted, and the rest goes on', async () => {
    const engine = new ScriptedEngine(() => [{ id: 97, probability: 0.5 }])
    const denoiser = new Denoiser(engine)
    const slow = await requestFor(engine, 'causal', ['block', ''], {
      urgent: false,
      holes: [{ ...hole, maxTokens: 6 }],
    })
    const quick = await requestFor(engine, 'causal', ['key', ''])
    const abort = new AbortController()
    const leaves = denoiser.denoise(quick, abort.signal, ([progress]) => {
      if (progress!.ids.length === 2) abort.abort(new Aborted('superseded'))
    })
    const stays = denoiser.denoise(slow, never)
    await expect(leaves).rejects.toThrow(Aborted)
    expect((await stays).middles[0]!.ids).toHaveLength(6)
  })
})

test('a request for what the model does not have fails alone', async () => {
  const engine = new ScriptedEngine(() => [{ id: 97, probability: 0.5 }])
  const denoiser = new Denoiser(engine)
  const good = await requestFor(engine, 'causal', ['good', ''], { holes: [{ ...hole, maxTokens: 3 }] })
  const bad = { ...good, texts: [[...good.texts[0]!.slice(0, -1), 9999], []] }
  const outcomes = await Promise.allSettled([
    denoiser.denoise(good, never),
    denoiser.denoise(bad, never),
    denoiser.denoise(good, never),
  ])
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
  expect(outcomes[1]).toMatchObject({ reason: { message: expect.stringContaining('9999') } })
})
