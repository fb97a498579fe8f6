/** A server that goes and comes back where nobody stands in: who asks waits for it. Real server, real client, time by hand. */
import { afterEach, expect, test } from 'vitest'
import { Aborted, EngineGoneError } from '../../server/base/errors.ts'
import type { StepJob } from '../../server/engine/engine.ts'
import type { GapJob } from '../../server/engine/gapLoop.ts'
import { ServerBusyError, ServerGoneError } from '../../server/engine/openInference/oipServer.ts'
import { OpenInferenceEngine } from '../../server/engine/openInference/openInferenceEngine.ts'
import { restartMs } from '../../server/engine/openInference/outage.ts'
import type { PassFacts } from '../../server/engine/openInference/passes.ts'
import { openRemotePasses } from '../../server/engine/openInference/remotePasses.ts'
import { PassesWithStandIn } from '../../server/engine/openInference/standIn.ts'
import { ManualClock } from '../base/manualClock.ts'
import { differenceOf, range, someIds } from './engine.case.ts'
import { type Fault, LocalOipServer } from './oipServer.ts'
import { PlainGapLoop } from './plainGapLoop.ts'
import { byteEngine, byteIds, mixed, ScriptedEngine } from './scriptedEngine.ts'

const never = new AbortController().signal
const facts: PassFacts = {
  ...{ ...byteEngine, name: 'bytes', maskId: byteIds.mask, rowBytes: 8, passRows: 64, tokenizer: 'a', weights: 'b' },
}
const gap: GapJob = {
  ...{ prefixIds: someIds(1, 90, 250), suffixIds: someIds(2, 12, 250), known: 3, most: 20 },
  ...{ slots: { now: 9, later: 7 }, endIds: [byteIds.end, 7], threshold: 0.4, floor: 0, hints: [] },
}

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close()
})

async function serve({ deadlineMs = 5_000, mostDeadlines = 1 } = {}) {
  const backend = new ScriptedEngine(mixed(16), byteEngine)
  const loop = new PlainGapLoop(backend, { distance: 40, neverIds: [byteIds.mask] })
  const server = await new LocalOipServer({ engine: backend, facts, loop }).start()
  open.push(server)
  const clock = new ManualClock()
  const said: string[] = []
  const remote = await openRemotePasses({ url: server.url, model: 'bytes', deadlineMs, mostDeadlines }, never)
  const onChange = (sentence: string) => void said.push(sentence)
  const passes = new PassesWithStandIn(remote, { openLocal: undefined, clock, random: () => 0, onChange })
  const engine = new OpenInferenceEngine(passes, remote.facts)
  open.push(engine)
  /** Looks for the server, as often as it takes. */
  async function until(isSo: () => boolean): Promise<void> {
    for (let i = 0; i < 400 && !isSo(); i++) {
      if (clock.sleeping > 1) await clock.pass(250) // the look, and the end of all waiting
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    expect(isSo()).toBe(true)
  }
  const looks = (count: number) => until(() => count-- <= 0)
  const [encoding] = await engine.encode([{ ids: someIds(1, 70, 250) }], never)
  const job: StepJob = {
    ids: [7, ...Array<number>(4).fill(byteIds.mask)],
    positions: range(70, 5),
    context: [{ id: encoding!.id, rows: 70, firstPosition: 0 }],
    asked: range(71, 5),
    setIds: [5, 7],
  }
  return { server, backend, engine, passes, clock, said, until, looks, job }
}

const wentAndCame = [
  expect.stringMatching(/^http:.*, model bytes: .*; completions wait for it, 10 minutes at the most$/),
  expect.stringMatching(/^http:.*, model bytes: it is back$/),
]

test('what was asked while it was gone is answered when it is back, and told once', async () => {
  const { server, engine, passes, said, until, job } = await serve()
  const [wanted] = await engine.step([job], never)
  const written = await passes.infill(gap, never)
  await server.die()
  const steps = [engine.step([job], never), engine.step([job], never)]
  const whole = [passes.infill(gap, never), passes.infill(gap, never)]
  await until(() => said.length === 1)
  expect(passes.available).toBe(true) // whole gaps are waited for, not made of steps
  const later = engine.step([job], never)
  await server.start()
  await until(() => said.length === 2)
  const [found, filled] = await Promise.all([Promise.all([...steps, later]), Promise.all(whole)])
  for (const [one] of found) expect(differenceOf(one!, wanted!)).toBeLessThan(1e-6)
  expect(filled).toEqual([written, written])
  expect(said).toEqual(wentAndCame)
})

test.for([
  ['dies while it computes', { kind: 'dies' }, 1],
  ['breaks off its answer', { kind: 'cut' }, 1],
  ['is behind a gateway that has nobody', { kind: 'status', status: 502 }, 1],
  ['says that it is not ready, for longer than a moment', { kind: 'status', status: 503 }, 3],
] as [string, Fault, number][])('a request is repeated when the server %s', async ([, fault, count]) => {
  const { server, engine, passes, said, until, looks, job } = await serve()
  const [wanted] = await engine.step([job], never)
  const written = await passes.infill(gap, never)
  for (const ask of [() => engine.step([job], never), () => passes.infill(gap, never)]) {
    said.length = 0
    server.ready = false
    server.faults.push(...Array<Fault>(count).fill(fault))
    const asked = ask()
    await until(() => said.length === 1)
    const inferences = server.inferences.length
    await looks(3)
    expect(server.inferences).toHaveLength(inferences) // nothing is asked of who is not ready
    server.ready = true
    await until(() => said.length === 2)
    const found = await asked
    if (Array.isArray(found)) expect(differenceOf(found[0]!, wanted!)).toBeLessThan(1e-6)
    else expect(found).toEqual(written)
    expect(said).toEqual(wentAndCame)
  }
  expect(server.passes.heldCount).toBe(2) // the rows of the text, kept once
})

test('who is superseded while he waits is told at once, and the server never hears of it', async () => {
  const { server, engine, passes, said, until, job } = await serve()
  await server.die()
  const aborting = new AbortController()
  const asked = [engine.step([job], aborting.signal), passes.infill(gap, aborting.signal)]
  await until(() => said.length === 1)
  aborting.abort(new Aborted('superseded'))
  for (const one of asked) await expect(one).rejects.toThrow(new Aborted('superseded'))
  const count = server.inferences.length
  await server.start()
  await until(() => said.length === 2)
  expect(server.inferences).toHaveLength(count + 1) // whether it is ours
})

test('one that stays away is waited for as long as a restart takes, then requests fail at once until it is back', async () => {
  const { server, engine, passes, clock, said, until, job } = await serve()
  await server.die()
  const asked = engine.step([job], never).catch((error: unknown) => error)
  await until(() => said.length === 1)
  await clock.pass(restartMs)
  expect(await asked).toBeInstanceOf(ServerGoneError)
  expect(((await asked) as Error).message).toMatch(/model bytes: (socket hang up|connect ECONNREFUSED)/)
  await expect(passes.infill(gap, never)).rejects.toThrow(ServerGoneError)
  expect(said).toHaveLength(1)
  await server.start()
  await clock.pass(5_000)
  while (said.length < 2) await new Promise((resolve) => setTimeout(resolve, 5))
  expect(await engine.step([job], never)).toHaveLength(1)
  expect(said).toEqual(wentAndCame)
})

test('a request that kills it each time is not repeated for ever', async () => {
  const { server, engine, said, until, job } = await serve()
  server.faults.push(
    { kind: 'dies' },
    { kind: 'slow', ms: 0 },
    { kind: 'dies' },
    { kind: 'slow', ms: 0 },
    { kind: 'dies' },
  )
  const failure = engine.step([job], never).catch((error: unknown) => error)
  await until(() => said.length === 5)
  expect(await failure).toBeInstanceOf(ServerGoneError)
  await until(() => said.length === 6)
  expect(await engine.step([job], never)).toHaveLength(1)
  expect(said).toEqual([...wentAndCame, ...wentAndCame, ...wentAndCame])
})

test('one that comes back with another model is not asked', async () => {
  const { server, engine, said, until, looks, job } = await serve()
  await server.die()
  server.facts = { ...facts, tokenizer: 'c' }
  const asked = engine.step([job], never)
  await until(() => said.length === 1)
  await server.start()
  await until(() => said.length === 2)
  expect(said[1]).toMatch(/model bytes: it is back with another model: tokenizer is c, it was a;/)
  await looks(3)
  server.facts = { ...facts, weights: 'newer' }
  await until(() => said.length === 3)
  expect(await asked).toHaveLength(1)
})

test('one that fills no gaps whole any more is asked for steps', async () => {
  const { server, passes, said, until } = await serve()
  await server.die()
  const asked = passes.infill(gap, never)
  await until(() => said.length === 1)
  const list = async (part: string) => {
    const answer = await fetch(new URL('/v2/models/bytes', server.url))
    const all = ((await answer.json()) as Record<string, { name: string }[]>)[part]!
    return all.filter(({ name }) => !name.startsWith('infill_'))
  }
  await server.start()
  server.metadata = { inputs: await list('inputs'), outputs: await list('outputs') }
  await until(() => said.length === 2)
  expect(await asked).toBeUndefined()
  expect(passes.available).toBe(false)
})

test('one that has much to do is not taken for gone', async () => {
  const { server, engine, said, job } = await serve({ deadlineMs: 80, mostDeadlines: 2 })
  server.faults.push({ kind: 'slow', ms: 1000 })
  await expect(engine.step([job], never)).rejects.toThrow(ServerBusyError)
  expect(said).toEqual([])
  expect(await engine.step([job], never)).toHaveLength(1)
})

test('closing ends all waiting', async () => {
  const { server, engine, said, until, job } = await serve()
  await server.die()
  const asked = engine.step([job], never).catch((error: unknown) => error)
  await until(() => said.length === 1)
  await engine.close()
  expect(await asked).toBeInstanceOf(EngineGoneError)
})
