import { describe, expect, test } from 'vitest'
import { Aborted } from '../../server/base/errors.ts'
import { EncodingCache, type Lease } from '../../server/cache/encodingCache.ts'
import { type Haste, Turns } from '../../server/cache/turns.ts'
import type { EncodingId } from '../../server/engine/engine.ts'
import { settled } from '../base/manualClock.ts'
import { someIds } from '../engine/engine.case.ts'
import { byteIds, ScriptedEngine } from '../engine/scriptedEngine.ts'

const never = new AbortController().signal
const ids = (seed: number, count: number) => someIds(seed, count, 250)

/** Two caches of one engine, whose passes are written down by the first id they read. */
function twoCaches() {
  const engine = new ScriptedEngine()
  const passes: string[] = []
  const names = new Map<number, string>()
  const encode = engine.encode.bind(engine)
  engine.encode = async (pieces, signal) => {
    const encodings = await encode(pieces, signal)
    for (const [i, { after }] of pieces.entries()) {
      const name = after === undefined ? nameOf(pieces[i]!.ids) : names.get(after)!
      names.set(encodings[i]!.id, name)
      passes.push(name)
    }
    return encodings
  }
  const sequences = new Map<number, string>()
  const nameOf = ([first]: readonly number[]) => sequences.get(first!)!
  const turns = new Turns()
  const [a, b] = [0, 1].map(() => new EncodingCache(engine, { maxBytes: 1e6, enabled: true }, turns)) as [
    EncodingCache,
    EncodingCache,
  ]
  /** Reads `chunks` chunks of a text of its own. */
  const read = (name: string, cache: EncodingCache, chunks: number, haste?: Haste, signal = never) => {
    const sequence = ids(name.charCodeAt(0), 64 * chunks)
    sequences.set(sequence[0]!, name)
    return cache.encode(sequence, signal, haste)
  }
  return { engine, passes, a, b, read }
}

describe('a chunk at a time, whatever cache it is for', () => {
  test('the newest reader that is waited for goes first, after the chunk in hand', async () => {
    const { engine, passes, a, b, read } = twoCaches()
    engine.hold()
    const all = [read('older', a, 3), read('newer', b, 2), read('last', a, 1)]
    await settled()
    engine.resume()
    await Promise.all(all)
    expect(passes).toEqual(['older', 'last', 'newer', 'newer', 'older', 'older'])
  })

  test('what is read ahead goes after all that is waited for, however new it is', async () => {
    const { engine, passes, a, b, read } = twoCaches()
    engine.hold()
    const all = [read('x ahead', a, 2, 'ahead'), read('waited', b, 2), read('y ahead', b, 1, 'ahead')]
    await settled()
    engine.resume()
    await Promise.all(all)
    expect(passes).toEqual(['x ahead', 'waited', 'waited', 'y ahead', 'x ahead'])
  })

  test('one who comes while others are read waits for one chunk', async () => {
    const { engine, passes, a, b, read } = twoCaches()
    const long = [read('long', a, 20), read('ahead', b, 20, 'ahead')]
    while (passes.length < 5) await settled()
    engine.hold()
    await settled()
    const before = passes.length
    const keystroke = read('keystroke', b, 1)
    engine.resume()
    await keystroke
    expect(passes.slice(before)).toEqual(['long', 'keystroke'])
    await Promise.all(long)
  })

  test('one who leaves while waiting holds up nobody', async () => {
    const { engine, passes, a, read } = twoCaches()
    const abort = new AbortController()
    engine.hold()
    const first = read('first', a, 1)
    const second = read('second', a, 1, 'awaited', abort.signal)
    const third = read('third', a, 1, 'ahead')
    await settled()
    abort.abort(new Aborted('superseded'))
    await expect(second).rejects.toMatchObject({ why: 'superseded' })
    engine.resume()
    await Promise.all([first, third])
    expect(passes).toEqual(['first', 'third'])
  })

  test('what is known is there at once, while others read', async () => {
    const { engine, a, b, read } = twoCaches()
    ;(await read('known', a, 2)).end()
    engine.hold()
    const long = read('long', b, 3)
    await settled()
    expect((await read('known', a, 2)).id).toBeDefined()
    engine.resume()
    await long
  })

  test('nothing is read twice when a reader catches up with another', async () => {
    const { engine, a } = twoCaches()
    engine.hold()
    const [ahead, waited] = [a.encode(ids(1, 300), never, 'ahead'), a.encode(ids(1, 310), never)]
    await settled()
    engine.resume()
    await Promise.all([ahead, waited])
    expect(a.encodedRows).toBe(310)
  })
})

test('a reader keeps what it has when the cache drops it between two of its chunks', async () => {
  const engine = new ScriptedEngine()
  const cache = new EncodingCache(engine, { maxBytes: 130, enabled: true })
  engine.hold()
  const slow = cache.encode(ids(1, 192), never, 'ahead')
  const others = [2, 3, 4].map((seed) => cache.encode(ids(seed, 64), never))
  await settled()
  engine.resume()
  for (const other of others) (await other).end()
  ;(await slow).end()
  expect(cache.encodedRows).toBe(192 + 3 * 64)
  cache.clear()
  expect(engine.liveCount).toBe(0)
})

test('however readers overtake each other and give up: what each gets is what it would get alone, and nothing leaks', async () => {
  const numbers = someIds(5, 4000, 1000)
  const below = (limit: number): number => numbers.pop()! % limit
  const engine = new ScriptedEngine()
  const cache = new EncodingCache(engine, { maxBytes: 600, enabled: true })
  /** Texts that share their beginnings, as versions of a document do. */
  const text = (): number[] => {
    const shared = ids(below(2), 200).slice(0, 20 + below(180))
    return [...shared, ...ids(10 + below(4), 1 + below(90))]
  }
  let [read, gaveUp] = [0, 0]
  const reader = async (sequence: readonly number[]) => {
    const abort = new AbortController()
    const reading = cache.encode(sequence, abort.signal, below(2) === 0 ? 'ahead' : 'awaited')
    if (below(3) === 0) setImmediate(() => abort.abort(new Aborted('superseded')))
    const lease = await reading.catch((error: unknown) => error)
    if (lease instanceof Aborted) return void gaveUp++
    const { id, end } = lease as Lease
    const rows = sequence.length
    const [alone] = await engine.encode([{ ids: sequence }], never)
    const job = (id: EncodingId) => ({
      ...{ ids: [65, byteIds.mask], positions: [rows, rows + 1], asked: [rows + 1], setIds: [] },
      context: [{ id, rows, firstPosition: 0 }],
    })
    const [mine, wanted] = await engine.step([job(id!), job(alone!.id)], never)
    expect(mine).toEqual(wanted)
    engine.release([alone!.id])
    end()
    read++
  }
  for (let round = 0; round < 30; round++) await Promise.all(Array.from({ length: 1 + below(6) }, () => reader(text())))
  expect(read).toBeGreaterThan(30)
  expect(gaveUp).toBeGreaterThan(10)
  cache.clear()
  expect(engine.liveCount).toBe(0)
})
