/** What goes wrong, to the log and to the user: once for each class of failure, since silence looks like no suggestion. */
import { type Connection, MessageType, ShowMessageNotification } from 'vscode-languageserver'
import { Aborted, detailsOf, messageOf } from '../base/errors.ts'
import type { Log } from '../base/log.ts'

export class TellUser {
  private readonly connection: Connection
  private readonly log: Log
  private readonly warned = new Set<string>()
  private readonly told = new Set<string>()
  private readonly failedClasses = new Set<string>()
  private readonly logged = new WeakSet<Error>()

  constructor(connection: Connection, log: Log) {
    this.connection = connection
    this.log = log
  }

  /** Settings that were not understood: one message, and not the same again. */
  warn(sentences: readonly string[]): void {
    const unsaid = sentences.filter((sentence) => !this.warned.has(sentence))
    if (unsaid.length === 0) return
    for (const sentence of unsaid) {
      this.warned.add(sentence)
      this.log('warn', sentence)
    }
    this.show(MessageType.Warning, unsaid.join('\n'))
  }

  /** What the user should know of: shown once, logged each time. */
  tell(sentence: string): void {
    this.log('info', sentence)
    if (this.told.has(sentence)) return
    this.told.add(sentence)
    this.show(MessageType.Info, `Lacuna: ${sentence}`)
  }

  /** With its stack to the log; one failure is met by many requests, such as that of opening the model. */
  failed(what: string, error: unknown): void {
    if (error instanceof Aborted) return
    const isError = error instanceof Error
    if (!isError || !this.logged.has(error)) this.log('error', `${what} failed: ${detailsOf(error)}`)
    if (isError) this.logged.add(error)
    const kind = isError ? error.name : 'Error'
    if (this.failedClasses.has(kind)) return
    this.failedClasses.add(kind)
    this.show(MessageType.Error, `Lacuna: ${what} failed: ${messageOf(error)}`)
  }

  show(type: MessageType, message: string): void {
    this.connection.sendNotification(ShowMessageNotification.type, { type, message }).catch(this.sendFailed)
  }

  readonly sendFailed = (error: unknown): void => {
    this.log('warn', `the client could not be told: ${messageOf(error)}`)
  }
}
