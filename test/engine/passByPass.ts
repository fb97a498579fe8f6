/**
 * An engine in the order of the real one's worker: one pass at a time, steps before encoding, of each the oldest. A pass
 * is done when the test says so. Calls must fit in a pass each.
 */
import type { Encoding, EncodingId, Engine, Piece, Prediction, StepJob } from '../../server/engine/engine.ts'
import { settled } from '../base/manualClock.ts'

interface Pass {
  readonly kind: 'encode' | 'step'
  readonly ids: readonly number[] // that it computes, of all its pieces or jobs
  readonly run: () => void
}

export class PassByPass implements Engine {
  private readonly engine: Engine
  private readonly waiting: Pass[] = []

  constructor(engine: Engine) {
    this.engine = engine
  }

  encode(pieces: readonly Piece[], signal: AbortSignal): Promise<Encoding[]> {
    const ids = pieces.flatMap((piece) => piece.ids)
    return this.later('encode', ids, () => this.engine.encode(pieces, signal))
  }

  step(jobs: readonly StepJob[], signal: AbortSignal): Promise<Prediction[]> {
    const ids = jobs.flatMap((job) => job.ids)
    return this.later('step', ids, () => this.engine.step(jobs, signal))
  }

  release(ids: readonly EncodingId[]): void {
    this.engine.release(ids)
  }

  close(): Promise<void> {
    return this.engine.close()
  }

  /** Does the next pass, and lets all that follows from it happen. @returns which, or undefined when there is none. */
  async pass(): Promise<Pick<Pass, 'kind' | 'ids'> | undefined> {
    await settled()
    const next = this.waiting.find(({ kind }) => kind === 'step') ?? this.waiting[0]
    if (!next) return undefined
    this.waiting.splice(this.waiting.indexOf(next), 1)
    next.run()
    await settled()
    return next
  }

  private later<Result>(kind: Pass['kind'], ids: readonly number[], call: () => Promise<Result>): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ kind, ids, run: () => void call().then(resolve, reject) })
    })
  }
}
