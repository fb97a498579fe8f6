/**
 * Surroundings of models whose committed rows see only committed ones: each text is an encoding, causal by itself; behind
 * it come the rows of its hole, the last token of the text first. A row that is committed is computed once for a canvas,
 * and kept: nothing that comes later changes it. What follows a hole stands at a fixed distance, however long the middle is.
 *
 * Holes are filled from the left: a hole sees the texts, and the rows of the holes left of it; of the holes right of it
 * there is nothing yet.
 */
import type {
  ContextPiece,
  Encoding,
  EncodingId,
  Engine,
  Prediction,
  RowSpan,
  StepJob,
  TokenIds,
} from '../engine/engine.ts'
import type { Asked } from './filling.ts'
import { type KeptRows, ReadRows } from './readRows.ts'
import type { Surroundings } from './surroundings.ts'

export interface DraftedContext {
  readonly kind: 'drafted'
  /**
   * Of each text, of all but the last without its last token, and of the first without what is `begun`; `undefined` where
   * nothing is left to encode.
   */
  readonly encodings: readonly (EncodingId | undefined)[]
  /**
   * How many tokens at the end of the first text are rows of its hole, as if the hole began before them (default 0). A model
   * that was taught to write on from every place of a gap knows no difference; fewer tokens are to be encoded.
   */
  readonly begun?: number
  /** Positions between the last token before a hole and the first token after it, less one. */
  readonly distance: number
  /** Whether committed rows are kept from pass to pass; without, all are computed anew: the same, for comparison. */
  readonly keeps: boolean
  /** Where rows of a single hole are kept from request to request; without, nowhere. */
  readonly canvases?: Canvases
}

/** Takes and gives the rows of the tokens that open a hole, and of what was committed behind them; see `cache/canvasCache.ts`. */
export interface Canvases {
  take(place: Place): Rows | undefined
  put(place: Place, rows: Rows): void
}

interface Place {
  readonly texts: readonly TokenIds[]
  readonly distance: number
}

interface Rows {
  readonly ids: TokenIds
  readonly kept: readonly KeptRows[]
}

export class DraftedSurroundings implements Surroundings {
  private readonly engine: Engine
  private readonly texts: TokenIds[]
  private readonly pieces: (KeptRows | undefined)[] // of each text
  private begun: TokenIds // known tokens that open the first hole
  private readonly distance: number
  private readonly keeps: boolean
  private readonly read: readonly ReadRows[] // of each hole: the last token before it, its middle, its guesses
  private readonly own = new Set<EncodingId>() // released at the end, or before
  private unread: readonly { hole: number; ids: TokenIds }[] = [] // what the pass in hand reads
  private readonly canvases: Canvases | undefined

  constructor(engine: Engine, texts: readonly TokenIds[], context: DraftedContext) {
    const { encodings, begun = 0, distance, keeps, canvases } = context
    this.engine = engine
    const [first, ...others] = texts as [TokenIds, ...TokenIds[]]
    const encoded = first.length - begun
    if (!(begun >= 0 && encoded > 0))
      throw new RangeError(`of ${first.length} tokens ${begun} were to open the hole; one must stand before it`)
    this.begun = first.slice(encoded)
    this.texts = [first.slice(0, encoded), ...others]
    this.pieces = encodings.map((id, i) => (id === undefined ? undefined : { id, rows: this.encodedRows(i) }))
    this.distance = distance
    this.keeps = keeps
    this.canvases = keeps && texts.length === 2 ? canvases : undefined
    const known = this.canvases?.take({ texts: this.texts, distance })
    this.read = texts.slice(1).map(() => new ReadRows(known?.ids, known?.kept))
    if (known) this.goOnFrom(known)
  }

  stepJob(holes: readonly Asked[], setIds: TokenIds): StepJob {
    const now = holes.findIndex(({ draft }) => draft)
    const { canvas, draft } = holes[now]!
    const rows = new TreeRows()
    const unread: { hole: number; ids: TokenIds }[] = []
    const keep: RowSpan[] = []
    for (let hole = 0; hole <= now; hole++) {
      const middle = hole < now ? holes[hole]!.canvas.leadingRun() : [...canvas.leadingRun(), ...draft!.ids]
      const all = [this.texts[hole]!.at(-1)!, ...this.begunOf(hole), ...middle]
      const { unread: ids, forgotten } = this.read[hole]!.goOnWith(all)
      this.forget(forgotten)
      if (ids.length === 0) continue
      keep.push({ first: rows.ids.length, count: ids.length })
      unread.push({ hole, ids })
      rows.causal(ids, this.positionOf(hole) + all.length - ids.length)
    }
    this.unread = unread
    const said = draft!.ids.length
    const last = rows.ids.length - 1
    const next = this.positionOf(now) + 1 + this.begunOf(now).length + canvas.leftmostOpen()
    const maskId = canvas.maskId
    const context = this.context(now)
    const asked = Array.from({ length: said + 1 }, (_, i) => last - said + i)
    asked.push(...rows.open(maskId, draft!.beside, next, last - said + 1))
    asked.push(...rows.open(maskId, draft!.behind, next + said, last + 1))
    return {
      ...{ ids: rows.ids, positions: rows.positions, sees: rows.sees, context, asked: [], askedRows: asked, setIds },
      ...(this.keeps ? { keep } : {}),
    }
  }

  probeJob(): StepJob {
    throw new RangeError('a middle that is written left to right has no canvases to choose among')
  }

  readJob(): undefined {
    throw new RangeError('a middle that is written left to right does not mix with what the base says')
  }

  tookRead(): void {}

  took({ kept }: Prediction): void {
    for (const [i, encoding] of kept.entries()) {
      const { hole, ids } = this.unread[i]!
      this.own.add(encoding.id)
      this.read[hole]!.took(ids, encoding)
    }
  }

  /** Reads it as rows of the text that it has become. */
  async fold(hole: number, middle: TokenIds, signal: AbortSignal): Promise<void> {
    const text = this.texts[hole]!
    const before = this.pieces[hole]
    const known = [...this.begunOf(hole), ...middle]
    const ids = [text.at(-1)!, ...known.slice(0, -1)]
    const piece = before ? { ids, after: before.id, rows: before.rows } : { ids }
    const [{ id, rows }] = (await this.engine.encode([piece], signal)) as [Encoding]
    this.own.add(id)
    this.pieces[hole] = { id, rows }
    this.texts[hole] = [...text, ...known]
    if (hole === 0) this.begun = []
    // Whatever stands right of it has moved on: nothing that was kept is of use any more.
    for (const read of this.read) this.forget(read.goOnWith([]).forgotten)
  }

  end(): void {
    if (this.canvases) {
      const { readIds: ids, pieces: kept } = this.read[0]!
      this.canvases.put({ texts: this.texts, distance: this.distance }, { ids, kept })
      for (const { id } of kept) this.own.delete(id)
    }
    this.engine.release([...this.own])
  }

  /** As far as it opens this hole too, but for the last row: a pass must compute it, since it says what comes next. */
  private goOnFrom({ kept }: Rows): void {
    for (const { id } of kept) this.own.add(id)
    this.forget(this.read[0]!.goOnWith([this.texts[0]!.at(-1)!, ...this.begun].slice(0, -1)).forgotten)
  }

  private forget(ids: readonly EncodingId[]): void {
    this.engine.release(ids)
    for (const id of ids) this.own.delete(id)
  }

  private begunOf(hole: number): TokenIds {
    return hole === 0 ? this.begun : []
  }

  private encodedRows(text: number): number {
    return this.texts[text]!.length - (text < this.texts.length - 1 ? 1 : 0)
  }

  /** Of the last token before a hole. */
  private positionOf(hole: number): number {
    return this.startOf(hole) + this.texts[hole]!.length - 1
  }

  private startOf(text: number): number {
    return this.texts.slice(0, text).reduce((sum, { length }) => sum + length + this.distance, 0)
  }

  /** The texts from the right (the prefix grows while the user types: what lies before it in a buffer need not move), then what was kept. */
  private context(now: number): ContextPiece[] {
    const texts = this.pieces
      .flatMap((piece, i) => (piece ? [{ ...piece, firstPosition: this.startOf(i) }] : []))
      .reverse()
    const kept = this.read.slice(0, now + 1).flatMap(({ pieces }, hole) => {
      let firstPosition = this.positionOf(hole)
      return pieces.map(({ id, rows }) => {
        firstPosition += rows
        return { id, rows, firstPosition: firstPosition - rows }
      })
    })
    return [...texts, ...kept]
  }
}

/** Rows of a pass, each with the rows it sees. */
class TreeRows {
  readonly ids: number[] = []
  readonly positions: number[] = []
  readonly sees: RowSpan[][] = []

  /** Each sees all rows so far, and those of the run up to itself. */
  causal(ids: TokenIds, position: number): void {
    for (const [i, id] of ids.entries()) this.add(id, position + i, [{ first: 0, count: this.ids.length + 1 }])
  }

  /** A branch of open rows: each sees the first `trunk` rows and the branch. @returns the indices of its rows. */
  open(maskId: number, count: number, position: number, trunk: number): number[] {
    const first = this.ids.length
    for (let i = 0; i < count; i++)
      this.add(maskId, position + i, [
        { first: 0, count: trunk },
        { first, count },
      ])
    return Array.from({ length: count }, (_, i) => first + i)
  }

  private add(id: number, position: number, sees: RowSpan[]): void {
    this.ids.push(id)
    this.positions.push(position)
    this.sees.push(sees)
  }
}
