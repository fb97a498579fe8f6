/**
 * Rows of the last canvas, kept across edits: while somebody types along a line, the tokens that open the canvas stay what they
 * are, and where they are. Exact, since a committed row sees nothing but the texts around its hole and the committed rows left
 * of it, and both are compared.
 *
 * Holds one canvas, of a dozen rows. Its encodings belong to whoever took it last: who finds nothing computes for itself.
 */
import type { EncodingId, Engine, TokenIds } from '../engine/engine.ts'

/** What the rows of a canvas see besides each other. */
export interface CanvasPlace {
  readonly texts: readonly TokenIds[] // before and after it
  readonly distance: number // in positions
}

/** Rows from the first one on: of `ids`, as the first `rows` rows of each of `kept`. */
export interface CanvasRows {
  readonly ids: TokenIds
  readonly kept: readonly { readonly id: EncodingId; readonly rows: number }[]
}

export class CanvasCache {
  private readonly engine: Pick<Engine, 'release'>
  private last: { readonly place: CanvasPlace; readonly rows: CanvasRows } | undefined

  constructor(engine: Pick<Engine, 'release'>) {
    this.engine = engine
  }

  /** Hands over what is kept for this place; the taker puts back or releases its encodings. */
  take({ texts, distance }: CanvasPlace): CanvasRows | undefined {
    const { last } = this
    if (!last || last.place.distance !== distance || !sameTexts(last.place.texts, texts)) return undefined
    this.last = undefined
    return last.rows
  }

  /** In place of what was kept. */
  put(place: CanvasPlace, rows: CanvasRows): void {
    this.clear()
    this.last = { place, rows }
  }

  clear(): void {
    if (this.last) this.engine.release(this.last.rows.kept.map(({ id }) => id))
    this.last = undefined
  }
}

function sameTexts(some: readonly TokenIds[], others: readonly TokenIds[]): boolean {
  return some.length === others.length && some.every((text, i) => sameIds(text, others[i]!))
}

function sameIds(some: TokenIds, others: TokenIds): boolean {
  return some.length === others.length && some.every((id, i) => id === others[i])
}
