/**
 * Any completion language server, over stdio: inline completion where it offers that, its menu's first item otherwise. It is
 * told of one document, with the gap closed, and asked at the gap. Knows LSP; nothing of what is at the other end.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import * as lsp from 'vscode-languageserver-protocol/node'
import { TextDocument } from 'vscode-languageserver-textdocument'
import { UserError } from '../../../server/base/errors.ts'
import type { TextEdit } from '../../../server/base/spans.ts'
import type { Answer, Answerer, Case } from '../benchmark.ts'
import { inlineEdit, menuEdit } from './completionItems.ts'

export interface LanguageServerOptions {
  readonly name: string
  /** Of `initialize`, and what `workspace/configuration` is answered with. */
  readonly settings: Readonly<Record<string, unknown>>
  readonly patienceMs: number // for one answer; later is none
}

const startMs = 60_000
const tries = 4 // of a request that the server cancelled by itself, or answers later

/** A server that runs: its streams, and its end. */
export interface RunningServer {
  readonly input: NodeJS.ReadableStream
  readonly output: NodeJS.WritableStream
  /** How it ended; pending while it runs. */
  readonly ended: Promise<string>
  readonly kill: () => void
}

/** @param command as in a shell; it is run by one. */
export function spawnServer(command: string): RunningServer {
  const child: ChildProcess = spawn('sh', ['-c', `exec ${command}`], { stdio: ['pipe', 'pipe', 'pipe'] })
  let told = ''
  child.stderr!.on('data', (chunk: Buffer) => {
    told = (told + chunk.toString('utf8')).slice(-400)
  })
  const ended = new Promise<string>((resolve) => {
    child.on('close', (code, signal) =>
      resolve(`it ended with ${signal ?? code}: ${told.trim().split('\n').at(-1) ?? ''}`),
    )
  })
  child.stdin!.on('error', () => {}) // told by its end
  return { input: child.stdout!, output: child.stdin!, ended, kill: () => void child.kill() }
}

/** @throws {UserError} when it does not start, or completes nothing. */
export async function languageServer(server: RunningServer, options: LanguageServerOptions): Promise<Answerer> {
  const { name, settings, patienceMs } = options
  const folder = mkdtempSync(join(tmpdir(), 'lacuna-eval-'))
  const client = lsp.createProtocolConnection(
    new lsp.StreamMessageReader(server.input),
    new lsp.StreamMessageWriter(server.output),
  )
  client.onRequest(lsp.ConfigurationRequest.type, ({ items }) => items.map(() => settings))
  client.onRequest(lsp.RegistrationRequest.type, () => {})
  client.onRequest(lsp.WorkDoneProgressCreateRequest.type, () => {})
  client.onRequest(lsp.WorkspaceFoldersRequest.type, () => null)
  client.onUnhandledNotification(() => {}) // logs and diagnostics
  client.onError(() => {}) // a server that ended is told by its failure
  client.listen()
  const rootUri = pathToFileURL(folder).href
  const starting = client.sendRequest(lsp.InitializeRequest.type, {
    ...{ processId: process.pid, rootUri, capabilities, initializationOptions: settings },
    workspaceFolders: [{ uri: rootUri, name: 'eval' }],
  })
  const gone = server.ended.then((how): never => {
    throw new UserError(`${name}: ${how}`)
  })
  gone.catch(() => {}) // told by the request that meets it
  /** The server's end, where there is one, rather than what a stream says of it. */
  const orGone = async <T>(answer: Promise<T>): Promise<T> => {
    try {
      return await Promise.race([answer, gone])
    } catch (error) {
      const isReply = error instanceof lsp.ResponseError && error.code !== lsp.ErrorCodes.MessageWriteError
      if (!isReply) await within(1000, gone)
      throw error
    }
  }
  const answered = <T>(answer: Promise<T>) => within(patienceMs, orGone(answer))
  const started = await within(startMs, orGone(starting))
  if (!started) throw new UserError(`${name}: no answer to "initialize" in ${startMs} ms; is it a language server?`)
  const { capabilities: offered, serverInfo } = started
  const isInline = offered.inlineCompletionProvider !== undefined && offered.inlineCompletionProvider !== false
  if (!isInline && !offered.completionProvider)
    throw new UserError(`${name} offers neither completion nor inline completion`)
  await client.sendNotification(lsp.InitializedNotification.type, {})
  let count = 0

  const askOnce = async (document: TextDocument, offset: number, isByHand: boolean): Promise<TextEdit | undefined> => {
    const at = { textDocument: { uri: document.uri }, position: document.positionAt(offset) }
    if (isInline) {
      const triggerKind = isByHand ? lsp.InlineCompletionTriggerKind.Invoked : lsp.InlineCompletionTriggerKind.Automatic
      const answer = client.sendRequest(lsp.InlineCompletionRequest.type, { ...at, context: { triggerKind } })
      return inlineEdit(document, offset, (await answered(answer)) ?? null)
    }
    const context = { triggerKind: lsp.CompletionTriggerKind.Invoked }
    const answer = await answered(client.sendRequest(lsp.CompletionRequest.type, { ...at, context }))
    if (answer && !Array.isArray(answer) && answer.isIncomplete && answer.items.length === 0) throw notYet
    return menuEdit(document, offset, answer ?? null)
  }

  const ask = async (document: TextDocument, offset: number, isByHand: boolean): Promise<TextEdit | undefined> => {
    for (let i = 1; ; i++) {
      try {
        return await askOnce(document, offset, isByHand)
      } catch (error) {
        const isLater = error === notYet || (error instanceof lsp.ResponseError && laterCodes.has(error.code))
        if (!isLater) throw error
        if (i === tries) return undefined
      }
    }
  }

  return {
    name,
    about: {
      ...(serverInfo ? { server: `${serverInfo.name} ${serverInfo.version ?? ''}`.trim() } : {}),
      settings,
      method: isInline ? 'inlineCompletion' : 'completion',
    },
    async ask({ text, offset, languageId }: Case): Promise<Answer> {
      const path = join(folder, String(++count))
      mkdirSync(path)
      const file = join(path, `document${endings[languageId] ?? '.txt'}`)
      writeFileSync(file, text)
      const document = TextDocument.create(pathToFileURL(file).href, languageId, 1, text)
      const textDocument = { uri: document.uri, languageId, version: 1, text }
      await orGone(client.sendNotification(lsp.DidOpenTextDocumentNotification.type, { textDocument }))
      // First what nobody asked for, so that the document is read when the time is taken.
      const unasked = await ask(document, offset, false)
      const began = performance.now()
      const edit = await ask(document, offset, true)
      const ms = performance.now() - began
      await client.sendNotification(lsp.DidCloseTextDocumentNotification.type, { textDocument: { uri: document.uri } })
      rmSync(path, { recursive: true })
      return { edit, ...(isInline ? { shown: { edit: unasked } } : {}), ms }
    },
    async close() {
      // One that has gone already has nothing to say to this.
      await within(5000, client.sendRequest(lsp.ShutdownRequest.type)).catch(() => {})
      await client.sendNotification(lsp.ExitNotification.type).catch(() => {})
      client.dispose()
      server.kill()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

const notYet = new Error('the list is incomplete, and empty')
const laterCodes: ReadonlySet<number> = new Set([
  lsp.LSPErrorCodes.RequestCancelled,
  lsp.LSPErrorCodes.ServerCancelled,
  lsp.LSPErrorCodes.ContentModified,
])

const capabilities: lsp.ClientCapabilities = {
  workspace: { configuration: true, workspaceFolders: true },
  textDocument: {
    synchronization: {},
    completion: {
      completionItem: { snippetSupport: true, preselectSupport: true },
      completionList: { itemDefaults: ['editRange', 'insertTextFormat'] },
    },
    inlineCompletion: {},
  },
}

const endings: Readonly<Record<string, string>> = {
  python: '.py',
  typescript: '.ts',
  javascript: '.js',
  rust: '.rs',
  go: '.go',
  c: '.c',
  lua: '.lua',
  'emacs-lisp': '.el',
  shellscript: '.sh',
}

/** `undefined` when it takes longer. */
async function within<T>(ms: number, answer: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ms)
  })
  try {
    return await Promise.race([answer, late])
  } finally {
    clearTimeout(timer)
  }
}
