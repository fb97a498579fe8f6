/**
 * `workspace/executeCommand`: answered at once, since some clients wait for nothing else meanwhile; the work goes on with
 * progress that can be cancelled, and ends in a versioned `workspace/applyEdit`, in diagnostics, or in a message. The
 * contract: whatever becomes of a command, the user sees it, for clients only log its errors.
 */
import {
  ApplyWorkspaceEditRequest,
  type Connection,
  ErrorCodes,
  type ExecuteCommandParams,
  MessageType,
  ResponseError,
  type WorkDoneProgressServerReporter,
} from 'vscode-languageserver'
import type { Clock } from '../base/clock.ts'
import { eitherSignal } from '../base/eitherSignal.ts'
import { Aborted, EngineGoneError, messageOf, rejected, stackOf, UserError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { rebase } from '../base/rebase.ts'
import type { Span, TextEdit } from '../base/spans.ts'
import { type ActionName, actionNames, carryOut, NotHere, titleOf } from '../session/codeActions.ts'
import type { Session, Snapshot } from '../session/session.ts'
import type { CommandArgument } from './codeActions.ts'
import type { Documents } from './documents.ts'
import type { LazySession } from './lazySession.ts'
import { isRange } from './positions.ts'
import { UnlikelyMarks } from './unlikelyMarks.ts'
import { type EditClient, workspaceEdit } from './workspaceEdit.ts'

export interface CommandClient {
  readonly edits: () => EditClient
  readonly show: (type: MessageType, message: string) => void
  readonly log: Log
  readonly clock: Clock
  readonly nearby: (snapshot: Snapshot) => readonly string[]
  /**
   * Commands that are done when they are answered; what they return is the answer, and a `UserError` says what is wrong
   * with the arguments.
   */
  readonly immediate: Readonly<Record<string, (...args: readonly unknown[]) => unknown>>
}

/** A command's place in a document, as it was when the command came. */
interface Target {
  readonly snapshot: Snapshot
  readonly span: Span
  readonly argument: CommandArgument
}

/** Does a command's work; `report` is shown beside its title. */
type Work = (session: Session, target: Target, signal: AbortSignal, report: (message: string) => void) => Promise<void>

const latenessMs = 700 // eglot sends changes after 500

/** What keeps the program's meaning: VS Code saves what such a one touched. */
const refactorings: ReadonlySet<ActionName> = new Set(['rename', 'introduceParameter'])

export class Commands {
  private readonly connection: Connection
  private readonly documents: Documents
  private readonly session: LazySession
  private readonly client: CommandClient
  private readonly marks: UnlikelyMarks
  private readonly closing = new AbortController()
  private readonly inHand = new Set<Promise<void>>()
  private readonly works: ReadonlyMap<string, { readonly title: string; readonly work: Work }>

  constructor(connection: Connection, documents: Documents, session: LazySession, client: CommandClient) {
    this.connection = connection
    this.documents = documents
    this.session = session
    this.client = client
    this.marks = new UnlikelyMarks(connection, documents)
    this.works = new Map([
      ...actionNames.map((name) => [`lacuna.${name}`, { title: titleOf(name), work: this.action(name) }] as const),
      ['lacuna.unlikely', { title: 'What looks unlikely here', work: this.unlikely }] as const,
    ])
  }

  /** All of them; advertised once and for all, as some clients look nowhere else. */
  get names(): string[] {
    return [...this.works.keys(), ...Object.keys(this.client.immediate)]
  }

  /** @throws {ResponseError} for a command or arguments that make no sense. */
  execute({ command, arguments: given }: ExecuteCommandParams): unknown {
    const args = Array.isArray(given) ? given : [] // some clients say null
    const immediate = Object.hasOwn(this.client.immediate, command) ? this.client.immediate[command] : undefined
    if (immediate) return understood(() => immediate(...args)) ?? null
    const known = this.works.get(command)
    if (!known) throw new ResponseError(ErrorCodes.InvalidParams, `no such command: ${command}`)
    const target = this.target(readArgument(args[0]))
    if (!target) return null
    const going = this.run(known.title, known.work, target).finally(() => void this.inHand.delete(going))
    this.inHand.add(going)
    return null
  }

  /** The document was edited, or closed. */
  changed(uri: string): void {
    this.marks.clear(uri)
  }

  /** Gives up what is in hand, and resolves once that has happened. */
  async close(): Promise<void> {
    this.closing.abort(new Aborted('closed'))
    await Promise.allSettled(this.inHand)
  }

  private target(argument: CommandArgument): Target | undefined {
    const snapshot = this.documents.snapshot(argument.uri)
    if (!snapshot) {
      this.client.show(MessageType.Warning, 'Lacuna: the document is not open.')
      return undefined
    }
    if (argument.version !== undefined && argument.version !== snapshot.version) {
      this.client.show(MessageType.Info, 'Lacuna: the document has changed since this was offered; ask again.')
      return undefined
    }
    return { snapshot, span: this.documents.spanAt(snapshot.uri, argument.range), argument }
  }

  private async run(title: string, work: Work, target: Target): Promise<void> {
    const user = new AbortController()
    const { signal, end } = eitherSignal(user.signal, this.closing.signal)
    const progress = new Progress(this.connection, title, () => user.abort(new Aborted('cancelled')))
    let session: Session | undefined
    try {
      session = await Promise.race([this.session.open(), rejected(signal)])
      const working = work(session, target, signal, (message) => progress.report(message))
      await Promise.race([working, rejected(signal)])
    } catch (error) {
      if (signal.aborted || error instanceof Aborted) return
      this.tell(title, error)
      if (session && error instanceof EngineGoneError) {
        await this.session.lost(session, error).catch((failure: unknown) => this.tell('closing the engine', failure))
      }
    } finally {
      end()
      progress.end()
    }
  }

  private tell(title: string, error: unknown): void {
    if (error instanceof NotHere) return this.client.show(MessageType.Info, `Lacuna: ${error.message}`)
    this.client.log('error', `${title} failed: ${stackOf(error)}`)
    this.client.show(MessageType.Error, `Lacuna: ${title} failed: ${messageOf(error)}`)
  }

  private action(name: ActionName): Work {
    return async (session, { snapshot, span, argument }, signal, report) => {
      const { text, languageId } = snapshot
      const { message, wish } = argument
      const request = {
        ...{ name, text, languageId, selection: span, nearby: this.client.nearby(snapshot) },
        ...(message === undefined ? {} : { message }),
        ...(wish === undefined ? {} : { wish }),
      }
      const edits = await carryOut(session, request, signal, (units) => report(`${units} characters`))
      if (!signal.aborted) await this.apply(titleOf(name), refactorings.has(name), snapshot, edits, signal)
    }
  }

  /** Once more where the document changed on the way. */
  private async apply(
    title: string,
    isRefactoring: boolean,
    from: Snapshot,
    edits: readonly TextEdit[],
    signal: AbortSignal,
  ): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      const current = this.documents.snapshot(from.uri)
      if (!current) throw new NotHere('The document was closed meanwhile.')
      const rebased = rebase(edits, from.text, current.text)
      if (!rebased) throw new NotHere('The document has changed there meanwhile; nothing was put in. Ask again.')
      const ranged = rebased.map(({ span, text }) => ({
        range: this.documents.rangeAt(current.uri, span),
        newText: text,
      }))
      const params = workspaceEdit(title, isRefactoring, current, ranged, this.client.edits())
      const { applied, failureReason } = await this.connection.sendRequest(ApplyWorkspaceEditRequest.type, params)
      if (applied) return
      // Some clients hold changes back for half a second, and refuse an edit of what we know.
      if (attempt === 0 && this.documents.snapshot(from.uri) === current)
        await this.client.clock.sleep(latenessMs, signal)
      if (attempt === 0 && this.documents.snapshot(from.uri) !== current) continue
      throw new NotHere(`The editor did not take the edit${failureReason ? `: ${failureReason}` : ''}.`)
    }
  }

  private readonly unlikely: Work = async (session, { snapshot, span }, signal, report) => {
    const asked = this.marks.spanOf(snapshot, span)
    const scored = await session.scoreTokens({ text: snapshot.text, span: asked }, signal, (done, of) =>
      report(`${done} of ${of} tokens`),
    )
    if (signal.aborted) return
    if (this.documents.snapshot(snapshot.uri) !== snapshot)
      throw new NotHere('The document has changed meanwhile; ask again.')
    if (this.marks.show(snapshot, scored) === 0) throw new NotHere('Nothing looks unlikely here.')
  }
}

/** Shown once the client has agreed to it; work waits for nothing of it. */
class Progress {
  private readonly reporter: Promise<WorkDoneProgressServerReporter | undefined>
  private begun: WorkDoneProgressServerReporter | undefined
  private latest: string | undefined
  private ended = false

  constructor(connection: Connection, title: string, cancel: () => void) {
    this.reporter = connection.window.createWorkDoneProgress().catch(() => undefined)
    void this.reporter.then((reporter) => {
      reporter?.begin(title, undefined, this.latest, true)
      if (this.ended) reporter?.done()
      else this.begun = reporter
      reporter?.token.onCancellationRequested(cancel)
    })
  }

  report(message: string): void {
    if (this.ended || message === this.latest) return // work may go on for a pass after it was given up
    this.latest = message
    this.begun?.report(message)
  }

  end(): void {
    this.ended = true
    this.begun?.done()
  }
}

function understood<Result>(work: () => Result): Result {
  try {
    return work()
  } catch (error) {
    if (error instanceof UserError) throw new ResponseError(ErrorCodes.InvalidParams, error.message)
    throw error
  }
}

function readArgument(argument: unknown): CommandArgument {
  const { uri, range, position, version, message, wish } = (argument ?? {}) as Record<string, unknown>
  const place = range ?? (position === undefined ? undefined : { start: position, end: position })
  if (typeof uri !== 'string' || !isRange(place))
    throw new ResponseError(ErrorCodes.InvalidParams, 'wanted one argument: { uri, range }')
  return {
    uri,
    range: place,
    ...(typeof version === 'number' ? { version } : {}),
    ...(typeof message === 'string' ? { message } : {}),
    ...(typeof wish === 'string' ? { wish } : {}),
  }
}
