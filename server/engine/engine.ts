/**
 * The seam to forward passes. An engine knows token ids, positions and predictions; nothing of text, masks, schedules
 * or editors.
 *
 * Prediction row `p` is about the token **at** position `p`: a model with shifted logits is corrected inside its engine.
 */

export type TokenIds = readonly number[]
export type Positions = readonly number[]

/** A handle on encodings (kept keys and values of context rows) that live in the engine. */
export type EncodingId = number

export interface Encoding {
  readonly id: EncodingId
  readonly rows: number // of the whole piece, what it continues included
  readonly bytes: number // taken by its own rows alone
}

/** Context to read causally and by itself. With `after`, it continues the first `rows` (default: all) rows of that one. */
export interface Piece {
  readonly ids: TokenIds
  readonly after?: EncodingId
  readonly rows?: number
}

/** The first `rows` rows of an encoding, standing at positions `firstPosition` and up. */
export interface ContextPiece {
  readonly id: EncodingId
  readonly rows: number
  readonly firstPosition: number
}

/** A run of a job's rows, counted from its first one. */
export interface RowSpan {
  readonly first: number
  readonly count: number
}

/** Rows `[Q]` that see all of `context` and, by their kind, each other, and the positions whose token is asked. */
export interface StepJob {
  /**
   * `canvas` (the default): rows see each other. `text`: each sees the rows before it; what `encode` computes, with
   * predictions. Where a model has an adapter, canvas rows run with it and text rows without; else with the same weights.
   */
  readonly kind?: 'canvas' | 'text'
  readonly ids: TokenIds
  readonly positions: Positions
  readonly context: readonly ContextPiece[]
  readonly asked: Positions
  /** Ids whose summed probability is wanted too, the same for every asked position; may be empty. */
  readonly setIds: TokenIds
  /** `[asked]` (`askedRows` included, here and in a prediction): a token at each asked position whose probability is wanted too, best or not. */
  readonly scoreIds?: TokenIds
  /** The whole distribution is wanted. Only for what cannot be told from the best eight: a pass copies it row by row. */
  readonly logits?: boolean
  /**
   * `[Q]`: of each row the job's rows that it sees, itself included, where that is not what the kind says: a tree of rows,
   * say, in which branches do not see each other.
   */
  readonly sees?: readonly (readonly RowSpan[])[]
  /**
   * Rows, counted from the first one, whose word on the token after their own is asked too, behind `asked`: in a tree
   * several rows stand at one position. Only for models with shifted logits.
   */
  readonly askedRows?: readonly number[]
  /** Rows whose keys and values, as this pass computes them with all else in sight, are wanted as encodings. */
  readonly keep?: readonly RowSpan[]
}

/** What the model says of each asked position, in the order of `asked`. Logarithms are natural, entropy in nats. */
export interface Prediction {
  readonly topIds: readonly TokenIds[] // [asked][8], best first
  readonly topLogProbs: readonly (readonly number[])[] // [asked][8]
  readonly entropy: readonly number[] // [asked], of the whole distribution
  readonly setLogProbs: readonly number[] // [asked], −Infinity for an empty set
  readonly scoreLogProbs: readonly number[] // [asked]; empty without `scoreIds`
  readonly logits?: readonly Float32Array[] // [asked][vocab], when they were wanted
  readonly kept: readonly Encoding[] // [keep], to be released by who asked for them
}

export interface Engine {
  /** Encodings of the pieces, in their order. Cut into passes of at most 64 rows; aborted between passes. */
  encode(pieces: readonly Piece[], signal: AbortSignal): Promise<Encoding[]>
  /**
   * One forward pass for all jobs; more where they have too many rows. Aborted between passes; an aborted step has no
   * effect.
   *
   * @throws {RangeError} for ids, positions and rows that the model or the job does not have.
   */
  step(jobs: readonly StepJob[], signal: AbortSignal): Promise<Prediction[]>
  /** Forgets encodings. Those that others continue stay for as long as these live. Unknown ids are ignored. */
  release(ids: readonly EncodingId[]): void
  /** Waits for the pass in hand, frees everything. Later calls reject with `EngineError`. */
  close(): Promise<void>
}
