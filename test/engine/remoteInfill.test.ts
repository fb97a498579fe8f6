/** Gaps filled whole on a server: against a real server of the protocol, its answers, its faults, and what happens meanwhile. */
import { afterEach, describe, expect, test } from 'vitest'
import { Aborted, EngineError, UserError } from '../../server/base/errors.ts'
import type { GapJob } from '../../server/engine/gapLoop.ts'
import { infillInputs } from '../../server/engine/openInference/infillTensors.ts'
import { ServerGoneError } from '../../server/engine/openInference/oipServer.ts'
import { PassesOverEngine } from '../../server/engine/openInference/passesOverEngine.ts'
import { openRemotePasses } from '../../server/engine/openInference/remotePasses.ts'
import { PassesWithStandIn } from '../../server/engine/openInference/standIn.ts'
import { stepInputs, stepOutputs } from '../../server/engine/openInference/stepTensors.ts'
import { type Tensors, writeBody } from '../../server/engine/openInference/tensors.ts'
import { ManualClock } from '../base/manualClock.ts'
import { someIds } from './engine.case.ts'
import { writtenTensors } from './infillServer.ts'
import { LocalOipServer } from './oipServer.ts'
import { PlainGapLoop } from './plainGapLoop.ts'
import { byteEngine, byteIds, mixed, ScriptedEngine } from './scriptedEngine.ts'

const never = new AbortController().signal
const facts = {
  ...{ ...byteEngine, name: 'bytes', maskId: byteIds.mask, rowBytes: 8, passRows: 64, tokenizer: 'a', weights: 'b' },
}
const job: GapJob = {
  ...{ prefixIds: someIds(1, 90, 250), suffixIds: someIds(2, 12, 250), known: 3, most: 20 },
  ...{ slots: { now: 9, later: 7 }, endIds: [byteIds.end, 7], threshold: 0.4, floor: 0 },
  hints: [
    { id: 9, weight: 0.25 },
    { id: 'end', weight: 0.5 },
  ],
}

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close()
})

async function serve(deadlineMs = 5_000) {
  const engine = new ScriptedEngine(mixed(16), byteEngine)
  const loop = new PlainGapLoop(engine, { distance: 40, neverIds: [byteIds.mask] })
  const server = await new LocalOipServer({ engine, facts, loop }).start()
  open.push(server)
  const connect = async () => {
    const passes = await openRemotePasses({ url: server.url, model: 'bytes', deadlineMs }, never)
    open.push(passes)
    return passes
  }
  return { server, loop, engine, connect }
}

test('the same is written there as by the loop here, in one request, and all that was asked arrived', async () => {
  const { server, loop, connect } = await serve()
  const passes = await connect()
  const count = server.inferences.length
  const written = await passes.infill!(job, never)
  expect(server.inferences.length - count).toBe(1)
  expect(loop.asked).toEqual([{ ...job, threshold: Math.fround(0.4) }])
  const { rows, ...rest } = await loop.infill(job, never)
  expect(written).toMatchObject(rest)
  expect(written.rows.topIds).toEqual(rows.topIds)
  expect(written.rows.setLogProbs).toEqual(rows.setLogProbs.map(Math.fround))
  const { request, answer } = server.inferences.at(-1)!
  process.stderr.write(`a gap: ${request} bytes there, ${answer} back\n`)
  expect(request + answer).toBeLessThan(6_000)
})

test('texts are read ahead there, and nothing is written', async () => {
  const { server, loop, connect } = await serve()
  const passes = await connect()
  const { prefixIds, suffixIds } = job
  await passes.readAhead({ startIds: prefixIds, suffixIds }, never)
  await passes.readAhead({ startIds: [], suffixIds: [] }, never)
  expect(loop.read).toEqual([
    { startIds: prefixIds, suffixIds },
    { startIds: [], suffixIds: [] },
  ])
  expect(loop.asked).toEqual([])
  expect(server.inferences.at(-1)!.outcome).toBe('answered')
})

test('is not offered where one tensor of it is missing, or another one', async () => {
  const { server, connect } = await serve()
  const list = (tensors: object) => Object.entries(tensors).map(([name, slot]) => ({ name, ...slot }))
  const outputs = list(stepOutputs)
  for (const inputs of [
    list(stepInputs),
    list({ ...stepInputs, ...infillInputs }).filter(({ name }) => name !== 'infill_floor'),
    list({ ...stepInputs, ...infillInputs, infill_floor: { datatype: 'FP64', shape: [-1] } }),
  ]) {
    server.metadata = { inputs, outputs }
    expect((await connect()).infill).toBeUndefined()
  }
})

const answered = (change: Partial<Tensors>) => {
  const row = [0, 1, 2, 3, 4, 5, 6, 8]
  const rows = { topIds: [row, row], topLogProbs: [row, row], setLogProbs: [-9, -1] }
  const tensors = { ...writtenTensors({ ids: [0], rows, passes: 2 }), ...change } as Tensors
  const { headBytes, bytes } = writeBody('outputs', { head: {}, tensors })
  return { kind: 'garbled', bytes, headBytes } as const
}
const ints = (...data: number[]) => ({ datatype: 'INT32', shape: [data.length], data }) as const

describe('a server that fails', () => {
  test.for([
    ['dies while it computes', { kind: 'dies' }, ServerGoneError, /socket hang up/],
    ['breaks off its answer', { kind: 'cut' }, ServerGoneError, /the answer was cut off/],
    ['answers 500', { kind: 'status', status: 500, body: '{"error":"no memory"}' }, EngineError, /500: no memory/],
    ['is overloaded', { kind: 'status', status: 429, body: '' }, ServerGoneError, /429/],
    ['wants a token', { kind: 'status', status: 401, body: '' }, UserError, /401; set LACUNA_ENGINE_TOKEN/],
    ['redirects', { kind: 'status', status: 302, location: 'http://example.org/' }, UserError, /not followed/],
    ['answers no JSON', { kind: 'garbled', bytes: Buffer.from('<html>') }, EngineError, /the head is no JSON/],
    [
      'answers nothing',
      { kind: 'garbled', bytes: Buffer.from('{"outputs":[]}') },
      EngineError,
      /infill_tokens: missing/,
    ],
    [
      'writes nothing at all',
      answered({ infill_tokens: ints(), infill_finish: { datatype: 'UINT8', shape: [1], data: [1] } }),
      EngineError,
      /wanted 1 to 20 tokens, or the end, found 0/,
    ],
    [
      'writes too much',
      answered({ infill_tokens: ints(...Array<number>(21).fill(5)) }),
      EngineError,
      /wanted 1 to 20 tokens, or the end, found 21/,
    ],
    [
      'tells of fewer rows than tokens',
      answered({ infill_tokens: ints(1, 2, 3) }),
      EngineError,
      /wanted 4 rows of 3 tokens, found 2/,
    ],
    [
      'writes what is no token',
      answered({ infill_tokens: ints(1, 999) }),
      EngineError,
      /infill_tokens: 999 is no id of the vocabulary/,
    ],
    [
      'offers what is no token',
      answered({ infill_top_ids: { datatype: 'INT32', shape: [1, 8], data: [-1, 1, 2, 3, 4, 5, 6, 7] } }),
      EngineError,
      /infill_top_ids: -1 is no id of the vocabulary/,
    ],
    [
      'answers NaN',
      answered({ infill_end_logprobs: { datatype: 'FP32', shape: [2], data: [0, NaN] } }),
      EngineError,
      /the network answers NaN/,
    ],
  ] as const)('%s', async ([, fault, kind, message]) => {
    const { server, connect } = await serve()
    const passes = await connect()
    const wanted = await passes.infill!(job, never)
    const count = server.inferences.length
    server.faults.push(fault)
    const failure = await passes.infill!(job, never).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(kind)
    expect((failure as Error).message).toMatch(message)
    expect((failure as Error).message).toMatch(/127\.0\.0\.1:\d+, model bytes: /)
    expect(server.inferences.length - count).toBe(1) // it may have computed, so nobody asks again
    expect(await passes.infill!(job, never)).toEqual(wanted)
  })

  test('is asked again when it says that it computed nothing', async () => {
    const { server, loop, connect } = await serve()
    const passes = await connect()
    server.faults.push({ kind: 'status', status: 503 })
    expect((await passes.infill!(job, never)).ids.length).toBeGreaterThan(0)
    expect(loop.asked).toHaveLength(1)
  })

  test('says what is wrong with a request', async () => {
    const passes = await (await serve()).connect()
    const asked = passes.infill!({ ...job, suffixIds: [4, byteIds.mask] }, never)
    await expect(asked).rejects.toThrow(RangeError)
    await expect(asked).rejects.toThrow(/model bytes: 400: RangeError: infill_ids: wanted one span of the mask id 257/)
  })

  test('is given up at the deadline', async () => {
    const { server, connect } = await serve(80)
    const passes = await connect()
    server.faults.push({ kind: 'slow', ms: 1000 })
    await expect(passes.infill!(job, never)).rejects.toThrow(/no answer within 0\.08 s/)
  })

  test('stops computing when the connection is closed', async () => {
    const { server, engine, connect } = await serve()
    const passes = await connect()
    engine.hold()
    const aborting = new AbortController()
    const written = passes.infill!(job, aborting.signal)
    while (server.inferences.length < 2) await new Promise((resolve) => setTimeout(resolve, 5))
    aborting.abort(new Aborted('superseded'))
    await expect(written).rejects.toThrow(Aborted)
    while (server.inferences[1]!.outcome !== 'aborted') await new Promise((resolve) => setTimeout(resolve, 5))
    engine.resume()
    expect(engine.steps).toHaveLength(0)
  })
})

test('when the server dies, this machine writes step by step until it is back', async () => {
  const { server, engine, connect } = await serve()
  const said: string[] = []
  const clock = new ManualClock()
  const passes = new PassesWithStandIn(await connect(), {
    openLocal: async () => new PassesOverEngine(engine, facts),
    ...{ clock, random: () => 0, onChange: (one) => said.push(one) },
  })
  expect(passes.available).toBe(true)
  const wanted = await passes.infill(job, never)
  await server.die()
  expect(await passes.infill(job, never)).toBeUndefined()
  expect(passes.available).toBe(false)
  const count = server.inferences.length
  expect(await passes.infill(job, never)).toBeUndefined()
  expect(server.inferences).toHaveLength(count) // nobody asks who is known to be gone
  expect(said).toEqual([expect.stringMatching(/; this machine goes on$/)])
  await server.start()
  await clock.pass(5_000)
  while (said.length < 2) await new Promise((resolve) => setTimeout(resolve, 5))
  expect(passes.available).toBe(true)
  expect(await passes.infill(job, never)).toEqual(wanted)
})
