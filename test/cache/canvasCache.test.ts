import { describe, expect, test } from 'vitest'
import { CanvasCache, type CanvasPlace } from '../../server/cache/canvasCache.ts'
import { ScriptedEngine } from '../engine/scriptedEngine.ts'

const never = new AbortController().signal
const place = (before: readonly number[], after: readonly number[] = [9], distance = 24): CanvasPlace => ({
  texts: [before, after],
  distance,
})

/** A cache that holds the rows of 3, 4 for the place behind 1, 2. */
async function filled() {
  const engine = new ScriptedEngine()
  const cache = new CanvasCache(engine)
  const rowsOf = async (...ids: number[]) => {
    const [encoding] = await engine.encode([{ ids }], never)
    return { ids, kept: [{ id: encoding!.id, rows: ids.length }] }
  }
  const rows = await rowsOf(3, 4)
  cache.put(place([1, 2]), rows)
  return { engine, cache, rows, rowsOf }
}

describe('rows of the last canvas', () => {
  test('are handed over once, to whoever has the same texts around it', async () => {
    const { engine, cache, rows } = await filled()
    expect(cache.take(place([1, 2]))).toEqual(rows)
    expect(cache.take(place([1, 2]))).toBeUndefined()
    cache.clear()
    expect(engine.liveCount, 'they are the taker’s').toBe(1)
  })

  test.each([
    ['another text before it', place([1, 3])],
    ['a longer one', place([1, 2, 3])],
    ['a shorter one', place([1])],
    ['another one after it', place([1, 2], [8])],
    ['none after it', { texts: [[1, 2]], distance: 24 }],
    ['what follows standing elsewhere', place([1, 2], [9], 25)],
  ])('are not for a place with %s, and stay', async (_, other) => {
    const { cache, rows } = await filled()
    expect(cache.take(other)).toBeUndefined()
    expect(cache.take(place([1, 2]))).toEqual(rows)
  })

  test('give way to those of the next one', async () => {
    const { engine, cache, rowsOf } = await filled()
    const next = await rowsOf(5)
    cache.put(place([1, 2]), next)
    expect(engine.liveCount).toBe(1)
    expect(cache.take(place([1, 2]))).toEqual(next)
  })
})
