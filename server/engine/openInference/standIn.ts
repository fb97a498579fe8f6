/**
 * Passes elsewhere, and what happens while nobody is there: passes of this machine where the user allows it; else requests
 * wait as long as a restart takes. Which of the two machines it is changes between two passes of one request: what the other
 * side does not have is computed again there. The server is looked for again behind the requests, not by them.
 *
 * What got no answer is asked again, and may be: a pass, or a gap, is a function of what is asked and of the rows under its
 * handles; a handle is used once, so rows that are kept twice are the same ones, and releasing twice is releasing. Only the
 * server that is known (`lookAgain`) is asked, and each request three times in all, should it be the one that kills it.
 */
import type { Clock } from '../../base/clock.ts'
import type { GapJob, GapLoop, GapTexts, WrittenGap } from '../gapLoop.ts'
import { ServerGoneError } from './oipServer.ts'
import { Outage, restartMs } from './outage.ts'
import type { PassAnswer, Passes, PassRequest } from './passes.ts'
import type { RemotePasses } from './remotePasses.ts'

export interface StandInParts {
  /** Opens passes of this machine; undefined where the user does not want it. */
  readonly openLocal: (() => Promise<Passes>) | undefined
  readonly clock: Clock
  readonly random: () => number // in [0, 1)
  /** Told once when the server went and once when it is back, in a sentence for the user. */
  readonly onChange: (sentence: string) => void
}

const mostAttempts = 3

export class PassesWithStandIn implements Passes, GapLoop {
  private readonly remote: RemotePasses
  private readonly parts: StandInParts
  private readonly closing = new AbortController()
  private local: Promise<Passes> | undefined // opened when it was first needed, and kept
  private outage: Outage | undefined
  private outages = 0 // since the last answer

  constructor(remote: RemotePasses, parts: StandInParts) {
    this.remote = remote
    this.parts = parts
  }

  /** The server fills gaps whole, and is there or waited for. */
  get available(): boolean {
    return this.remote.infill !== undefined && !(this.outage && this.parts.openLocal)
  }

  async infill(job: GapJob, signal: AbortSignal): Promise<WrittenGap | undefined> {
    return this.answered(async () => this.remote.infill?.(job, signal), signal)
  }

  async readAhead(texts: GapTexts, signal: AbortSignal): Promise<void> {
    await this.answered(() => this.remote.readAhead(texts, signal), signal)
  }

  async run(request: PassRequest, signal: AbortSignal): Promise<PassAnswer> {
    if (!this.outage) void this.releaseHere(request)
    const answer = await this.answered(() => this.remote.run(request, signal), signal)
    if (answer) return answer
    this.local ??= this.parts.openLocal!()
    const local = await this.local.catch((error: unknown) => {
      this.local = undefined
      throw error
    })
    return local.run(request, signal)
  }

  async close(): Promise<void> {
    this.closing.abort()
    await this.outage?.looking
    await this.remote.close()
    await this.local?.then(
      (local) => local.close(),
      () => {},
    )
  }

  /** By the server, now or when it is back; undefined where this machine stands in. */
  private async answered<Answer>(ask: () => Promise<Answer>, signal: AbortSignal): Promise<Answer | undefined> {
    const { openLocal } = this.parts
    for (let attempt = 1; ; attempt++) {
      if (this.outage && openLocal) return undefined
      await this.outage?.over(signal)
      try {
        const answer = await ask()
        this.outages = 0
        return answer
      } catch (error) {
        if (!(error instanceof ServerGoneError)) throw error
        this.lose(error)
        if (!openLocal && attempt === mostAttempts) throw error
      }
    }
  }

  /** Nobody says twice that rows are not needed any more: what was computed here meanwhile goes too. */
  private async releaseHere({ release }: PassRequest): Promise<void> {
    if (release.length === 0) return
    const local = await this.local?.catch(() => undefined)
    await local?.run({ jobs: [], release }, this.closing.signal)
  }

  private lose(error: ServerGoneError): void {
    if (this.outage) return // several requests notice it
    const { openLocal, clock, random, onChange } = this.parts
    const then = openLocal
      ? 'this machine goes on'
      : `completions wait for it, ${restartMs / 60_000} minutes at the most`
    onChange(`${error.message}; ${then}`)
    const lookFor = async (signal: AbortSignal) => {
      await this.remote.lookAgain(signal)
      this.outage = undefined
      onChange(`${this.remote.shown}: it is back`)
    }
    this.outage = new Outage(error, this.outages++, { clock, random, onChange, lookFor }, this.closing.signal)
  }
}
