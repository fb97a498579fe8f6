/** What stands left and right of the slots, and how a pass is given it. One for each gap; holds encodings. */
import type { Prediction, StepJob, TokenIds } from '../engine/engine.ts'
import type { Asked } from './filling.ts'

export interface Surroundings {
  /** The pass that predicts the asked slots of the canvas that is being filled. */
  stepJob(asked: Asked, setIds: TokenIds): StepJob
  /** The same for a canvas that may not be chosen: nothing of it is kept. */
  probeJob(asked: Asked, setIds: TokenIds): StepJob
  /** Takes over what the pass of `stepJob` kept, whether or not it is still needed. */
  took(prediction: Prediction): void
  /**
   * Takes a filled middle into the prefix.
   *
   * @throws {Aborted} when the signal fires.
   */
  fold(middle: TokenIds, signal: AbortSignal): Promise<void>
  /** Releases what it holds; of the encodings it was given, none. */
  end(): void
}
