/** The built server as a process of its own, with a client on its streams. */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'
import { expect } from 'vitest'
import * as lsp from 'vscode-languageserver/node'
import { TextDocument } from 'vscode-languageserver-textdocument'
import { parseMarked } from '../markup.ts'
import { at, type Opened } from './startServer.ts'

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface SpawnedServer {
  readonly child: ChildProcessByStdio<Writable, Readable, Readable>
  readonly exit: Promise<Exit>
  readonly stderr: () => string
  /** All that came out, as text. */
  readonly stdout: () => string
}

export function spawnServer(
  args: readonly string[] = ['--stdio'],
  env: Readonly<Record<string, string>> = {},
): SpawnedServer {
  const child = spawn(process.execPath, ['dist/main.js', ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  })
  const [out, err]: [Buffer[], Buffer[]] = [[], []]
  child.stdout.on('data', (chunk: Buffer) => void out.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => void err.push(chunk))
  child.stdin.on('error', () => {}) // it may be gone before we are
  const exit = new Promise<Exit>((resolve) => child.on('close', (code, signal) => resolve({ code, signal })))
  return {
    child,
    exit,
    stdout: () => Buffer.concat(out).toString(),
    stderr: () => Buffer.concat(err).toString(),
  }
}

/** A client that has initialized the server and opened one document. */
export async function connect(
  server: SpawnedServer,
  marked: string,
  processId: number | null = null,
  settings: object = {},
) {
  const client = lsp.createProtocolConnection(
    new lsp.StreamMessageReader(server.child.stdout),
    new lsp.StreamMessageWriter(server.child.stdin),
  )
  client.listen()
  // No test may hang on the speed of its machine: the model is loaded, and the answer made, before the budget ends.
  const initializationOptions = { inlineBudgetMs: 50_000, invokedBudgetMs: 50_000, ...settings }
  const params = { processId, rootUri: null, capabilities: {}, initializationOptions }
  await client.sendRequest(lsp.InitializeRequest.type, params)
  await client.sendNotification(lsp.InitializedNotification.type, {})
  const { text, cursor = text.length } = parseMarked(marked)
  const document = TextDocument.create('file:///document.py', 'python', 1, text)
  const opened: Opened = { uri: document.uri, document, cursor }
  await client.sendNotification(lsp.DidOpenTextDocumentNotification.type, {
    textDocument: { uri: opened.uri, languageId: 'python', version: 1, text },
  })
  const ask = () =>
    client.sendRequest(lsp.InlineCompletionRequest.type, {
      ...at(opened),
      context: { triggerKind: lsp.InlineCompletionTriggerKind.Invoked },
    }) as Promise<lsp.InlineCompletionList>
  return { client, opened, ask }
}

/** The process ended by itself, in order, having written nothing but messages. */
export async function expectCleanExit(server: SpawnedServer): Promise<void> {
  expect(await server.exit, server.stderr()).toEqual({ code: 0, signal: null })
  expect(server.stderr()).not.toMatch(/abort|terminate called|nobody waited for|\n +at /i)
  let rest = server.stdout()
  while (rest !== '') {
    const header = /^Content-Length: (\d+)\r\n\r\n/.exec(rest)
    expect(header, `no message: ${rest.slice(0, 80)}`).not.toBeNull()
    const bytes = Buffer.from(rest.slice(header![0].length))
    JSON.parse(bytes.toString('utf8', 0, Number(header![1])))
    rest = bytes.toString('utf8', Number(header![1]))
  }
}
