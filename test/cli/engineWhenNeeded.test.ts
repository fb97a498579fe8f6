/** What only stands in is opened when it is needed, and not before. */
import { expect, test } from 'vitest'
import { EngineGoneError } from '../../server/base/errors.ts'
import { EngineWhenNeeded } from '../../server/cli/engineWhenNeeded.ts'
import { byteIds, knows, ScriptedEngine } from '../engine/scriptedEngine.ts'

const never = new AbortController().signal

function when(failures: Error[] = []) {
  const inner = new ScriptedEngine(knows([byteIds.documentStart, 65, 66]))
  const counted = { opened: 0 }
  const engine = new EngineWhenNeeded(async () => {
    counted.opened++
    const failure = failures.shift()
    if (failure) throw failure
    return inner
  })
  return { engine, inner, counted }
}

test('opens once, for whoever comes first, and passes on what is asked', async () => {
  const { engine, inner, counted } = when()
  engine.release([1])
  expect(counted.opened).toBe(0)
  const [one, other] = await Promise.all([engine.encode([{ ids: [1] }], never), engine.encode([{ ids: [2] }], never)])
  expect([counted.opened, inner.liveCount]).toEqual([1, 2])
  engine.release([one[0]!.id, other[0]!.id])
  expect(inner.liveCount).toBe(0)
  await engine.close()
  await expect(inner.encode([{ ids: [1] }], never)).rejects.toThrow()
})

test('tells why it cannot be opened, and tries again', async () => {
  const { engine, counted } = when([new Error('no model')])
  await expect(engine.step([], never)).rejects.toThrow('no model')
  expect(await engine.step([], never)).toEqual([])
  expect(counted.opened).toBe(2)
  await engine.close()
})

test('opens nothing to be closed, and nothing after', async () => {
  const { engine, counted } = when()
  await engine.close()
  await expect(engine.encode([{ ids: [1] }], never)).rejects.toThrow(EngineGoneError)
  expect(counted.opened).toBe(0)
})
