/**
 * The protocol edge, put together: who there is, what they know of each other, and what follows when settings change.
 * Which messages there are is in `routes.ts`; how the process lives and ends in `serveStdio.ts`.
 */
import {
  type ClientCapabilities,
  type Connection,
  DidChangeConfigurationNotification,
  type InitializeParams,
  type InitializeResult,
  type ResponseError,
} from 'vscode-languageserver'
import { systemClock } from '../base/clock.ts'
import { Aborted, messageOf, stackOf } from '../base/errors.ts'
import { type Log, stderrLog } from '../base/log.ts'
import { NearbyFiles } from '../config/nearbyFiles.ts'
import type { Settings } from '../config/settings.ts'
import { WorkspaceRules } from '../config/workspaceRules.ts'
import type { Snapshot } from '../session/session.ts'
import { serverCapabilities } from './capabilities.ts'
import { type ClientProfile, clientProfile } from './clientProfiles.ts'
import { actionClient } from './codeActions.ts'
import { Commands } from './commands.ts'
import { CompletionRequests } from './completionRequests.ts'
import { Configuration } from './configuration.ts'
import { CursorWatch } from './cursorWatch.ts'
import { debugInformation } from './debugInformation.ts'
import { Documents } from './documents.ts'
import { LazySession } from './lazySession.ts'
import { Lifecycle } from './lifecycle.ts'
import { Nearby } from './nearby.ts'
import { route } from './routes.ts'
import { ServerLog } from './serverLog.ts'
import type { ServerOptions } from './serverOptions.ts'
import { StatusReport } from './status.ts'
import { TellUser } from './tellUser.ts'
import { traceReply } from './traceReplies.ts'
import { Triggers } from './triggers.ts'
import { didAcceptCommand, Usage } from './usage.ts'
import { editClient } from './workspaceEdit.ts'
import { WorkspaceFolders } from './workspaceFolders.ts'

export interface Server {
  /** To the log at the level in force. */
  readonly log: Log
  /** Resolves when it is known what the disk says of a document, which the first request would wait for. */
  known(uri: string): Promise<void>
  /** Answers what is in hand, waits for the step in hand, closes the session. More calls wait for the same. */
  close(): Promise<void>
}

export function startServer(connection: Connection, options: ServerOptions): Server {
  const { openSession, version, logAt = stderrLog, clock = systemClock } = options
  const documents = new Documents()
  const lifecycle = new Lifecycle()
  let capabilities: ClientCapabilities = {}
  let profile: ClientProfile = clientProfile(undefined, {})
  let ignoredBefore: string | undefined
  const usage = new Usage()

  const serverLog = new ServerLog({ settings: () => configuration.settings, logAt, file: options.logFile })
  const log = serverLog.write
  const configuration = new Configuration({
    connection,
    userFile: options.userFile,
    readUserFile: options.readUserFile,
    changed: settingsChanged,
    log,
  })
  const user = new TellUser(connection, log)
  const status = new StatusReport(connection, clock)
  const session = new LazySession(
    () => status.whileOpening(() => openSession(sessionSettings, log, (sentence) => user.tell(sentence))),
    clock,
  )
  const folders = new WorkspaceFolders(connection, () => rules.changed())
  const rules = new WorkspaceRules({
    folders: () => folders.paths,
    ignored: ignoredNow,
    now: () => clock.now(),
    warn: (sentences) => user.warn(sentences),
  })
  const files = new NearbyFiles({ rules, folders: () => folders.paths, now: () => clock.now() })
  const beside = new Nearby(documents, files, rules)
  const nearby = (snapshot: Snapshot) => (configuration.settings.nearby ? beside.textsFor(snapshot) : [])
  const triggers = new Triggers({
    settings: () => configuration.settings,
    restriction: () => configuration.restriction,
    rules,
    clock,
    changed: showMode,
  })
  const requests = new CompletionRequests({
    ...{ documents, session, nearby, failed, replying, log },
    settings: () => configuration.settings,
    profile: () => profile,
    refusal: () => lifecycle.refusal(),
    instead: (asked, budgetMs) => triggers.instead(asked, budgetMs),
    acceptCommand: (units) => (profile.runsCommands ? usage.offer(units) : undefined),
  })
  const cursor = new CursorWatch(
    documents,
    () => (lifecycle.isReady && isWanted(configuration.settings) ? session.current : undefined),
    (snapshot) => triggers.readsAhead(snapshot),
  )
  const commands = new Commands(connection, documents, session, {
    edits: () => editClient(capabilities),
    show: (type, message) => user.show(type, message),
    ...{ log, clock, nearby },
    immediate: {
      'lacuna.printDebugInformation': () =>
        debugInformation({ version, configuration, triggers, status, usage, profile, documents, session }),
      'lacuna.setMode': (argument) => triggers.setMode(argument),
      'lacuna.snooze': (argument) => triggers.snooze(argument),
      [didAcceptCommand]: (id) => usage.accepted(id),
    },
  })
  let closing: Promise<void> | undefined

  route(connection, {
    ...{ lifecycle, configuration, documents, rules, session, requests, commands, cursor, usage, log },
    ...{ initialize, initialized },
    actionClient: () => actionClient(capabilities, profile),
    // What lies beside it is read before anybody asks.
    opened: (uri) => void (configuration.settings.nearby && files.of(uri)),
    // Not awaited: `exit` comes after the reply, and waits for it.
    shutdown: () => void close(),
  })
  connection.listen()
  return { log, close, known: async (uri) => void (await rules.of(uri)) }

  function initialize(params: InitializeParams): InitializeResult | ResponseError<never> {
    const refused = lifecycle.initializeRefusal()
    if (refused) return refused
    capabilities = params.capabilities ?? {}
    const { name, version: clientVersion = '' } = params.clientInfo ?? {}
    profile = clientProfile(name, capabilities)
    configuration.start(params.initializationOptions, capabilities)
    serverLog.openFile()
    log('info', `lacuna ${version} for ${name ?? 'an unnamed client'} ${clientVersion}`.trimEnd())
    const encodings = capabilities.general?.positionEncodings
    if (encodings && !encodings.includes('utf-16')) {
      log('warn', `the client speaks ${encodings.join(', ')}; positions are counted in utf-16 all the same`)
    }
    const offered = { ...serverCapabilities(profile, commands.names), ...folders.start(params) }
    lifecycle.begin()
    return { capabilities: offered, serverInfo: { name: 'lacuna', version } }
  }

  async function initialized(): Promise<void> {
    ignoredBefore = JSON.stringify(ignoredNow())
    session.open().catch((error: unknown) => failed('opening the model', error))
    status.start(capabilities)
    settingsChanged()
    if (capabilities.workspace?.didChangeConfiguration?.dynamicRegistration) {
      const { type } = DidChangeConfigurationNotification
      connection.client.register(type, { section: 'lacuna' }).catch(user.sendFailed)
    }
    folders.watch().catch(user.sendFailed)
    await configuration.read(undefined)
  }

  function settingsChanged(): void {
    user.warn(configuration.warnings)
    const count = configuration.warnings.length
    status.warn(count === 0 ? '' : `${count} setting${count === 1 ? '' : 's'} not understood; see the log`)
    serverLog.openFile()
    const ignored = JSON.stringify(ignoredNow())
    if (ignored !== ignoredBefore) rules.changed()
    ignoredBefore = ignored
    showMode()
  }

  function ignoredNow() {
    const { settings, restriction } = configuration
    return { user: settings.ignored, merged: restriction.ignored ?? [] }
  }

  function showMode(): void {
    const off = triggers.general === 'off' ? 'off' : ''
    status.setInactive(off || (triggers.isSnoozed ? 'snoozed' : triggers.general === 'manual' ? 'only by hand' : ''))
  }

  function replying(what: string, reply: Promise<unknown>): void {
    traceReply(connection.tracer, clock, what, reply)
    void status.whileAnswering(reply)
    reply.then(
      (result) => {
        if ((result as { items?: readonly unknown[] } | null)?.items?.length) status.answered()
      },
      () => {}, // was said where it happened
    )
  }

  /** To the log, to the user once for each class of failure, and to the status. */
  function failed(what: string, error: unknown): void {
    user.failed(what, error)
    if (!(error instanceof Aborted)) status.failed(`${what} failed: ${messageOf(error)}`)
  }

  function sessionSettings(): Settings & { readonly clientDelayMs: number } {
    return { ...configuration.settings, clientDelayMs: profile.delayMs }
  }

  function close(): Promise<void> {
    lifecycle.end()
    closing ??= Promise.all([requests.close(), commands.close()])
      .then(() => session.close())
      .then(() => serverLog.flush())
      .catch((error: unknown) => log('error', `closing failed: ${stackOf(error)}`))
    return closing
  }
}

function isWanted({ completion, inline }: Settings): boolean {
  return completion || inline
}
