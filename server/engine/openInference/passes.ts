/**
 * The *step* contract as plain data: passes over rows whose context the other side keeps under handles. `serving/README.md`
 * has the tensors it travels in; what a pass computes is said in `engine.ts`.
 *
 * Handles are given out by who asks, so that an answer that got lost leaves nothing that cannot be named, and a request may
 * be repeated. Whoever keeps rows may drop them at any time: a request that needs them is then answered with the handles
 * that are missing, and nothing was computed.
 */
import type { ModelLimits } from '../checks.ts'
import type { Positions, Prediction, RowSpan, TokenIds } from '../engine.ts'

/** Names kept rows within a session; at least 1, and never used twice. */
export type Handle = number

/** The first `rows` rows kept under a handle, standing at positions `firstPosition` and up. */
export interface HeldPiece {
  readonly handle: Handle
  readonly rows: number
  readonly firstPosition: number
}

export interface PassJob {
  readonly kind: 'canvas' | 'text'
  readonly ids: TokenIds // [Q]
  readonly positions: Positions // [Q]
  readonly context: readonly HeldPiece[]
  readonly sees: readonly (readonly RowSpan[])[] | undefined // [Q]
  readonly askedRows: readonly number[] // [R], indices into `ids`: rows, not positions, so no shift is known here
  readonly scoreIds: TokenIds | undefined // [R]
  readonly setIds: TokenIds
  readonly logits: boolean
  readonly keep: readonly (RowSpan & { readonly handle: Handle })[]
}

export interface PassRequest {
  readonly jobs: readonly PassJob[]
  /** Handles nobody needs any more; unknown ones are ignored. */
  readonly release: readonly Handle[]
}

/** Predictions of the asked rows of each job. */
export type PassPrediction = Omit<Prediction, 'kept'>

export type PassAnswer =
  | { readonly kind: 'predictions'; readonly predictions: readonly PassPrediction[] }
  | { readonly kind: 'missing'; readonly handles: readonly Handle[] }

/** What the other side says of itself and its model. */
export interface PassFacts extends ModelLimits {
  readonly name: string
  readonly maskId: number
  readonly rowBytes: number // taken by what is kept of one row
  readonly passRows: number // rows of one request, at the most
  readonly tokenizer: string // sha256 of tokenizer.json: ids mean the same
  readonly weights: string // sha256 of what the weights were read from
}

export interface Passes {
  /**
   * @throws {Aborted} when the signal fires; nothing has to be kept then.
   * @throws {RangeError} for what the model or a job does not have.
   * @throws {EngineError} when a pass failed or nobody answers.
   */
  run(request: PassRequest, signal: AbortSignal): Promise<PassAnswer>
  close(): Promise<void>
}

export const noPrediction: PassPrediction = {
  ...{ topIds: [], topLogProbs: [], entropy: [], setLogProbs: [], scoreLogProbs: [] },
}
