/**
 * What is kept elsewhere, as we know it here: rows under a handle, and how they came to be, so that rows that were dropped
 * there (evicted, or a server that started anew) are computed again and nobody notices more than the time.
 */
import type { EncodingId, Positions, RowSpan, TokenIds } from '../engine.ts'
import type { Handle } from './passes.ts'

/** The first `rows` rows of a segment, standing at positions `firstPosition` and up. */
export interface SegmentPiece {
  readonly segment: Segment
  readonly rows: number
  readonly firstPosition: number
}

/** Rows that were kept together. */
export interface Segment {
  readonly handle: Handle
  readonly rows: number
  readonly origin: Origin
  users: number // encodings that consist of it
}

export type Origin =
  /** Text, read causally behind the first `parentRows` rows of the chain that ends in `parent`. */
  | {
      readonly kind: 'text'
      readonly ids: TokenIds
      readonly parent: Segment | undefined
      readonly parentRows: number
    }
  /** Some rows of a pass. */
  | { readonly kind: 'pass'; readonly job: PassOrigin; readonly span: RowSpan }

export interface PassOrigin {
  readonly kind: 'canvas' | 'text'
  readonly ids: TokenIds
  readonly positions: Positions
  readonly context: readonly SegmentPiece[]
  readonly sees: readonly (readonly RowSpan[])[] | undefined
}

/** An encoding: a chain of segments that ends in `last`, cut to `rows` rows. */
export interface Chain {
  readonly last: Segment | undefined // none: no rows
  readonly rows: number
}

/** The first `rows` rows of a chain, in order, from position `firstPosition` on. */
export function piecesOf({ last }: Chain, rows: number, firstPosition: number): SegmentPiece[] {
  const pieces: SegmentPiece[] = []
  let wanted = rows
  for (let at = last; at && wanted > 0; at = at.origin.kind === 'text' ? at.origin.parent : undefined) {
    const before = at.origin.kind === 'text' ? at.origin.parentRows : 0
    if (wanted > before) pieces.push({ segment: at, rows: wanted - before, firstPosition: firstPosition + before })
    wanted = Math.min(wanted, before)
  }
  return pieces.reverse()
}

/** Encodings by their id, and which handles nobody needs any more. */
export class Chains {
  private readonly chains = new Map<EncodingId, Chain>()
  private readonly unused = new Set<Handle>()
  private nextHandle = 1
  private nextId = 1

  segment(rows: number, origin: Origin): Segment {
    return { handle: this.nextHandle++, rows, origin, users: 0 }
  }

  add(chain: Chain): EncodingId {
    const id = this.nextId++
    this.chains.set(id, chain)
    for (const { segment } of piecesOf(chain, chain.rows, 0)) segment.users++
    return id
  }

  /** @throws {RangeError} for a released or unknown id, and for rows it does not have. */
  get(id: EncodingId, rows?: number): Chain {
    const chain = this.chains.get(id)
    if (!chain) throw new RangeError(`encoding ${id} is unknown or was released`)
    if (rows !== undefined && !(rows >= 0 && rows <= chain.rows))
      throw new RangeError(`encoding ${id} has ${chain.rows} rows, asked were ${rows}`)
    return chain
  }

  release(ids: readonly EncodingId[]): void {
    for (const id of ids) {
      const chain = this.chains.get(id)
      if (!chain) continue
      this.chains.delete(id)
      for (const { segment } of piecesOf(chain, chain.rows, 0)) {
        segment.users--
        this.dropUnused(segment)
      }
    }
  }

  /** To be called too for a segment that came back only for what was made of it. */
  dropUnused({ users, handle }: Segment): void {
    if (users === 0) this.unused.add(handle)
  }

  /** Handles to be released with the next request; told once. */
  takeUnused(): Handle[] {
    const handles = [...this.unused]
    this.unused.clear()
    return handles
  }

  /** They could not be released. */
  giveBack(handles: readonly Handle[]): void {
    for (const handle of handles) this.unused.add(handle)
  }

  clear(): void {
    this.chains.clear()
  }
}
