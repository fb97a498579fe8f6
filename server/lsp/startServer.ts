/**
 * The protocol edge: which messages are understood, and what the server says of itself. Answering is in
 * `completionRequests.ts`; how the process lives and ends in `serveStdio.ts`.
 */
import {
  type ClientCapabilities,
  type Connection,
  DidChangeConfigurationNotification,
  ErrorCodes,
  type InitializeParams,
  type InitializeResult,
  MessageType,
  ResponseError,
  ShowMessageNotification,
  TextDocumentSyncKind,
} from 'vscode-languageserver'
import { type Clock, systemClock } from '../base/clock.ts'
import { Aborted, messageOf, UserError } from '../base/errors.ts'
import { type Log, type LogLevel, stderrLog } from '../base/log.ts'
import { readSettings } from '../config/readSettings.ts'
import { defaultSettings, isSetting, type Settings } from '../config/settings.ts'
import type { Session } from '../session/session.ts'
import { type ClientProfile, clientProfile } from './clientProfiles.ts'
import { actionClient, codeActionCapabilities, codeActions } from './codeActions.ts'
import { Commands } from './commands.ts'
import { CompletionRequests } from './completionRequests.ts'
import { CursorWatch, cursorCapabilities } from './cursorWatch.ts'
import { Documents } from './documents.ts'
import { LazySession } from './lazySession.ts'
import { editClient } from './workspaceEdit.ts'

/**
 * Opens a session in the background. `settings()` is what is in force at the moment of the call, the debounce already
 * less the editor's own delay; `model` never changes.
 */
export type OpenSession = (settings: () => Settings, log: Log) => Promise<Session>

export interface ServerOptions {
  readonly openSession: OpenSession
  readonly version: string
  /** A log up to and including a level; default stderr. */
  readonly logAt?: (max: LogLevel) => Log
  readonly clock?: Clock
}

export interface Server {
  /** To the log at the level in force. */
  readonly log: Log
  /** Answers what is in hand, waits for the step in hand, closes the session. More calls wait for the same. */
  close(): Promise<void>
}

/**
 * Where the menu may open beside words: Neovim's automatic completion asks at nothing else. Places where an expression,
 * a member, an argument, a type or a block begins.
 */
const triggerCharacters = ['.', '(', '[', '{', ',', ':', '=', ' ']

export function startServer(connection: Connection, options: ServerOptions): Server {
  const { openSession, version, logAt = stderrLog, clock = systemClock } = options
  const documents = new Documents()
  let state: 'new' | 'ready' | 'shutdown' = 'new'
  let capabilities: ClientCapabilities = {}
  let profile: ClientProfile = clientProfile(undefined, {})
  let initial: Settings = defaultSettings
  let settings: Settings = defaultSettings
  const warned = new Set<string>()
  const failedClasses = new Set<string>()
  let warnings: readonly string[] = []

  const log: Log = (level, message) => logAt(settings.logLevel)(level, message)
  const session = new LazySession(() => openSession(sessionSettings, log), clock)
  const requests = new CompletionRequests(documents, session, {
    settings: () => settings,
    profile: () => profile,
    refusal,
    failed,
    log,
  })
  const cursor = new CursorWatch(documents, () =>
    state === 'ready' && (settings.completion || settings.inline) ? session.current : undefined,
  )
  const commands = new Commands(connection, documents, session, {
    edits: () => editClient(capabilities),
    show,
    log,
    clock,
    immediate: { 'lacuna.printDebugInformation': debugInformation },
  })
  let closing: Promise<void> | undefined

  connection.onInitialize(initialize)
  connection.onInitialized(initialized)
  connection.onDidChangeConfiguration(({ settings: pushed }) => readConfiguration(pushed))
  connection.onDidOpenTextDocument(({ textDocument }) => documents.open(textDocument))
  connection.onDidChangeTextDocument(({ textDocument: { uri, version }, contentChanges }) => {
    try {
      if (documents.change(uri, version, contentChanges)) {
        commands.changed(uri)
        cursor.changed(uri, contentChanges)
      } else log('warn', 'a document was changed that is not open')
    } catch (error) {
      log('error', `a change was malformed; its document is ignored until opened again: ${messageOf(error)}`)
    }
  })
  connection.onDidCloseTextDocument(({ textDocument: { uri } }) => {
    documents.close(uri)
    commands.changed(uri)
    session.current?.forget(uri)
  })
  connection.onCompletion((params, token) => requests.completion(params, token))
  connection.languages.inlineCompletion.on((params, token) => requests.inline(params, token))
  connection.onDocumentHighlight((params) => refusal() ?? cursor.highlights(params))
  connection.onCodeAction((params) => {
    const refused = refusal()
    if (refused) return refused
    cursor.rests(params?.textDocument?.uri, params?.range?.start)
    return codeActions(documents, params, actionClient(capabilities, profile))
  })
  connection.onExecuteCommand((params) => refusal() ?? commands.execute(params))
  connection.onShutdown(() => {
    state = 'shutdown'
    // Not awaited: `exit` comes after the reply, and waits for it.
    void close()
  })
  connection.listen()
  return { log, close }

  function initialize(params: InitializeParams): InitializeResult | ResponseError<never> {
    if (state !== 'new') return new ResponseError(ErrorCodes.InvalidRequest, 'the server is initialized already')
    state = 'ready'
    capabilities = params.capabilities ?? {}
    const { name, version: clientVersion = '' } = params.clientInfo ?? {}
    profile = clientProfile(name, capabilities)
    const read = readSettings(params.initializationOptions)
    initial = settings = read.settings
    warnings = read.warnings
    log('info', `lacuna ${version} for ${name ?? 'an unnamed client'} ${clientVersion}`.trimEnd())
    const encodings = capabilities.general?.positionEncodings
    if (encodings && !encodings.includes('utf-16')) {
      log('warn', `the client speaks ${encodings.join(', ')}; positions are counted in utf-16 all the same`)
    }
    return {
      capabilities: {
        positionEncoding: 'utf-16',
        textDocumentSync: { openClose: true, change: TextDocumentSyncKind.Incremental },
        completionProvider: { triggerCharacters },
        // Literally true: lsp-mode reads `{}` as absent.
        inlineCompletionProvider: true,
        ...codeActionCapabilities,
        executeCommandProvider: { commands: commands.names },
        ...cursorCapabilities(profile.tellsCursorBy),
      },
      serverInfo: { name: 'lacuna', version },
    }
  }

  async function initialized(): Promise<void> {
    session.open().catch((error: unknown) => failed('opening the model', error))
    warn(warnings)
    if (capabilities.workspace?.didChangeConfiguration?.dynamicRegistration) {
      const { type } = DidChangeConfigurationNotification
      connection.client.register(type, { section: 'lacuna' }).catch(sendFailed)
    }
    await readConfiguration(undefined)
  }

  /** What the client answers when asked, else what it pushed. The initialization options stay underneath. */
  async function readConfiguration(pushed: unknown): Promise<void> {
    let given = pushed
    if (capabilities.workspace?.configuration) {
      try {
        given = await connection.workspace.getConfiguration('lacuna')
      } catch (error) {
        log('warn', `the client did not answer for its configuration: ${messageOf(error)}`)
        return
      }
    } else if (!Object.keys(pushed ?? {}).some((key) => key === 'lacuna' || isSetting(key))) {
      // All the client's settings in one object, none of them ours.
      given = undefined
    }
    const read = readSettings(given, initial, 'merged')
    settings = read.settings
    warn(read.warnings)
  }

  /** Settings that were not understood: one message, and not the same again. */
  function warn(sentences: readonly string[]): void {
    const unsaid = sentences.filter((sentence) => !warned.has(sentence))
    if (unsaid.length === 0) return
    for (const sentence of unsaid) {
      warned.add(sentence)
      log('warn', sentence)
    }
    show(MessageType.Warning, unsaid.join('\n'))
  }

  /** To the log with its stack; to the user once for each class of failure, since silence looks like no suggestion. */
  function failed(what: string, error: unknown): void {
    if (error instanceof Aborted) return
    const kind = error instanceof Error ? error.name : 'Error'
    const details = error instanceof UserError || !(error instanceof Error) ? messageOf(error) : stackOf(error)
    log('error', `${what} failed: ${details}`)
    if (failedClasses.has(kind)) return
    failedClasses.add(kind)
    show(MessageType.Error, `Lacuna: ${what} failed: ${messageOf(error)}`)
  }

  /** What a report of a fault should say; no text of a document, and no path. */
  function debugInformation() {
    const { model: _, ...told } = settings
    return {
      version,
      settings: told,
      profile,
      documents: documents.count,
      sessionIsOpen: session.current !== undefined,
    }
  }

  function show(type: MessageType, message: string): void {
    connection.sendNotification(ShowMessageNotification.type, { type, message }).catch(sendFailed)
  }

  function sendFailed(error: unknown): void {
    log('warn', `the client could not be told: ${messageOf(error)}`)
  }

  function refusal(): ResponseError<void> | undefined {
    switch (state) {
      case 'new':
        return new ResponseError(ErrorCodes.ServerNotInitialized, 'wanted initialize first')
      case 'ready':
        return undefined
      case 'shutdown':
        return new ResponseError(ErrorCodes.InvalidRequest, 'the server is shutting down')
    }
  }

  function sessionSettings(): Settings {
    return { ...settings, debounceMs: Math.max(0, settings.debounceMs - profile.delayMs) }
  }

  function close(): Promise<void> {
    state = 'shutdown'
    closing ??= Promise.all([requests.close(), commands.close()])
      .then(() => session.close())
      .catch((error: unknown) => log('error', `closing failed: ${stackOf(error as Error)}`))
    return closing
  }
}

function stackOf(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by ${stackOf(error.cause)}` : ''
  return `${error.stack ?? error.message}${cause}`
}
