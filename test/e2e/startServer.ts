/**
 * A server and a client in one process, over two streams. Its end shuts down by protocol, and fails on messages no test
 * read and on requests not answered exactly once.
 */
import { PassThrough } from 'node:stream'
import { pathToFileURL } from 'node:url'
import { expect } from 'vitest'
import * as lsp from 'vscode-languageserver/node'
import { TextDocument } from 'vscode-languageserver-textdocument'
import type { Clock } from '../../server/base/clock.ts'
import type { LogLevel } from '../../server/base/log.ts'
import type { OpenSession, ServerOptions } from '../../server/lsp/serverOptions.ts'
import { type Server, startServer as start } from '../../server/lsp/startServer.ts'
import type { Session } from '../../server/session/session.ts'
import { parseMarked } from '../markup.ts'

export interface ClientOptions {
  readonly name?: string
  readonly capabilities?: lsp.ClientCapabilities
  readonly initializationOptions?: unknown
  readonly clock?: Clock
  /** What the client answers to `workspace/configuration`; read anew each time. */
  readonly configuration?: () => unknown
  /** Instead of a session that is there at once. */
  readonly openSession?: OpenSession
  readonly workspaceFolders?: readonly string[] // paths
  readonly userFile?: ServerOptions['userFile']
  readonly readUserFile?: ServerOptions['readUserFile']
  readonly logFile?: string
  /** Before the first message: for whatever the server says of itself. */
  readonly before?: (client: lsp.ProtocolConnection) => void
}

/** A document open in the client; `cursor` moves when the client types. */
export interface Opened {
  readonly uri: string
  readonly document: TextDocument
  cursor: number
}

export type TestServer = Awaited<ReturnType<typeof startServer>>

export async function startServer(session: Session, options: ClientOptions = {}) {
  const [up, down] = [new PassThrough(), new PassThrough()]
  const log: [LogLevel, string][] = []
  const levels: readonly LogLevel[] = ['error', 'warn', 'info', 'debug']
  // Reader and writer, never bare streams: with those the library ends the process, here the test worker.
  const connection = lsp.createConnection(new lsp.StreamMessageReader(up), new lsp.StreamMessageWriter(down))
  const server: Server = start(connection, {
    openSession: options.openSession ?? (async () => session),
    version: '0.0.0-test',
    logAt: (max) => (level, message) => {
      if (levels.indexOf(level) <= levels.indexOf(max)) log.push([level, message])
    },
    ...(options.clock ? { clock: options.clock } : {}),
    ...(options.userFile ? { userFile: options.userFile } : {}),
    ...(options.readUserFile ? { readUserFile: options.readUserFile } : {}),
    logFile: options.logFile,
  })

  const replies = new Map<string | number, number>()
  const reader = new lsp.StreamMessageReader(down)
  const writer = new lsp.StreamMessageWriter(up)
  const client = lsp.createProtocolConnection(tapped(reader, replies), writer)
  const asked: (string | number)[] = []
  const write = writer.write.bind(writer)
  writer.write = (message) => {
    if (lsp.Message.isRequest(message)) asked.push(message.id!)
    return write(message)
  }
  const unread: string[] = []
  const messages: lsp.ShowMessageParams[] = []
  client.onUnhandledNotification((message) => void unread.push(message.method))
  client.onNotification(lsp.ShowMessageNotification.type, (message) => void messages.push(message))
  client.onRequest(lsp.RegistrationRequest.type, () => {})
  client.onRequest(lsp.ConfigurationRequest.type, async () => [(await options.configuration?.()) ?? null])
  options.before?.(client)
  client.listen()
  const workspaceFolders = options.workspaceFolders?.map((path) => ({ uri: pathToFileURL(path).href, name: path }))
  const initialized = await client.sendRequest(lsp.InitializeRequest.type, {
    processId: null,
    rootUri: null,
    ...(workspaceFolders ? { workspaceFolders } : {}),
    capabilities: options.capabilities ?? {},
    ...(options.name ? { clientInfo: { name: options.name } } : {}),
    initializationOptions: options.initializationOptions,
  })
  await client.sendNotification(lsp.InitializedNotification.type, {})
  let count = 0

  return {
    client,
    server,
    initialized,
    log,
    /** Messages shown since the last call. Those never taken fail the end. */
    takeMessages: () => messages.splice(0),

    /** @param path of the file, which need not be there; default: another one each time. */
    async open(marked: string, languageId = 'python', path = `/document${count++}`): Promise<Opened> {
      const { text, cursor = text.length } = parseMarked(marked)
      const uri = path.startsWith('/') ? pathToFileURL(path).href : path
      const document = TextDocument.create(uri, languageId, 1, text)
      await client.sendNotification(lsp.DidOpenTextDocumentNotification.type, {
        textDocument: { uri, languageId, version: 1, text },
      })
      await server.known(uri)
      return { uri, document, cursor }
    },

    async type(opened: Opened, text: string): Promise<void> {
      const at = opened.document.positionAt(opened.cursor)
      const contentChanges = [{ range: { start: at, end: at }, text }]
      const version = opened.document.version + 1
      TextDocument.update(opened.document, contentChanges, version)
      opened.cursor += text.length
      await client.sendNotification(lsp.DidChangeTextDocumentNotification.type, {
        textDocument: { uri: opened.uri, version },
        contentChanges,
      })
    },

    /** Resolves when the server has taken in all that was sent before. */
    async roundTrip(): Promise<void> {
      expect(await errorCode(client.sendRequest('test/unknown'))).toBe(lsp.ErrorCodes.MethodNotFound)
    },

    completion(opened: Opened, token?: lsp.CancellationToken): Promise<lsp.CompletionList> {
      return client.sendRequest(lsp.CompletionRequest.type, at(opened), token) as Promise<lsp.CompletionList>
    },

    inline(
      opened: Opened,
      context: lsp.InlineCompletionContext = { triggerKind: lsp.InlineCompletionTriggerKind.Automatic },
      token?: lsp.CancellationToken,
    ): Promise<lsp.InlineCompletionList> {
      const params = { ...at(opened), context }
      return client.sendRequest(lsp.InlineCompletionRequest.type, params, token) as Promise<lsp.InlineCompletionList>
    },

    async end(): Promise<void> {
      await client.sendRequest(lsp.ShutdownRequest.type)
      await server.close()
      await until(() => !client.hasPendingResponse()).catch(() => {}) // those that never come are counted below
      client.dispose()
      connection.dispose()
      expect(unread, 'messages no test read').toEqual([])
      expect(messages, 'messages to the user no test read').toEqual([])
      expect(
        asked.map((id) => [id, replies.get(id) ?? 0]),
        'answers to each request',
      ).toEqual(asked.map((id) => [id, 1]))
    },
  }
}

export function at({ uri, document, cursor }: Opened): lsp.TextDocumentPositionParams {
  return { textDocument: { uri }, position: document.positionAt(cursor) }
}

/** The error code a request fails with; fails the test when it does not. */
export async function errorCode(reply: Promise<unknown>): Promise<number> {
  const outcome = await reply.then(
    (result) => ({ result }),
    (error: unknown) => error,
  )
  if (outcome instanceof lsp.ResponseError) return outcome.code
  throw new Error(`wanted an error, got ${JSON.stringify(outcome)}`)
}

/** Waits until the condition holds; fails after two seconds. */
export async function until(condition: () => boolean): Promise<void> {
  await expect.poll(condition, { timeout: 2000, interval: 2 }).toBe(true)
}

function tapped(reader: lsp.MessageReader, replies: Map<string | number, number>): lsp.MessageReader {
  const listen = reader.listen.bind(reader)
  reader.listen = (callback) =>
    listen((message) => {
      if (lsp.Message.isResponse(message) && message.id !== null)
        replies.set(message.id, (replies.get(message.id) ?? 0) + 1)
      callback(message)
    })
  return reader
}
