/** An editor at the other end of a pair of streams: the real server, the real session, the embedded model. */
import { PassThrough } from 'node:stream'
import { createConnection } from 'vscode-languageserver/node'
import {
  createProtocolConnection,
  DidChangeTextDocumentNotification,
  DidCloseTextDocumentNotification,
  DidOpenTextDocumentNotification,
  InitializedNotification,
  InitializeRequest,
  InlineCompletionRequest,
  ShutdownRequest,
  StreamMessageReader,
  StreamMessageWriter,
} from 'vscode-languageserver-protocol/node'
import { systemClock } from '../../server/base/clock.ts'
import { silent } from '../../server/base/log.ts'
import type { OpenRooms } from '../../server/cli/openRooms.ts'
import { startServer } from '../../server/lsp/startServer.ts'
import type { Filled } from '../../server/session/fillGap.ts'
import { LiveSession } from '../../server/session/liveSession.ts'

export interface EditorSession {
  /** What the model filled, in order. */
  readonly fills: Filled[]
  open(text: string): Promise<void>
  type(line: number, character: number, text: string): Promise<void>
  /** Asks for ghost text and waits for it, up to a minute. */
  inline(line: number, character: number): Promise<unknown>
  close(): Promise<void>
}

export async function openEditor(rooms: OpenRooms): Promise<EditorSession> {
  const [up, down] = [new PassThrough(), new PassThrough()]
  const fills: Filled[] = []
  startServer(createConnection(new StreamMessageReader(up), new StreamMessageWriter(down)), {
    openSession: async (settings) =>
      new LiveSession(rooms, {
        settings,
        clock: systemClock,
        log: silent,
        close: async () => {},
        onFilled: (filled) => fills.push(filled),
      }),
    version: 'bench',
    logAt: () => silent,
  })
  const client = createProtocolConnection(new StreamMessageReader(down), new StreamMessageWriter(up))
  client.listen()
  const initializationOptions = { debounceMs: 0, inlineBudgetMs: 60_000, maxTokens: 24 }
  await client.sendRequest(InitializeRequest.type, {
    processId: null,
    rootUri: null,
    capabilities: {},
    initializationOptions,
  })
  await client.sendNotification(InitializedNotification.type, {})
  let uri = ''
  let version = 0
  return {
    fills,
    async open(text) {
      if (uri) await client.sendNotification(DidCloseTextDocumentNotification.type, { textDocument: { uri } })
      uri = `file:///bench/${++version}.ts`
      await client.sendNotification(DidOpenTextDocumentNotification.type, {
        textDocument: { uri, languageId: 'typescript', version, text },
      })
    },
    async type(line, character, text) {
      const position = { line, character }
      await client.sendNotification(DidChangeTextDocumentNotification.type, {
        textDocument: { uri, version: ++version },
        contentChanges: [{ range: { start: position, end: position }, text }],
      })
    },
    inline: (line, character) =>
      client.sendRequest(InlineCompletionRequest.type, {
        textDocument: { uri },
        position: { line, character },
        context: { triggerKind: 2 },
      }),
    async close() {
      await client.sendRequest(ShutdownRequest.type)
      client.dispose()
    },
  }
}
