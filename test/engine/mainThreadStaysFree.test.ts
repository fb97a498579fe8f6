/** Steps run in a worker: while they do, timers of the main thread are late by at most 25 ms at the 99th percentile. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { openRooms } from '../../server/cli/openRooms.ts'
import { resolveModel } from '../../server/model/store.ts'
import { range, someIds } from './engine.case.ts'

const intervalMs = 5

test('the main thread stays free while steps of the embedded model run', async () => {
  const { engine, model, close } = await openRooms(await resolveModel())
  const signal = new AbortController().signal
  const [prefix] = await engine.encode([{ ids: someIds(1, 300, 40_000) }], signal)
  const slots = 8
  const job = {
    ids: [500, ...Array<number>(slots).fill(model.maskId)],
    positions: range(300, slots + 1),
    context: [{ id: prefix!.id, rows: 300, firstPosition: 0 }],
    asked: range(301, slots),
    setIds: [],
  }
  await engine.step([job], signal)

  const began = performance.now()
  const busy = await lateness(async () => {
    for (let i = 0; i < 30; i++) await engine.step([job], signal)
  })
  const tookMs = performance.now() - began
  // The same timer with nothing running, so that a machine that is late by itself is not held against us.
  const idle = await lateness(() => sleep(Math.min(tookMs, 2000)))
  await close()
  const [busy99, idle99] = [percentile(busy, 0.99), percentile(idle, 0.99)]
  process.stderr.write(
    `timers late at the 99th percentile: ${busy99.toFixed(1)} ms over 30 steps (${(tookMs / 30).toFixed(0)} ms each, ` +
      `${busy.length} ticks), ${idle99.toFixed(1)} ms idle\n`,
  )
  expect(busy.length).toBeGreaterThan(50)
  expect(busy99).toBeLessThanOrEqual(25 + idle99)
})

/** By how much each tick of an interval came too late, in milliseconds. */
async function lateness(work: () => Promise<unknown>): Promise<number[]> {
  const late: number[] = []
  let last = performance.now()
  const timer = setInterval(() => {
    const now = performance.now()
    late.push(Math.max(0, now - last - intervalMs))
    last = now
  }, intervalMs)
  await work()
  clearInterval(timer)
  return late
}

function percentile(values: readonly number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(share * values.length))]!
}
