/**
 * The seam to whoever fills gaps by their text alone: what stands around one gap in, what belongs there out. Neither ids nor
 * probabilities. Who writes it, and where, is not known here.
 */
import { EngineError } from '../base/errors.ts'
import type { Scope } from './plan.ts'

/** All text has LF line ends only, here and in what is written. */
export interface TextGap {
  readonly before: string
  readonly after: string
  readonly scope: Scope
  readonly maxTokens: number // as whoever writes counts them
}

export interface Written {
  readonly text: string
  /** False when it was cut short, so that its end may be half a word. */
  readonly complete: boolean
}

export interface Infiller {
  /** Where the text goes, and to which model; for messages. */
  readonly shown: string
  /**
   * @param onProgress all that is written so far, each time there is more.
   * @throws {Aborted} when the signal fires; nobody goes on writing then.
   * @throws {NoInfill} when there is no answer, or none of use.
   * @throws {UserError} when there will be none before the user changes something.
   */
  infill(gap: TextGap, signal: AbortSignal, onProgress: (text: string) => void): Promise<Written>
  close(): void
}

/** Nothing was written, for a reason that may pass. The message names where, and holds no text of a document. */
export class NoInfill extends EngineError {
  override readonly name = 'NoInfill'
  /** When it was told that asking again makes no sense before. */
  readonly retryAfterMs: number | undefined

  constructor(message: string, retryAfterMs?: number) {
    super(message)
    this.retryAfterMs = retryAfterMs
  }
}
