/**
 * A session that is opened behind the first answers: loading a model takes seconds and must hold up nobody. A failed
 * opening is tried again when someone asks, but not at every keystroke; so is a session whose engine broke.
 */
import type { Clock } from '../base/clock.ts'
import { eitherSignal } from '../base/eitherSignal.ts'
import { Aborted, rejected } from '../base/errors.ts'
import type { Session } from '../session/session.ts'

const retryAfterMs = 10_000

export class LazySession {
  private readonly openSession: () => Promise<Session>
  private readonly clock: Clock
  private opening: Promise<Session> | undefined
  private session: Session | undefined
  private failedAt: number | undefined
  private readonly waiting = new Map<string, AbortController>() // for the opening, by document
  private openedAt = Number.NEGATIVE_INFINITY
  private closed = false

  constructor(openSession: () => Promise<Session>, clock: Clock) {
    this.openSession = openSession
    this.clock = clock
  }

  /** The session if it is open. */
  get current(): Session | undefined {
    return this.session
  }

  /** Rejects with what the opening failed with. */
  open(): Promise<Session> {
    if (this.closed) return Promise.reject(new Aborted('closed'))
    if (this.failedAt !== undefined && this.clock.now() - this.failedAt >= retryAfterMs) this.opening = undefined
    this.opening ??= this.start()
    return this.opening
  }

  /**
   * The session, however long the opening takes. Of those who wait at one document only the newest does.
   *
   * @throws {Aborted} superseded by a newer one, or when the signal fires.
   */
  async whenOpen(uri: string, signal: AbortSignal): Promise<Session> {
    if (this.session) return this.session
    this.waiting.get(uri)?.abort(new Aborted('superseded'))
    const mine = new AbortController()
    this.waiting.set(uri, mine)
    const either = eitherSignal(mine.signal, signal)
    try {
      return await Promise.race([this.open(), rejected(either.signal)])
    } finally {
      either.end()
      if (this.waiting.get(uri) === mine) this.waiting.delete(uri)
    }
  }

  /** The session, or undefined when it takes longer than `ms`. */
  async within(ms: number): Promise<Session | undefined> {
    if (this.session) return this.session
    const settled = new AbortController()
    const late = this.clock.sleep(ms, settled.signal).catch(() => undefined)
    try {
      return (await Promise.race([this.open(), late])) ?? undefined
    } finally {
      settled.abort()
    }
  }

  /** The document was closed. */
  forget(uri: string): void {
    this.waiting.get(uri)?.abort(new Aborted('superseded'))
    this.session?.forget(uri)
  }

  /** The session's engine failed: the next request opens another, at once unless this one was opened just before. */
  async lost(session: Session, error: Error): Promise<void> {
    if (this.closed || this.session !== session) return
    this.session = undefined
    this.opening = undefined
    if (this.clock.now() - this.openedAt < retryAfterMs) {
      this.failedAt = this.clock.now()
      this.opening = Promise.reject(error)
      this.opening.catch(() => {})
    }
    await session.close()
  }

  /** Waits for an opening under way, then closes what it opened. */
  async close(): Promise<void> {
    if (this.closed) return
    this.closed = true
    const session = await this.opening?.catch(() => undefined)
    await session?.close()
  }

  private async start(): Promise<Session> {
    this.failedAt = undefined
    try {
      this.session = await this.openSession()
      this.openedAt = this.clock.now()
      return this.session
    } catch (error) {
      this.failedAt = this.clock.now()
      throw error
    }
  }
}
