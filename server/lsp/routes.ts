/** Which messages are understood, and who takes each of them. What is answered in their place before and after: `lifecycle.ts`. */
import type { Connection, InitializeParams, InitializeResult, ResponseError } from 'vscode-languageserver'
import { messageOf } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { WorkspaceRules } from '../config/workspaceRules.ts'
import { type ActionClient, codeActions } from './codeActions.ts'
import type { Commands } from './commands.ts'
import type { CompletionRequests } from './completionRequests.ts'
import type { Configuration } from './configuration.ts'
import type { CursorWatch } from './cursorWatch.ts'
import type { Documents } from './documents.ts'
import type { LazySession } from './lazySession.ts'
import type { Lifecycle } from './lifecycle.ts'
import { DidPartiallyAcceptCompletion, DidShowCompletion, type Usage } from './usage.ts'

export interface Takers {
  readonly lifecycle: Lifecycle
  readonly configuration: Configuration
  readonly documents: Documents
  readonly rules: WorkspaceRules
  readonly session: LazySession
  readonly requests: CompletionRequests
  readonly commands: Commands
  readonly cursor: CursorWatch
  readonly usage: Usage
  readonly actionClient: () => ActionClient
  readonly log: Log
  readonly initialize: (params: InitializeParams) => InitializeResult | ResponseError<never>
  readonly initialized: () => Promise<void>
  readonly opened: (uri: string) => void
  readonly shutdown: () => void
}

export function route(connection: Connection, takers: Takers): void {
  const { lifecycle, configuration, documents, rules, session, requests, commands, cursor, usage, log } = takers
  const refusal = () => lifecycle.refusal()

  connection.onInitialize(takers.initialize)
  connection.onInitialized(takers.initialized)
  connection.onShutdown(takers.shutdown)
  connection.onDidChangeConfiguration(({ settings: pushed }) => configuration.read(pushed))

  connection.onDidOpenTextDocument(({ textDocument }) => {
    documents.open(textDocument)
    commands.changed(textDocument.uri) // some clients open again what is open
    void rules.of(textDocument.uri) // looked up before anybody asks
    takers.opened(textDocument.uri)
  })
  connection.onDidChangeTextDocument(({ textDocument: { uri, version }, contentChanges }) => {
    try {
      if (documents.change(uri, version, contentChanges)) {
        commands.changed(uri)
        cursor.changed(uri, contentChanges)
      } else log('warn', 'a document was changed that is not open')
    } catch (error) {
      log('error', `a change was malformed; its document is ignored until opened again: ${messageOf(error)}`)
      gone(uri)
    }
  })
  connection.onDidCloseTextDocument(({ textDocument: { uri } }) => gone(uri))

  connection.onCompletion((params, token) => requests.completion(params, token))
  connection.languages.inlineCompletion.on((params, token) => requests.inline(params, token))
  connection.onNotification(DidShowCompletion, (params) => usage.shown(params))
  connection.onNotification(DidPartiallyAcceptCompletion, (params) => usage.partlyAccepted(params))

  connection.onDocumentHighlight((params) => refusal() ?? cursor.highlights(params))
  connection.onCodeAction((params) => {
    const refused = refusal()
    if (refused) return refused
    cursor.rests(params?.textDocument?.uri, params?.range?.start)
    return codeActions(documents, params, takers.actionClient())
  })
  connection.onExecuteCommand((params) => refusal() ?? commands.execute(params))

  function gone(uri: string): void {
    documents.close(uri)
    commands.changed(uri)
    rules.forget(uri)
    session.forget(uri)
  }
}
