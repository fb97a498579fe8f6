/** A call under way in the worker, done pass by pass. */
import type { EncodingStore } from './encodings.ts'
import type { PassRunner } from './pass.ts'
import type { EngineOptions, FromWorker } from './protocol.ts'

/** A pass that reads takes at most so many rows. */
export const passRows = 64
/** A pass of a step, or one job of it: eight jobs of a person's typing fit into one. */
export const stepRows = 96

export interface Task {
  readonly kind: 'encode' | 'step'
  readonly request: number
  /**
   * At most one pass.
   *
   * @returns the answer once there is one; after `drop` there is none, and nothing is stored.
   * @throws {RangeError} for what the model or the job does not have.
   */
  advance(): Promise<FromWorker | undefined>
  /** Nobody waits for it any more: releases what it stored. */
  drop(): void
}

/** What tasks share. */
export interface TaskParts {
  readonly store: EncodingStore
  readonly runner: Pick<PassRunner, 'run'>
  readonly options: EngineOptions
}

/** Taken by the keys and values of one row, in all layers. */
export function rowBytesOf({ layers, kvHeads, headDim }: EngineOptions): number {
  return layers * kvHeads * headDim * 2 * Float32Array.BYTES_PER_ELEMENT
}
