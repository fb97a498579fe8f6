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
  private queue: Promise<unknown> = Promise.resolve()
  /** Rows encoded so far; for benches and tests. */
  encodedRows = 0

  constructor(engine: Engine, options: EncodingCacheOptions) {
    this.engine = engine
    this.options = options
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
   * One at a time, in order: a request that follows finds what the one before encoded.
   *
   * @throws {Aborted} between two chunks when the signal fires; what was encoded until then is kept.
   */
  encode(ids: TokenIds, signal: AbortSignal): Promise<Lease> {
    const result = this.queue.then(() => this.extend(ids, signal))
    this.queue = result.catch(() => {})
    return result
  }

  clear(): void {
    this.entries.clear()
  }

  private async extend(ids: TokenIds, signal: AbortSignal): Promise<Lease> {
    throwIfAborted(signal)
    if (ids.length === 0) return { id: undefined, end: () => {} }
    if (!this.options.enabled) this.entries.clear()
    let { entry, common } = this.longest(ids)
    let lease = entry && this.lease(entry.id) // what is continued must live until it is
    try {
      while (common < ids.length) {
        const chunk = ids.slice(common, common + chunkRows)
        const piece = entry ? { ids: chunk, after: entry.id, rows: common } : { ids: chunk }
        const [encoding] = await this.engine.encode([piece], neverAborted)
        this.encodedRows += chunk.length
        common += chunk.length
        lease?.end()
        entry = { id: encoding!.id, ids: ids.slice(0, common), bytes: encoding!.bytes, parent: entry?.id }
        lease = this.lease(entry.id)
        this.keep(entry)
        if (common < ids.length) throwIfAborted(signal)
      }
    } catch (error) {
      lease?.end()
      throw error
    }
    this.touch(entry!)
    return lease!
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
    this.entries.set(entry.id, entry)
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
      const common = commonLength(entry.ids, ids)
      if (common > most) [found, most] = [entry, common]
    }
    return most >= Math.min(leastShared, ids.length) ? { entry: found, common: most } : { entry: undefined, common: 0 }
  }
}

const neverAborted = new AbortController().signal

function commonLength(a: TokenIds, b: TokenIds): number {
  const limit = Math.min(a.length, b.length)
  for (let i = 0; i < limit; i++) if (a[i] !== b[i]) return i
  return limit
}
