/** How often, and after how long, a failed request is made again; progress gives all attempts back. */
import type { Clock } from '../base/clock.ts'

// Source: huggingface_hub `utils/_http.py`, `_http_backoff_base`: five attempts more, 1 s doubling up to 8 s.
const mostRetries = 5
const [firstWaitMs, longestWaitMs] = [1000, 8000]
/** A server that asks for more patience than this is left alone. */
const longestAskedMs = 10 * 60_000

export class Retries {
  private failed = 0
  private readonly clock: Clock
  private readonly note: (message: string) => void

  /** @param note told of each wait, in a line for the user. */
  constructor(clock: Clock, note: (message: string) => void) {
    this.clock = clock
    this.note = note
  }

  /**
   * Waits before the next attempt.
   *
   * @param askedMs what the server asked for.
   * @throws `failure` when it was the last attempt, or the wait would be too long; the signal's reason.
   */
  async wait(failure: Error, askedMs: number | undefined, signal: AbortSignal): Promise<void> {
    this.failed++
    if (this.failed > mostRetries || (askedMs ?? 0) > longestAskedMs) throw failure
    const ms = askedMs ?? Math.min(longestWaitMs, firstWaitMs * 2 ** (this.failed - 1))
    this.note(`${failure.message}; again in ${Math.ceil(ms / 1000)} s (attempt ${this.failed + 1})`)
    await this.clock.sleep(ms, signal)
  }

  progressed(): void {
    this.failed = 0
  }
}
