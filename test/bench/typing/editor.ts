/** An editor at the other end of a pair of streams: the real server, the real session, the model of the rooms given. */
import { PassThrough } from 'node:stream'
import { pathToFileURL } from 'node:url'
import { createConnection } from 'vscode-languageserver/node'
import {
  createProtocolConnection,
  DidChangeTextDocumentNotification,
  DidCloseTextDocumentNotification,
  DidOpenTextDocumentNotification,
  InitializedNotification,
  InitializeRequest,
  type InlineCompletionItem,
  InlineCompletionRequest,
  InlineCompletionTriggerKind,
  ResponseError,
  ShutdownRequest,
  StreamMessageReader,
  StreamMessageWriter,
} from 'vscode-languageserver-protocol/node'
import { systemClock } from '../../../server/base/clock.ts'
import { silent } from '../../../server/base/log.ts'
import { startServer } from '../../../server/lsp/startServer.ts'
import type { Rooms } from '../../../server/session/fillGap.ts'
import type { Filled } from '../../../server/session/gaps.ts'
import { LiveSession } from '../../../server/session/liveSession.ts'
import type { Change } from './buffer.ts'
import type { Offer } from './ghost.ts'
import type { Place } from './recording.ts'

/** Answered with something to show, with nothing, or not at all: superseded, or its budget was over. */
export type Reply = { readonly kind: 'offer'; readonly offer: Offer } | { readonly kind: 'nothing' | 'cancelled' }

export interface EditorSession {
  /** What the model filled, in order. */
  readonly fills: Filled[]
  /** @param path of the file, if it lies anywhere. */
  open(languageId: string, text: string, path?: string): Promise<void>
  change(change: Change): Promise<void>
  /** Asks for ghost text, as automatic, and waits for the answer. Errors other than "cancelled" are thrown. */
  inline(place: Place): Promise<Reply>
  close(): Promise<void>
}

/** @param settings initialization options; what they leave out is as by default. */
export async function openEditor(rooms: Rooms, settings: Readonly<Record<string, unknown>>): Promise<EditorSession> {
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
  await client.sendRequest(InitializeRequest.type, {
    processId: null,
    rootUri: null,
    capabilities: {},
    initializationOptions: settings,
  })
  await client.sendNotification(InitializedNotification.type, {})
  let uri = ''
  let version = 0
  return {
    fills,
    async open(languageId, text, path) {
      if (uri) await client.sendNotification(DidCloseTextDocumentNotification.type, { textDocument: { uri } })
      version++
      uri = path === undefined ? `file:///bench/${version}` : pathToFileURL(path).href
      await client.sendNotification(DidOpenTextDocumentNotification.type, {
        textDocument: { uri, languageId, version, text },
      })
    },
    async change({ start, end, text }) {
      await client.sendNotification(DidChangeTextDocumentNotification.type, {
        textDocument: { uri, version: ++version },
        contentChanges: [{ range: { start, end }, text }],
      })
    },
    async inline(position) {
      const context = { triggerKind: InlineCompletionTriggerKind.Automatic }
      try {
        const list = await client.sendRequest(InlineCompletionRequest.type, {
          textDocument: { uri },
          position,
          context,
        })
        const [item] = Array.isArray(list) ? list : (list?.items ?? [])
        return item ? { kind: 'offer', offer: offerOf(item, position) } : { kind: 'nothing' }
      } catch (error) {
        if (error instanceof ResponseError && error.code === requestCancelled) return { kind: 'cancelled' }
        throw error
      }
    },
    async close() {
      await client.sendRequest(ShutdownRequest.type)
      client.dispose()
    },
  }
}

const requestCancelled = -32800

function offerOf({ insertText, range }: InlineCompletionItem, asked: Place): Offer {
  const text = typeof insertText === 'string' ? insertText : insertText.value
  const start = range?.start ?? asked
  return { place: start, text, replaces: range ? range.end.character - Math.max(start.character, asked.character) : 0 }
}
