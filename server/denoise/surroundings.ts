/** What stands around the holes, and how a pass is given it. One for each request; holds encodings. */
import type { Prediction, StepJob, TokenIds } from '../engine/engine.ts'
import type { Asked } from './filling.ts'

export interface Surroundings {
  /**
   * The pass that predicts the asked slots of all holes.
   *
   * @param holes from the left, each with the canvas that is being filled.
   */
  stepJob(holes: readonly Asked[], setIds: TokenIds): StepJob
  /** The same with a canvas that may not be chosen: nothing of it is kept. */
  probeJob(holes: readonly Asked[], setIds: TokenIds): StepJob
  /**
   * What rides in the same pass where a hole asks it: the base reads what was committed from the left, and says of each
   * token it reads what comes next, of the last one what may stand in the leftmost open slot.
   *
   * @param hole index from the left.
   * @returns nothing where it has read all that there is.
   * @throws {RangeError} where the base cannot be had by itself.
   */
  readJob(hole: number, holes: readonly Asked[], setIds: TokenIds): StepJob | undefined
  /** Takes over what the pass of `readJob` kept. */
  tookRead(hole: number, job: StepJob, prediction: Prediction): void
  /** Takes over what the pass of `stepJob` kept, whether or not it is still needed. */
  took(prediction: Prediction): void
  /**
   * Takes a filled middle into the text before its hole.
   *
   * @param hole index from the left.
   * @throws {Aborted} when the signal fires.
   */
  fold(hole: number, middle: TokenIds, signal: AbortSignal): Promise<void>
  /** Releases what it holds; of the encodings it was given, none. */
  end(): void
}
