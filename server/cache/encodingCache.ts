/**
 * Encodings of context that outlive a request. What was read before is never read again: a longer or changed text
 * continues the encoding with which it shares the most leading tokens. Exact, since context rows see only what is left
 * of them.
 *
 * Holds handles only; the keys and values stay in the engine and are released when the cache drops them.
 */
import { LRUCache } from 'lru-cache'
import { throwIfAborted } from '../base/errors.ts'
import type { EncodingId, Engine, TokenIds } from '../engine/engine.ts'
import { type Haste, Turns } from './turns.ts'

const leastShared = 16 // rows: for less (a file's first token, an import) it is not worth tying two texts together
const chunkRows = 64 // encoded at a time: an abandoned request leaves whole chunks behind for the next

interface Entry {
  readonly id: EncodingId
  readonly ids: TokenIds
  readonly bytes: number // of its own rows
  readonly parent: EncodingId | undefined // what it continues, and keeps alive
}

/** Keeps an encoding alive while a job uses it, whatever the cache drops meanwhile. */
export interface Lease {
  /** `undefined` where there is nothing to encode. */
  readonly id: EncodingId | undefined
  end(): void
}

/** How far one reader has come. */
interface Reader {
  readonly ids: TokenIds
  rows: number
  entry: Entry | undefined // its first `rows` rows are those of `ids`
  lease: Lease | undefined // on `entry`
}

export interface EncodingCacheOptions {
  readonly maxBytes: number
  readonly enabled: boolean
}

export class EncodingCache {
  private readonly engine: Engine
  private readonly options: EncodingCacheOptions
  private readonly entries: LRUCache<EncodingId, Entry>
  private readonly leases = new Map<EncodingId, number>()
  private readonly dropped = new Set<EncodingId>() // by the cache, while still leased
  private readonly turns: Turns
  private readonly neverAborted = new AbortController().signal
  /** Rows encoded so far; for benches and tests. */
  encodedRows = 0

  /** @param turns shared by all caches of the engine. */
  constructor(engine: Engine, options: EncodingCacheOptions, turns = new Turns()) {
    this.engine = engine
    this.options = options
    this.turns = turns
    this.entries = new LRUCache({
      maxSize: options.maxBytes,
      sizeCalculation: ({ bytes }) => Math.max(1, bytes),
      dispose: ({ id }) => {
        if (this.leases.has(id)) this.dropped.add(id)
        else engine.release([id])
      },
    })
  }

  /**
   * The encoding of `ids`, read causally and by itself. Its first `ids.length` rows are meant: it may have more.
   *
   * Read a chunk at a time, in turn with all other readers of the engine; before each chunk it is looked up how far
   * others have come. What is known already is there at once, whoever reads.
   *
   * @throws {Aborted} between two chunks when the signal fires; what was encoded until then is kept.
   */
  async encode(ids: TokenIds, signal: AbortSignal, haste: Haste = 'awaited'): Promise<Lease> {
    throwIfAborted(signal)
    if (ids.length === 0) return { id: undefined, end: () => {} }
    const reader: Reader = { ids, rows: 0, entry: undefined, lease: undefined }
    try {
      this.catchUp(reader)
      if (reader.rows < ids.length) await this.turns.read(haste, signal, () => this.readOn(reader))
    } catch (error) {
      reader.lease?.end()
      throw error
    }
    this.touch(reader.entry!)
    return reader.lease!
  }

  clear(): void {
    this.entries.clear()
  }

  /** One chunk more, unless others have read all of it meanwhile. */
  private async readOn(reader: Reader): Promise<'more' | 'done'> {
    this.catchUp(reader)
    const { ids, rows, entry: parent } = reader
    if (rows === ids.length) return 'done'
    const chunk = ids.slice(rows, rows + chunkRows)
    const piece = parent ? { ids: chunk, after: parent.id, rows } : { ids: chunk }
    const [encoding] = await this.engine.encode([piece], this.neverAborted)
    this.encodedRows += chunk.length
    const known = ids.slice(0, rows + chunk.length)
    const entry = { id: encoding!.id, ids: known, bytes: encoding!.bytes, parent: parent?.id }
    this.advance(reader, entry, known.length)
    this.keep(entry)
    return known.length < ids.length ? 'more' : 'done'
  }

  /** To where others have come. */
  private catchUp(reader: Reader): void {
    if (!this.options.enabled) return
    const { entry, common } = this.longest(reader.ids)
    if (entry && common > reader.rows) this.advance(reader, entry, common)
  }

  /** What a reader continues must live until it is continued. */
  private advance(reader: Reader, entry: Entry, rows: number): void {
    const lease = this.lease(entry.id)
    reader.lease?.end()
    Object.assign(reader, { entry, rows, lease })
  }

  /** Marks an entry as used, and after it what it continues: dropping that first would free nothing. */
  private touch(entry: Entry): void {
    for (
      let at: Entry | undefined = entry;
      at;
      at = at.parent === undefined ? undefined : this.entries.peek(at.parent)
    ) {
      this.entries.get(at.id)
    }
  }

  /** An entry larger than the whole cache is not taken, and nobody is told: it lives as long as its lease. */
  private keep(entry: Entry): void {
    if (this.options.enabled) this.entries.set(entry.id, entry)
    if (!this.entries.has(entry.id)) this.dropped.add(entry.id)
  }

  private lease(id: EncodingId): Lease {
    this.leases.set(id, (this.leases.get(id) ?? 0) + 1)
    const end = () => {
      const left = this.leases.get(id)! - 1
      if (left > 0) return void this.leases.set(id, left)
      this.leases.delete(id)
      if (this.dropped.delete(id)) this.engine.release([id])
    }
    return { id, end }
  }

  private longest(ids: TokenIds): { entry: Entry | undefined; common: number } {
    let found: Entry | undefined
    let most = 0
    for (const entry of this.entries.values()) {
      // Of two thousand entries nearly all are told by this: they do not go on where the best one ends.
      if (entry.ids[most] !== ids[most]) continue
      const common = commonLength(entry.ids, ids)
      if (common > most) [found, most] = [entry, common]
      if (most === ids.length) break
    }
    return most >= Math.min(leastShared, ids.length) ? { entry: found, common: most } : { entry: undefined, common: 0 }
  }
}

function commonLength(a: TokenIds, b: TokenIds): number {
  const limit = Math.min(a.length, b.length)
  for (let i = 0; i < limit; i++) if (a[i] !== b[i]) return i
  return limit
}
