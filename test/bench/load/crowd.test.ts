/** A crowd before a server that dies in the middle: the real server and session of each editor, and the real client of the engine. */
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { type Clock, systemClock } from '../../../server/base/clock.ts'
import { roomsOver } from '../../../server/cli/roomsOver.ts'
import { OpenInferenceEngine } from '../../../server/engine/openInference/openInferenceEngine.ts'
import type { PassFacts } from '../../../server/engine/openInference/passes.ts'
import { PassesOverEngine } from '../../../server/engine/openInference/passesOverEngine.ts'
import { openRemotePasses } from '../../../server/engine/openInference/remotePasses.ts'
import { PassesWithStandIn } from '../../../server/engine/openInference/standIn.ts'
import { LocalOipServer } from '../../engine/oipServer.ts'
import { byteEngine, byteIds, type Script, ScriptedEngine } from '../../engine/scriptedEngine.ts'
import { byteModel } from '../../session/byteModel.ts'
import { openEditor } from '../typing/editor.ts'
import { countPasses } from '../typing/passes.ts'
import { isAnswered, WatchedEditor } from './asked.ts'
import { type Outage, outageFigures } from './outage.ts'
import { replay } from './replay.ts'

const text = readFileSync(fileURLToPath(new URL('../files/graph.ts.txt', import.meta.url)), 'utf8')
const source = { name: 'graph.ts', languageId: 'typescript', text }
const facts: PassFacts = {
  ...{ ...byteEngine, name: 'bytes', maskId: byteIds.mask, rowBytes: 8, passRows: 64 },
  ...{ tokenizer: 'a', weights: 'b' },
}
/** One letter and the end, everywhere. */
const script: Script = ({ position, canvas }) => {
  const first = Math.min(...canvas.keys()) + 1
  return [{ id: position === first ? 120 : byteIds.end, probability: 0.99 }]
}
const scripted = () => new ScriptedEngine(script, byteEngine)
/** The server is looked for 50 times as often. */
const hurried: Clock = { ...systemClock, sleep: (ms, signal) => systemClock.sleep(ms / 50, signal) }
const seconds = 3

/** Dies after a third of the time and is back after two thirds. */
async function crowd(count: number, standIn: boolean) {
  const server = await new LocalOipServer({ engine: scripted(), facts }).start()
  const began = performance.now()
  const now = () => performance.now() - began
  const told: string[] = []
  const openLocal = standIn ? async () => new PassesOverEngine(scripted(), facts) : undefined
  const editors = await Promise.all(
    Array.from({ length: count }, async (_, i) => {
      const options = { url: server.url, model: 'bytes', deadlineMs: 20_000 }
      const remote = await openRemotePasses(options, new AbortController().signal)
      const parts = {
        openLocal,
        clock: hurried,
        random: Math.random,
        onChange: (sentence: string) => void told.push(sentence),
      }
      const engine = new OpenInferenceEngine(new PassesWithStandIn(remote, parts), facts)
      const session = await openEditor(roomsOver(engine, byteModel, true), { inlineBudgetMs: 60_000 })
      return { engine, session, passes: countPasses(engine), watched: new WatchedEditor(session, i, now) }
    }),
  )
  const playing = replay(editors, [source], { seconds, slow: 0.5, ramp: 0.5, seed: 7, patience: 5 })
  await sleep((1000 * seconds) / 3)
  await server.die()
  const beganMs = now()
  await sleep((1000 * seconds) / 3)
  await server.start()
  const outage: Outage = { beganMs, backMs: now() }
  const { keys, waitingForGood } = await playing
  for (const { session, engine } of editors) {
    await session.close()
    await engine.close()
  }
  await server.close()
  const asked = editors.flatMap(({ watched }) => watched.asked)
  return { asked, keys, waitingForGood, told, figures: outageFigures(asked, outage) }
}

test('nobody loses an answer when the server starts anew, and no request fails', async () => {
  const { asked, keys, waitingForGood, told, figures } = await crowd(8, false)
  // How many there are is a matter of how busy this machine is.
  expect(keys).toBeGreaterThan(8)
  expect(asked.filter(isAnswered).length).toBeGreaterThan(8)
  expect(figures.asked_while_down.requests).toBeGreaterThan(0)
  expect(asked.filter(({ outcome }) => outcome === 'failed')).toEqual([])
  expect(figures).toMatchObject({ hit: 0, lost_for_good: 0 })
  expect(waitingForGood).toBe(0)
  // Whoever noticed is told twice, however many of its requests waited.
  const noticed = told.filter((sentence) => sentence.endsWith(': it is back')).length
  expect(noticed).toBeGreaterThan(0)
  expect(noticed).toBeLessThanOrEqual(8)
  expect(told).toHaveLength(2 * noticed)
}, 30_000)

test('nobody notices when this machine stands in', async () => {
  const { asked, waitingForGood, told, figures } = await crowd(8, true)
  expect(asked.filter(({ outcome }) => outcome === 'failed')).toEqual([])
  expect(figures.asked_while_down.answered).toBeGreaterThan(0)
  expect(figures.hit).toBe(0)
  expect(waitingForGood).toBe(0)
  expect(told.filter((sentence) => sentence.endsWith('this machine goes on')).length).toBeGreaterThan(0)
}, 30_000)
