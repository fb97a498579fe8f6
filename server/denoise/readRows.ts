/**
 * Rows of tokens that follow a text, read causally in the passes of a canvas, and kept from pass to pass:
 * each token is read once, for as long as what stands before it stays.
 */
import type { Encoding, EncodingId, TokenIds } from '../engine/engine.ts'

/** The first `rows` rows of an encoding. */
export interface KeptRows {
  readonly id: EncodingId
  readonly rows: number
}

export class ReadRows {
  private readonly ids: number[] = []
  private kept: KeptRows[] = [] // from the left, without holes

  /** The rows of `kept` are those of `ids`. */
  constructor(ids: TokenIds = [], kept: readonly KeptRows[] = []) {
    this.ids.push(...ids)
    this.kept.push(...kept)
  }

  /** Tokens whose rows these are. */
  get readIds(): TokenIds {
    return this.ids
  }

  /** Rows that were read and may be seen by the next ones. */
  get pieces(): readonly KeptRows[] {
    return this.kept
  }

  /**
   * What is still to be read of `ids`. Rows read of other ids, and all rows behind these, are forgotten.
   *
   * @returns the encodings of which nothing is left, to be released.
   */
  goOnWith(ids: TokenIds): { unread: TokenIds; forgotten: EncodingId[] } {
    const differs = this.ids.findIndex((id, i) => ids[i] !== id)
    const common = differs < 0 ? this.ids.length : differs
    this.ids.length = common
    const forgotten: EncodingId[] = []
    const kept: KeptRows[] = []
    let left = common
    for (const { id, rows } of this.kept) {
      if (left === 0) forgotten.push(id)
      else kept.push({ id, rows: Math.min(rows, left) })
      left -= Math.min(rows, left)
    }
    this.kept = kept
    return { unread: ids.slice(common), forgotten }
  }

  /** @param encoding the rows of `unread`, as a pass kept them. */
  took(unread: TokenIds, { id, rows }: Encoding): void {
    this.ids.push(...unread)
    this.kept.push({ id, rows })
  }

  /** Hands over the pieces, and begins anew. */
  empty(): readonly KeptRows[] {
    const { kept } = this
    this.kept = []
    this.ids.length = 0
    return kept
  }
}
