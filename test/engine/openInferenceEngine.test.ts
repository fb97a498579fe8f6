/** The engine elsewhere, against a real server of the protocol over the scripted engine: all promises, and all faults. */
import { afterEach, describe, expect, test } from 'vitest'
import { Aborted, EngineError, UserError } from '../../server/base/errors.ts'
import type { StepJob } from '../../server/engine/engine.ts'
import {
  type OipServerOptions as RemoteOptions,
  ServerBusyError,
  ServerGoneError,
} from '../../server/engine/openInference/oipServer.ts'
import { OpenInferenceEngine } from '../../server/engine/openInference/openInferenceEngine.ts'
import type { PassFacts, PassJob } from '../../server/engine/openInference/passes.ts'
import { PassesOverEngine } from '../../server/engine/openInference/passesOverEngine.ts'
import { openRemotePasses } from '../../server/engine/openInference/remotePasses.ts'
import { PassesWithStandIn } from '../../server/engine/openInference/standIn.ts'
import { answerTensors } from '../../server/engine/openInference/stepTensors.ts'
import { type Tensor, type Tensors, writeBody } from '../../server/engine/openInference/tensors.ts'
import { ManualClock } from '../base/manualClock.ts'
import { differenceOf, range, runEngineSuite, someIds } from './engine.case.ts'
import { LocalOipServer, type OipServerOptions } from './oipServer.ts'
import { byteEngine, byteIds, mixed, ScriptedEngine } from './scriptedEngine.ts'

const never = new AbortController().signal
const factsOf = (logitsShift: 0 | 1): PassFacts => ({
  ...{ ...byteEngine, logitsShift, name: 'bytes', maskId: byteIds.mask, rowBytes: 8, passRows: 64 },
  ...{ tokenizer: 'a', weights: 'b' },
})
const scripted = (logitsShift: 0 | 1 = 1) => new ScriptedEngine(mixed(257), { ...byteEngine, logitsShift })

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close()
})

async function serve(options: Partial<OipServerOptions> = {}) {
  const server = await new LocalOipServer({ engine: scripted(), facts: factsOf(1), ...options }).start()
  open.push(server)
  return server
}

async function connect(server: LocalOipServer, options: Partial<RemoteOptions> = {}) {
  const passes = await openRemotePasses({ url: server.url, model: server.model, deadlineMs: 5_000, ...options }, never)
  const engine = new OpenInferenceEngine(passes, passes.facts)
  open.push(engine)
  return engine
}

for (const logitsShift of [0, 1] as const) {
  for (const [title, mostRows] of [
    ['', undefined],
    [', where little is kept', 700],
  ] as const) {
    let server: LocalOipServer
    runEngineSuite({
      name: `open-inference engine over HTTP, shift ${logitsShift}${title}`,
      open: async () => {
        const options = { engine: scripted(logitsShift), facts: factsOf(logitsShift) }
        server = await new LocalOipServer({ ...options, ...(mostRows ? { mostRows } : {}) }).start()
        const passes = await openRemotePasses({ url: server.url, model: 'bytes', deadlineMs: 20_000 }, never)
        const engine = new OpenInferenceEngine(passes, passes.facts)
        return { engine, ...byteEngine, maskId: byteIds.mask, logitsShift }
      },
      skip: mostRows ? { 'refuses positions beyond those of the model': 'a full context alone is more rows' } : {},
    })
    test(`the suite${title} left nothing running (shift ${logitsShift})`, () => server.close())
  }
}

/** A canvas of five behind 100 rows of text and a kept row: what was encoded, and what a pass kept. */
async function work(engine: OpenInferenceEngine) {
  const [prefix] = await engine.encode([{ ids: someIds(1, 70, 250) }], never)
  const [longer] = await engine.encode([{ ids: someIds(2, 30, 250), after: prefix!.id }], never)
  engine.release([prefix!.id])
  const context = [{ id: longer!.id, rows: 100, firstPosition: 0 }]
  const first = { ids: someIds(3, 2, 250), positions: [100, 101], context, asked: [102], setIds: [5] }
  const [kept] = await engine.step([{ ...first, kind: 'text', keep: [{ first: 0, count: 2 }] }], never)
  const job: StepJob = {
    ids: [7, ...Array<number>(4).fill(byteIds.mask)],
    positions: range(102, 5),
    context: [...context, { id: kept!.kept[0]!.id, rows: 2, firstPosition: 100 }],
    asked: range(103, 5),
    setIds: [5, 7],
  }
  return { job, longer: longer!, kept: kept!.kept[0]! }
}

describe('a server that keeps handles', () => {
  test('computes again what it dropped, and the answer is the same', async () => {
    const server = await serve()
    const engine = await connect(server)
    const { job } = await work(engine)
    const [wanted] = await engine.step([job], never)
    server.passes.clear()
    const [found] = await engine.step([job], never)
    expect(differenceOf(found!, wanted!)).toBeLessThan(1e-6)
    expect(server.passes.heldCount).toBe(4) // three of text, one of the pass; nothing else
  })

  test('is told of what nobody needs any more', async () => {
    const server = await serve()
    const engine = await connect(server)
    const { job, longer, kept } = await work(engine)
    expect(server.passes.heldCount).toBe(4)
    engine.release([longer.id, kept.id])
    await engine.step([{ ...job, context: [] }], never)
    expect(server.passes.heldCount).toBe(0)
  })

  test('is told of what it kept for work that failed later', async () => {
    const server = await serve({ facts: { ...factsOf(1), passRows: 8 } })
    const engine = await connect(server)
    const fails = async (work: () => Promise<unknown>) => {
      server.faults.push({ kind: 'slow', ms: 0 }, { kind: 'status', status: 500, body: '' })
      await expect(work()).rejects.toThrow(/500/)
      await engine.step([{ ids: [7], positions: [0], context: [], asked: [1], setIds: [] }], never)
      expect(server.passes.heldCount).toBe(0)
    }
    const job: StepJob = { ids: someIds(1, 6, 250), positions: range(0, 6), context: [], asked: [], setIds: [] }
    await fails(() =>
      engine.step(
        [1, 2].map(() => ({ ...job, keep: [{ first: 0, count: 6 }] })),
        never,
      ),
    )
    await fails(() => engine.encode([{ ids: someIds(2, 20, 250) }], never))
  })

  test('reads a chain of single rows again in few requests', async () => {
    const server = await serve()
    const engine = await connect(server)
    let [encoding] = await engine.encode([{ ids: someIds(1, 60, 250) }], never)
    for (const id of someIds(2, 60, 250)) {
      ;[encoding] = await engine.encode([{ ids: [id], after: encoding!.id }], never)
    }
    const job = { ids: [7], positions: [120], context: [{ id: encoding!.id, rows: 120, firstPosition: 0 }] }
    const before = await engine.step([{ ...job, asked: [121], setIds: [] }], never)
    server.passes.clear()
    const count = server.inferences.length
    const after = await engine.step([{ ...job, asked: [121], setIds: [] }], never)
    expect(differenceOf(after[0]!, before[0]!)).toBeLessThan(1e-6)
    expect(server.inferences.length - count).toBeLessThanOrEqual(5)
  })

  test('says so when a request needs more than it keeps', async () => {
    const engine = await connect(await serve({ mostRows: 20 }))
    await expect(work(engine).then(({ job }) => engine.step([job], never))).rejects.toThrow(/keeps too few rows/)
  })

  test('takes and gives a few kilobytes a step, over one connection', async () => {
    const server = await serve()
    const engine = await connect(server)
    const { job } = await work(engine)
    for (let i = 0; i < 20; i++) await engine.step([{ ...job, setIds: range(0, 130) }], never)
    const { request, answer } = server.inferences.at(-1)!
    process.stderr.write(`a step: ${request} bytes there, ${answer} back\n`)
    expect(request + answer).toBeLessThan(6_000)
    expect(server.connections).toBe(1)
    expect(server.sessions.size).toBe(1)
  })
})

describe('a server that is not what was wanted', () => {
  test('is not there', async () => {
    const server = await serve()
    await server.die()
    await expect(connect(server)).rejects.toThrow(ServerGoneError)
    await expect(connect(server)).rejects.toThrow(/127\.0\.0\.1:\d+, model bytes: connect ECONNREFUSED/)
  })

  test('is not ready', async () => {
    const server = await serve()
    server.ready = false
    await expect(connect(server)).rejects.toThrow(/model bytes: 503: not ready/)
  })

  test('has no such model', async () => {
    await expect(connect(await serve(), { model: 'other' })).rejects.toThrow(
      /model other: 404.*is the model's name right/,
    )
  })

  test('serves another contract', async () => {
    const server = await serve()
    server.metadata = { inputs: [{ name: 'input_ids', datatype: 'INT64', shape: [-1, -1] }], outputs: [] }
    await expect(connect(server)).rejects.toThrow(/no input "kind"; does it serve the step contract/)
  })

  test('is asked itself, and nobody else, when its address ends in slashes or its path begins with two', async () => {
    const server = await serve()
    const passesAt = (path: string) =>
      openRemotePasses({ url: new URL(path, server.url), model: 'bytes', deadlineMs: 5_000 }, never)
    const passes = await passesAt(`${server.url.origin}//`)
    await passes.close()
    await expect(passesAt(`${server.url.origin}//elsewhere.invalid`)).rejects.toThrow(
      /127\.0\.0\.1:\d+\/\/elsewhere.*404/,
    )
  })

  test('wants a token', async () => {
    const server = await serve({ token: 's3cret' })
    await expect(connect(server)).rejects.toThrow(UserError)
    await expect(connect(server, { token: 'wrong' })).rejects.toThrow(/401: no valid token; set LACUNA_ENGINE_TOKEN/)
    await expect(connect(server, { token: 'wrong' })).rejects.not.toThrow(/wrong/)
    const engine = await connect(server, { token: 's3cret' })
    expect(await engine.step([], never)).toEqual([])
  })
})

const wordsForNumbers = Buffer.from(
  JSON.stringify({ outputs: [{ name: 'missing', datatype: 'INT64', shape: [1], data: ['one'] }] }),
)

const shaped = (...shape: [number, number]): Tensor => ({
  ...{ datatype: 'FP32', shape, data: Array<number>(shape[0] * shape[1]).fill(0) },
})
const withId = ({ top_ids: right }: Tensors, id: number): Tensor => ({
  ...right!,
  data: [...(right!.data as number[]).slice(0, -1), id],
})

describe('a server that fails', () => {
  const job: StepJob = { ids: [7, byteIds.mask], positions: [0, 1], context: [], asked: [1, 2], setIds: [] }

  test.for([
    ['dies while it computes', { kind: 'dies' }, ServerGoneError, /socket hang up/],
    ['breaks off its answer', { kind: 'cut' }, ServerGoneError, /the answer was cut off/],
    ['answers 500', { kind: 'status', status: 500, body: '{"error":"no memory"}' }, EngineError, /500: no memory/],
    ['is overloaded', { kind: 'status', status: 429, body: '' }, ServerGoneError, /429/],
    ['redirects', { kind: 'status', status: 302, location: 'http://example.org/' }, UserError, /not followed/],
    ['answers no JSON', { kind: 'garbled', bytes: Buffer.from('<html>') }, EngineError, /the head is no JSON/],
    ['announces too much', { kind: 'garbled', bytes: Buffer.from('{}'), headBytes: 9e9 }, EngineError, /wanted a head/],
    ['answers words for numbers', { kind: 'garbled', bytes: wordsForNumbers }, EngineError, /missing: wanted 1 values/],
    ['answers nothing', { kind: 'garbled', bytes: Buffer.from('{"outputs":[]}') }, EngineError, /missing: missing/],
  ] as const)('%s', async ([, fault, kind, message]) => {
    const server = await serve()
    const engine = await connect(server)
    const [wanted] = await engine.step([job], never)
    const count = server.inferences.length
    server.faults.push(fault)
    const failure = await engine.step([job], never).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(kind)
    expect((failure as Error).message).toMatch(message)
    expect((failure as Error).message).toMatch(/127\.0\.0\.1:\d+, model bytes: /)
    expect(server.inferences.length - count).toBe(1) // it may have computed, so nobody asks again
    expect(differenceOf((await engine.step([job], never))[0]!, wanted!)).toBeLessThan(1e-6)
  })

  test('is asked again when it says that it computed nothing', async () => {
    const server = await serve()
    const engine = await connect(server)
    server.faults.push({ kind: 'status', status: 503 })
    const [prediction] = await engine.step([job], never)
    expect(prediction!.topIds).toHaveLength(2)
    expect(server.inferences.map(({ outcome }) => outcome)).toEqual(['answered', 'failed', 'answered'])
  })

  test.for([
    ['no distribution where one was asked for', ({ logits: _, ...rest }) => rest, /logits: missing/],
    [
      'distributions of another vocabulary',
      (all) => ({ ...all, logits: shaped(2, 5) }),
      /logits: wanted rows of 257, found 5/,
    ],
    [
      'an id behind the last of the vocabulary',
      (all) => ({ ...all, top_ids: withId(all, 257) }),
      /top_ids: 257 is no id/,
    ],
    [
      'a negative id',
      (all) => ({ ...all, top_ids: withId(all, -1) }),
      /top_ids: -1 is no id of the vocabulary, 0 … 256/,
    ],
  ] as [string, (right: Tensors) => Tensors, RegExp][])('answers %s', async ([, spoil, message]) => {
    const server = await serve()
    const engine = await connect(server)
    const asked: PassJob = {
      ...{ kind: 'canvas', ids: job.ids, positions: job.positions, context: [], sees: undefined, askedRows: [0, 1] },
      ...{ scoreIds: undefined, setIds: [], logits: false, keep: [] },
    }
    const answer = await server.passes.run({ jobs: [asked], release: [] }, never)
    const tensors = spoil(answerTensors(answer, byteEngine.vocab))
    const { headBytes, bytes } = writeBody('outputs', { head: {}, tensors })
    server.faults.push({ kind: 'garbled', bytes, headBytes })
    const failure = await engine.step([{ ...job, logits: true }], never).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(EngineError)
    expect((failure as Error).message).toMatch(/127\.0\.0\.1:\d+, model bytes: its answer cannot be understood: /)
    expect((failure as Error).message).toMatch(message)
  })

  test('is given up at the deadline', async () => {
    const server = await serve()
    const engine = await connect(server, { deadlineMs: 80 })
    server.faults.push({ kind: 'slow', ms: 1000 })
    await expect(engine.step([job], never)).rejects.toThrow(/no answer within 0\.08 s/)
  })

  test('is waited for where it has much to do, as long as it is ready', async () => {
    const server = await serve()
    const engine = await connect(server, { deadlineMs: 80, mostDeadlines: 5 })
    server.faults.push({ kind: 'slow', ms: 250 })
    expect(await engine.step([job], never)).toHaveLength(1)
    server.faults.push({ kind: 'slow', ms: 1000 })
    const failure = await engine.step([job], never).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(ServerBusyError)
    expect((failure as Error).message).toMatch(/model bytes: no answer within 0\.4 s/)
    server.faults.push({ kind: 'slow', ms: 1000 })
    server.ready = false
    await expect(engine.step([job], never)).rejects.toThrow(ServerGoneError)
  })

  test('stops computing when the connection is closed', async () => {
    const backend = scripted()
    const server = await serve({ engine: backend })
    const engine = await connect(server)
    backend.hold()
    const aborting = new AbortController()
    const step = engine.step([job], aborting.signal)
    while (server.inferences.length < 2) await new Promise((resolve) => setTimeout(resolve, 5))
    aborting.abort(new Aborted('superseded'))
    await expect(step).rejects.toThrow(Aborted)
    while (server.inferences[1]!.outcome !== 'aborted') await new Promise((resolve) => setTimeout(resolve, 5))
    backend.resume()
    expect(backend.steps).toHaveLength(0)
    expect(await engine.step([job], never)).toHaveLength(1)
  })
})

describe('when the server dies', () => {
  async function withStandIn() {
    const server = await serve()
    const clock = new ManualClock()
    const said: string[] = []
    const remote = await openRemotePasses({ url: server.url, model: 'bytes', deadlineMs: 5_000 }, never)
    const local = new PassesOverEngine(scripted(), factsOf(1))
    const openLocal = async () => local
    const onChange = (sentence: string) => void said.push(sentence)
    const passes = new PassesWithStandIn(remote, { openLocal, clock, random: () => 0, onChange })
    const engine = new OpenInferenceEngine(passes, remote.facts)
    open.push(engine)
    return { server, engine, local, clock, said }
  }
  /** Until the server was looked for again, and found or not. */
  async function lookedAgain(clock: ManualClock, said: readonly string[], sentences: number) {
    await clock.pass(5_000)
    for (let i = 0; i < 100 && said.length < sentences; i++) await new Promise((resolve) => setTimeout(resolve, 5))
  }

  test('this machine goes on with the same request, and the server when it is back', async () => {
    const { server, engine, clock, said } = await withStandIn()
    const { job } = await work(engine)
    const [wanted] = await engine.step([job], never)
    await server.die()
    const [alone] = await engine.step([job], never)
    expect(differenceOf(alone!, wanted!)).toBeLessThan(1e-6)
    expect(said).toEqual([expect.stringMatching(/model bytes: .*; this machine goes on$/)])
    await server.start()
    await lookedAgain(clock, said, 2)
    const count = server.inferences.length
    const [again] = await engine.step([job], never)
    expect(differenceOf(again!, wanted!)).toBeLessThan(1e-6)
    expect(server.inferences.length).toBeGreaterThan(count)
    expect(said).toHaveLength(2)
    expect(said[1]).toMatch(/it is back$/)
  })

  test('what was computed here meanwhile is forgotten here too when nobody needs it any more', async () => {
    const { server, engine, local, clock, said } = await withStandIn()
    const { job, longer, kept } = await work(engine)
    await server.die()
    await engine.step([job], never)
    expect(local.heldCount).toBeGreaterThan(0)
    await server.start()
    await lookedAgain(clock, said, 2)
    engine.release([longer.id, kept.id])
    await engine.step([{ ...job, context: [] }], never)
    expect(local.heldCount).toBe(0)
  })
})
