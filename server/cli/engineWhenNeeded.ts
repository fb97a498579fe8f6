/** An engine that is opened at its first use: what only stands in costs neither time nor memory before. */
import { EngineGoneError } from '../base/errors.ts'
import type { EncodingId, Engine, Piece, StepJob } from '../engine/engine.ts'

export class EngineWhenNeeded implements Engine {
  private readonly open: () => Promise<Engine>
  private opening: Promise<Engine> | undefined
  private engine: Engine | undefined
  private closed = false

  /** @param open what it rejects with is what uses reject with; it is tried again at the next one. */
  constructor(open: () => Promise<Engine>) {
    this.open = open
  }

  async encode(pieces: readonly Piece[], signal: AbortSignal) {
    return (await this.opened()).encode(pieces, signal)
  }

  async step(jobs: readonly StepJob[], signal: AbortSignal) {
    return (await this.opened()).step(jobs, signal)
  }

  release(ids: readonly EncodingId[]): void {
    this.engine?.release(ids)
  }

  async close(): Promise<void> {
    this.closed = true
    await this.opening?.then(
      (engine) => engine.close(),
      () => {}, // was told to who asked for it
    )
  }

  private opened(): Promise<Engine> {
    if (this.closed) return Promise.reject(new EngineGoneError('the engine is closed'))
    this.opening ??= this.open().then(
      (engine) => (this.engine = engine),
      (error: unknown) => {
        this.opening = undefined
        throw error
      },
    )
    return this.opening
  }
}
