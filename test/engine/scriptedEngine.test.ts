/** The fake must keep the promises that the tests which use it rely on. */
import { expect, test } from 'vitest'
import { runEngineSuite } from './engine.case.ts'
import { byteEngine, byteIds, knows, mixed, ScriptedEngine } from './scriptedEngine.ts'

for (const logitsShift of [0, 1] as const) {
  runEngineSuite({
    name: `scripted engine, shift ${logitsShift}`,
    open: async () => ({
      engine: new ScriptedEngine(mixed(257), { ...byteEngine, logitsShift }),
      ...byteEngine,
      maskId: byteIds.mask,
      logitsShift,
    }),
  })
}

test('predicts the document it knows, then the end', async () => {
  const engine = new ScriptedEngine(knows([65, 66], () => 0.75))
  const [prediction] = await engine.step(
    [{ ids: [65, 257], positions: [0, 1], context: [], asked: [1, 2], setIds: [byteIds.end, 67] }],
    new AbortController().signal,
  )
  expect(prediction!.topIds.map(([best]) => best)).toEqual([66, byteIds.end])
  expect(Math.exp(prediction!.setLogProbs[0]!)).toBeCloseTo((2 * 0.25) / 256)
  expect(Math.exp(prediction!.setLogProbs[1]!)).toBeCloseTo(0.75 + 0.25 / 256)
})

test('waits while it is held, and fails when told to', async () => {
  const engine = new ScriptedEngine()
  const signal = new AbortController().signal
  engine.hold()
  let done = false
  const step = engine.step([], signal).then(() => {
    done = true
  })
  await new Promise((resolve) => setImmediate(resolve))
  expect(done).toBe(false)
  engine.resume()
  await step
  engine.failNext(new Error('no memory'))
  await expect(engine.step([], signal)).rejects.toThrow('no memory')
  await engine.step([], signal)
})
