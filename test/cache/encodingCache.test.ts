import { describe, expect, test } from 'vitest'
import { Aborted, EngineError } from '../../server/base/errors.ts'
import { EncodingCache } from '../../server/cache/encodingCache.ts'
import type { EncodingId, Engine } from '../../server/engine/engine.ts'
import { range, someIds } from '../engine/engine.case.ts'
import { byteIds, ScriptedEngine } from '../engine/scriptedEngine.ts'

const never = new AbortController().signal
const ids = (seed: number, count: number) => someIds(seed, count, 250)

/** One byte a row. */
function cacheOf(maxBytes = 10_000, enabled = true) {
  const engine = new ScriptedEngine()
  return { engine, cache: new EncodingCache(engine, { maxBytes, enabled }) }
}

/** Rows that `sequence` cost. The lease is given back. */
async function cost(cache: EncodingCache, sequence: readonly number[]): Promise<number> {
  const before = cache.encodedRows
  const lease = await cache.encode(sequence, never)
  lease.end()
  return cache.encodedRows - before
}

/** What the engine predicts after the first `rows` rows of an encoding. */
async function predictAfter(engine: Engine, id: EncodingId | undefined, rows: number) {
  const context = id === undefined ? [] : [{ id, rows, firstPosition: 0 }]
  const job = { ids: [65, byteIds.mask], positions: [rows, rows + 1], context, asked: [rows + 1], setIds: [] }
  return (await engine.step([job], never))[0]!
}

describe('encodes only what is new', () => {
  test('nothing when it is all known, or empty', async () => {
    const { cache } = cacheOf()
    expect(await cost(cache, ids(1, 100))).toBe(100)
    expect(await cost(cache, ids(1, 100))).toBe(0)
    expect(await cost(cache, [])).toBe(0)
  })

  test('what was appended', async () => {
    const { cache } = cacheOf()
    await cost(cache, ids(1, 100))
    expect(await cost(cache, ids(1, 101))).toBe(1)
    expect(await cost(cache, ids(1, 300))).toBe(199)
  })

  test('nothing of a beginning', async () => {
    const { cache } = cacheOf()
    await cost(cache, ids(1, 100))
    expect(await cost(cache, ids(1, 70))).toBe(0)
    expect(await cost(cache, ids(1, 1))).toBe(0)
  })

  test('what stands after the first difference, from the longest match', async () => {
    const { cache } = cacheOf()
    await cost(cache, ids(1, 100))
    await cost(cache, [...ids(1, 50), ...ids(2, 50)])
    expect(await cost(cache, [...ids(1, 80), ...ids(3, 20)])).toBe(20)
    expect(await cost(cache, [...ids(1, 50), ...ids(2, 30), 7])).toBe(1)
  })

  test('all of what shares nothing', async () => {
    const { cache } = cacheOf()
    await cost(cache, ids(1, 100))
    expect(await cost(cache, ids(2, 100))).toBe(100)
  })

  test('in passes of 64 rows', async () => {
    const { engine, cache } = cacheOf()
    const sizes: number[] = []
    const encode = engine.encode.bind(engine)
    engine.encode = (pieces, signal) => {
      sizes.push(...pieces.map((piece) => piece.ids.length))
      return encode(pieces, signal)
    }
    await cost(cache, ids(1, 150))
    expect(sizes).toEqual([64, 64, 22])
  })

  test('once, when two ask at the same time', async () => {
    const { cache } = cacheOf()
    await Promise.all([cache.encode(ids(1, 100), never), cache.encode(ids(1, 120), never)])
    expect(cache.encodedRows).toBe(120)
  })
})

test('gives the same encodings with the cache on and off', async () => {
  const on = cacheOf()
  const off = cacheOf(10_000, false)
  const sequences = [
    ids(1, 100),
    ids(1, 101),
    ids(1, 60),
    [...ids(1, 60), ...ids(2, 9)],
    [],
    ids(3, 1),
    [...ids(1, 101), ...ids(4, 80)],
    ids(1, 100),
  ]
  for (const sequence of sequences) {
    const [a, b] = [await on.cache.encode(sequence, never), await off.cache.encode(sequence, never)]
    const rows = sequence.length
    expect(await predictAfter(on.engine, a.id, rows)).toEqual(await predictAfter(off.engine, b.id, rows))
    a.end()
    b.end()
  }
  expect(off.cache.encodedRows).toBe(sequences.reduce((sum, { length }) => sum + length, 0))
  expect(on.cache.encodedRows).toBe(100 + 1 + 9 + 1 + 80)
})

describe('memory', () => {
  test('is bounded: what was used longest ago is released', async () => {
    const { engine, cache } = cacheOf(200)
    for (const seed of range(1, 20)) await cost(cache, ids(seed, 50))
    expect(engine.liveCount).toBe(4)
    expect(await cost(cache, ids(20, 50))).toBe(0)
    expect(await cost(cache, ids(1, 50))).toBe(50)
  })

  test('using an encoding keeps it', async () => {
    const { cache } = cacheOf(200)
    await cost(cache, ids(1, 50))
    for (const seed of range(2, 10)) {
      await cost(cache, ids(seed, 50))
      expect(await cost(cache, ids(1, 50))).toBe(0)
    }
  })

  test('a lease keeps an encoding alive that was dropped, until it ends', async () => {
    const { engine, cache } = cacheOf(100)
    const sequence = ids(1, 50)
    const [first, second] = [await cache.encode(sequence, never), await cache.encode(sequence, never)]
    const wanted = await predictAfter(engine, first.id, 50)
    for (const seed of range(2, 5)) await cost(cache, ids(seed, 50))
    first.end()
    expect(await predictAfter(engine, second.id, 50)).toEqual(wanted)
    second.end()
    await expect(predictAfter(engine, second.id, 50)).rejects.toThrow(RangeError)
  })

  test('a sequence larger than the cache is encoded, leased and released', async () => {
    const { engine, cache } = cacheOf(30)
    const wanted = await predictAfter(engine, (await engine.encode([{ ids: ids(1, 192) }], never))[0]!.id, 192)
    const live = engine.liveCount
    const lease = await cache.encode(ids(1, 192), never)
    expect(await predictAfter(engine, lease.id, 192)).toEqual(wanted)
    lease.end()
    expect(engine.liveCount).toBe(live)
  })

  test('clear releases what is not leased', async () => {
    const { engine, cache } = cacheOf()
    const lease = await cache.encode(ids(1, 100), never)
    await cost(cache, ids(2, 100))
    cache.clear()
    expect(engine.liveCount).toBe(1)
    lease.end()
    expect(engine.liveCount).toBe(0)
  })

  test('switched off, it keeps nothing that is not leased', async () => {
    const { engine, cache } = cacheOf(10_000, false)
    for (const seed of range(1, 10)) await cost(cache, ids(seed, 100))
    expect(engine.liveCount).toBe(0)
    const lease = await cache.encode(ids(1, 100), never)
    expect(engine.liveCount).toBe(1)
    lease.end()
    expect(engine.liveCount).toBe(0)
  })
})

describe('aborted', () => {
  test('between two chunks it keeps the chunks', async () => {
    const { engine, cache } = cacheOf()
    const abort = new AbortController()
    const encode = engine.encode.bind(engine)
    engine.encode = async (pieces, signal) => {
      const encodings = await encode(pieces, signal)
      if (cache.encodedRows === 64) abort.abort(new Aborted('superseded'))
      return encodings
    }
    await expect(cache.encode(ids(1, 300), abort.signal)).rejects.toMatchObject({ why: 'superseded' })
    expect(cache.encodedRows).toBe(128)
    expect(await cost(cache, ids(1, 300))).toBe(172)
  })

  test('before its turn it encodes nothing, and the next has its turn', async () => {
    const { cache } = cacheOf()
    const abort = new AbortController()
    const [first, second, third] = [
      cache.encode(ids(1, 10), never),
      cache.encode(ids(2, 10), abort.signal),
      cache.encode(ids(3, 10), never),
    ]
    abort.abort(new Aborted('superseded'))
    await expect(second).rejects.toThrow(Aborted)
    await Promise.all([first, third])
    expect(cache.encodedRows).toBe(20)
  })
})

test('goes on after the engine failed', async () => {
  const { engine, cache } = cacheOf()
  engine.failNext(new EngineError('no memory'))
  await expect(cache.encode(ids(1, 100), never)).rejects.toThrow('no memory')
  expect(await cost(cache, ids(1, 100))).toBe(100)
})
