/**
 * Passes elsewhere, and what happens while nobody is there: passes of this machine where the user allows it, else one clear
 * failure a request. Which of the two it is changes between two passes of one request: what the other side does not have is
 * computed again there. The server is looked for again behind the requests, not by them.
 */
import type { Clock } from '../../base/clock.ts'
import type { GapJob, GapLoop, WrittenGap } from '../gapLoop.ts'
import { ServerGoneError } from './oipServer.ts'
import type { PassAnswer, Passes, PassRequest } from './passes.ts'
import type { RemotePasses } from './remotePasses.ts'

export interface StandInParts {
  /** Opens passes of this machine; undefined where the user does not want it. */
  readonly openLocal: (() => Promise<Passes>) | undefined
  readonly clock: Clock
  /** Told once when the server went and once when it is back, in a sentence for the user. */
  readonly onChange: (sentence: string) => void
}

const lookAgainMs = 5_000

export class PassesWithStandIn implements Passes, GapLoop {
  private readonly remote: RemotePasses
  private readonly parts: StandInParts
  private readonly closing = new AbortController()
  private local: Promise<Passes> | undefined // opened when it was first needed, and kept
  private gone: ServerGoneError | undefined
  private looking: Promise<void> | undefined

  constructor(remote: RemotePasses, parts: StandInParts) {
    this.remote = remote
    this.parts = parts
  }

  /** The server is there, and fills gaps whole. */
  get available(): boolean {
    return !this.gone && this.remote.infill !== undefined
  }

  async infill(job: GapJob, signal: AbortSignal): Promise<WrittenGap | undefined> {
    if (!this.available) return undefined
    try {
      return await this.remote.infill!(job, signal)
    } catch (error) {
      if (!(error instanceof ServerGoneError)) throw error
      this.lose(error)
      return undefined
    }
  }

  async run(request: PassRequest, signal: AbortSignal): Promise<PassAnswer> {
    if (!this.gone) {
      void this.releaseHere(request)
      try {
        return await this.remote.run(request, signal)
      } catch (error) {
        if (!(error instanceof ServerGoneError)) throw error
        this.lose(error)
      }
    }
    const { openLocal } = this.parts
    if (!openLocal) throw this.gone ?? new ServerGoneError(`${this.remote.shown}: gone`)
    this.local ??= openLocal()
    const local = await this.local.catch((error: unknown) => {
      this.local = undefined
      throw error
    })
    return local.run(request, signal)
  }

  async close(): Promise<void> {
    this.closing.abort()
    await this.looking
    await this.remote.close()
    await this.local?.then(
      (local) => local.close(),
      () => {},
    )
  }

  /** Nobody says twice that rows are not needed any more: what was computed here meanwhile goes too. */
  private async releaseHere({ release }: PassRequest): Promise<void> {
    if (release.length === 0) return
    const local = await this.local?.catch(() => undefined)
    await local?.run({ jobs: [], release }, this.closing.signal)
  }

  private lose(error: ServerGoneError): void {
    if (this.gone) return // several requests notice it
    this.gone = error
    const then = this.parts.openLocal ? 'this machine goes on' : 'there are no completions until it is back'
    this.parts.onChange(`${error.message}; ${then}`)
    this.looking = this.look()
  }

  private async look(): Promise<void> {
    const { clock, onChange } = this.parts
    const { signal } = this.closing
    while (!signal.aborted) {
      if (await clock.sleep(lookAgainMs, signal).then(...answers)) {
        if (!(await this.remote.isReady(signal))) continue
        this.gone = undefined
        onChange(`${this.remote.shown}: it is back`)
      }
      return
    }
  }
}

/** Whether a pause was slept to its end. */
const answers = [() => true, () => false] as const
