/**
 * How the server is, for whoever shows it: one state, told in two forms to clients that say they understand them
 * (`capabilities.experimental`), and work-done progress while the model is being opened. Told when it changes, never asked.
 *
 * | capability | notification |
 * |---|---|
 * | `didChangeStatus: true` | `didChangeStatus { busy, kind, message }`, in Copilot's shape |
 * | `serverStatusNotification: true` | `experimental/serverStatus { health, quiescent, message }`, in rust-analyzer's |
 */
import {
  type ClientCapabilities,
  type Connection,
  NotificationType,
  type WorkDoneProgressServerReporter,
} from 'vscode-languageserver'
import type { Clock } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'

export interface Status {
  /** The model is being opened, or somebody has been waiting for it for a moment. */
  readonly busy: boolean
  readonly kind: 'Normal' | 'Error' | 'Warning' | 'Inactive'
  readonly message: string // empty when there is nothing to say
}

export interface ServerStatus {
  readonly health: 'ok' | 'warning' | 'error'
  /** Nothing is going on that will change what is answered. */
  readonly quiescent: boolean
  readonly message?: string
}

export const DidChangeStatus = new NotificationType<Status>('didChangeStatus')
export const ServerStatusNotification = new NotificationType<ServerStatus>('experimental/serverStatus')

const busyAfterMs = 150 // what is answered sooner is no sign to anybody

export class StatusReport {
  private readonly connection: Connection
  private readonly clock: Clock
  private wants = { status: false, serverStatus: false }
  private opening = 0
  private working = 0 // requests that somebody has been waiting for for a moment
  private failure = ''
  private warning = ''
  private inactive = ''
  private told = ''

  constructor(connection: Connection, clock: Clock) {
    this.connection = connection
    this.clock = clock
  }

  /** From `initialized` on. */
  start({ experimental }: ClientCapabilities): void {
    const { didChangeStatus, serverStatusNotification } = (experimental ?? {}) as Record<string, unknown>
    this.wants = { status: didChangeStatus === true, serverStatus: serverStatusNotification === true }
    this.tell()
  }

  get current(): Status {
    const { failure, inactive, warning } = this
    const kind = failure ? 'Error' : inactive ? 'Inactive' : warning ? 'Warning' : 'Normal'
    const message = failure || inactive || warning || (this.opening > 0 ? 'opening the model' : '')
    return { busy: this.opening > 0 || this.working > 0, kind, message }
  }

  /** While the model is being opened, and after: a failure stands until one succeeds. */
  async whileOpening<Result>(open: () => Promise<Result>): Promise<Result> {
    this.opening++
    this.tell()
    const progress = this.beginProgress()
    try {
      const opened = await open()
      this.failure = ''
      return opened
    } catch (error) {
      this.failure = `opening the model failed: ${messageOf(error)}`
      throw error
    } finally {
      this.opening--
      this.tell()
      void progress.then((reporter) => reporter?.done())
    }
  }

  /** While a request is being answered. */
  async whileAnswering(reply: Promise<unknown>): Promise<void> {
    if (!this.isWanted) return
    const answered = new AbortController()
    const waited = this.clock.sleep(busyAfterMs, answered.signal).then(
      () => 1,
      () => 0,
    )
    const counted = waited.then((count) => {
      this.working += count
      if (count > 0) this.tell()
      return count
    })
    await reply.catch(() => {})
    answered.abort()
    this.working -= await counted
    this.tell()
  }

  failed(message: string): void {
    this.failure = message
    this.tell()
  }

  /** The model has answered with something. */
  answered(): void {
    this.failure = ''
    this.tell()
  }

  /** Settings that were not understood; empty when there are none any more. */
  warn(message: string): void {
    this.warning = message
    this.tell()
  }

  /** Why nothing comes unasked; empty when it does. */
  setInactive(why: string): void {
    this.inactive = why
    this.tell()
  }

  private get isWanted(): boolean {
    return this.wants.status || this.wants.serverStatus
  }

  private tell(): void {
    const { busy, kind, message } = this.current
    const now = JSON.stringify([busy, kind, message])
    if (now === this.told || !this.isWanted) return
    this.told = now
    const ignore = () => {} // a client that cannot be told has gone, which others notice
    if (this.wants.status) this.connection.sendNotification(DidChangeStatus, { busy, kind, message }).catch(ignore)
    if (!this.wants.serverStatus) return
    const health = kind === 'Error' ? 'error' : kind === 'Warning' ? 'warning' : 'ok'
    const status = { health, quiescent: !busy, ...(message ? { message } : {}) } as const
    this.connection.sendNotification(ServerStatusNotification, status).catch(ignore)
  }

  /** Of no effect with clients that have no progress to show. */
  private async beginProgress(): Promise<WorkDoneProgressServerReporter | undefined> {
    try {
      const reporter = await this.connection.window.createWorkDoneProgress()
      reporter.begin('Lacuna: opening the model')
      return reporter
    } catch {
      return undefined // a client that refuses a token gets no progress
    }
  }
}
