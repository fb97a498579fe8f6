/**
 * The absence of a server, from the first request that met it: the server is looked for behind the requests, with growing
 * pauses, and who waits for it goes on when it is back, or hears of the failure when that takes longer than a restart.
 */
import type { Clock } from '../../base/clock.ts'
import { Aborted, messageOf, rejected, UserError } from '../../base/errors.ts'
import { ServerGoneError } from './oipServer.ts'

export interface OutageParts {
  readonly clock: Clock
  /** In [0, 1): many editors do not come back at the same moment. */
  readonly random: () => number
  /** Rejects with the reason where the server is not back. */
  readonly lookFor: (signal: AbortSignal) => Promise<void>
  /** Told of the server what its users have to mend, once. */
  readonly onChange: (sentence: string) => void
}

/** Between two looks, the last one from then on; each up to half shorter. */
const pausesMs = [250, 500, 1_000, 2_000, 4_000]
const calmPauseMs = 5_000

/**
 * How long requests wait for a server, from when it went: as long as a cluster gives a rolling update before it counts as failed
 * (Kubernetes, `progressDeadlineSeconds`). From `kill -9` to ready it took 68 s on two quiet cores; on two busy ones warming alone took 172 to 225 s.
 */
export const restartMs = 600_000

export class Outage {
  private readonly parts: OutageParts
  private readonly closing: AbortSignal
  private failure: ServerGoneError
  private readonly waits: Promise<'back' | 'too long'>
  /** Settles when the server is back, or nobody wants to know. */
  readonly looking: Promise<void>

  /** @param many outages without an answer between them: the more, the longer the first pause. */
  constructor(failure: ServerGoneError, many: number, parts: OutageParts, closing: AbortSignal) {
    this.failure = failure
    this.parts = parts
    this.closing = closing
    this.looking = this.look(many)
    const late = parts.clock.sleep(restartMs, closing)
    this.waits = Promise.race([this.looking.then(() => 'back' as const), late.then(...tooLong)])
  }

  /** @throws {Aborted} when the signal fires, {ServerGoneError} when the server is not back in time, by its newest word. */
  async over(signal: AbortSignal): Promise<void> {
    if ((await Promise.race([rejected(signal), this.waits])) === 'too long') throw this.failure
  }

  private async look(from: number): Promise<void> {
    const { clock, random, lookFor } = this.parts
    const { closing } = this
    for (let i = from; !closing.aborted; i++) {
      const pauseMs = pausesMs[i] ?? calmPauseMs
      try {
        await clock.sleep(pauseMs * (1 - random() / 2), closing)
        return await lookFor(closing)
      } catch (error) {
        if (closing.aborted || error instanceof Aborted) return
        this.heard(error)
      }
    }
  }

  /** Why it is not back yet. */
  private heard(error: unknown): void {
    const isNews = error instanceof UserError && error.message !== this.failure.message
    this.failure = new ServerGoneError(messageOf(error), { cause: error })
    if (isNews) this.parts.onChange(messageOf(error))
  }
}

/** Whether the pause was slept to its end is of no interest: whoever closes has no one waiting. */
const tooLong = [() => 'too long' as const, () => 'too long' as const] as const
