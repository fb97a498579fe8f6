/** What the main thread and the worker say to each other: ids, positions and top-k; keys and values never cross. */

import type { Int8Source } from '../../model/int8Weights.ts'
import type { Encoding, EncodingId, Piece, Prediction, StepJob } from '../engine.ts'

/** How to open a graph; plain data, handed to the worker as it starts. */
export interface EngineOptions {
  readonly graphPath: string
  /** For a graph in Q4_1: where the processor does the work, its matrices are multiplied in 8 bits. */
  readonly int8?: Int8Source
  readonly layers: number
  readonly kvHeads: number
  readonly headDim: number
  readonly vocab: number // ids the head scores: 0 … vocab-1
  readonly inputIds: number // ids the embedding knows: 0 … inputIds-1
  readonly maxPositions: number // rows may stand at 0 … maxPositions-1
  readonly logitsShift: 0 | 1
  readonly hasAdapter: boolean
  readonly threads: number
  readonly providers: readonly string[] // execution providers, tried in this order
  readonly lost: readonly PassedOver[] // of these, in this process: not tried again
  readonly deterministic: boolean // one thread, no spinning: for numeric tests
}

/** An execution provider that does not do the work, and why. */
export interface PassedOver {
  readonly provider: string
  readonly reason: string
}

export interface OpenReport {
  readonly provider: string
  readonly passedOver: readonly PassedOver[] // in the order they were tried
  readonly loadMs: number
}

export type ToWorker =
  | { readonly kind: 'encode'; readonly request: number; readonly pieces: readonly Piece[] }
  | { readonly kind: 'step'; readonly request: number; readonly jobs: readonly StepJob[] }
  | { readonly kind: 'abort'; readonly request: number }
  | { readonly kind: 'release'; readonly ids: readonly EncodingId[] }
  | { readonly kind: 'close' }

export type FromWorker =
  | { readonly kind: 'opened'; readonly report: OpenReport }
  | { readonly kind: 'moved'; readonly report: OpenReport } // the provider failed in a pass; the next one goes on
  | { readonly kind: 'openFailed'; readonly message: string }
  | { readonly kind: 'encoded'; readonly request: number; readonly encodings: readonly Encoding[] }
  | { readonly kind: 'stepped'; readonly request: number; readonly predictions: readonly Prediction[] }
  | { readonly kind: 'failed'; readonly request: number; readonly message: string; readonly badInput: boolean }
  | { readonly kind: 'closed' }
