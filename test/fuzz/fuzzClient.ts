/**
 * A client that says whatever comes to its mind, and keeps the books: its own texts, what it asked, what it was told. It
 * writes messages by hand, so that it can also say what no client library would.
 */
import type { InitializeResult, ServerCapabilities } from 'vscode-languageserver'
import { type ContentChange, changed } from './clientText.ts'
import { codes, Ledger, type Pending, type Reply } from './ledger.ts'
import type { Random } from './random.ts'
import { frame, readFrames, type Target } from './target.ts'

export interface FuzzDocument {
  readonly uri: string
  readonly languageId: string
  version: number
  text: string
  /** The server forgot it on purpose, after a change that made no sense, until it is opened again. */
  lost: boolean
}

/** How the client of this session presents itself. */
export interface Guise {
  readonly name: string | undefined
  readonly capabilities: object
  readonly initializationOptions: unknown
}

interface ServerMessage extends Partial<Reply> {
  readonly method?: string
  readonly params?: unknown
}

export type OnRequest = (method: string, params: unknown) => { result: unknown } | { error: object }

export class FuzzClient {
  readonly target: Target
  readonly random: Random
  readonly guise: Guise
  readonly ledger = new Ledger()
  readonly documents = new Map<string, FuzzDocument>()
  readonly notified = new Map<string, number>() // what the server told or asked, by method
  readonly history: string[] = []
  capabilities: ServerCapabilities = {}
  isShutDown = false
  private readonly onRequest: OnRequest
  private nextId = 1

  constructor(target: Target, random: Random, guise: Guise, onRequest: OnRequest) {
    this.target = target
    this.random = random
    this.guise = guise
    this.onRequest = onRequest
    readFrames(
      target.output,
      (message) => this.take(message as ServerMessage),
      (bytes) => this.ledger.breach(`no message: ${JSON.stringify(bytes)}`),
    )
  }

  async initialize(): Promise<void> {
    const { name, capabilities, initializationOptions } = this.guise
    const params = { processId: null, rootUri: null, capabilities, initializationOptions }
    let answer: InitializeResult | undefined
    this.request('initialize', name ? { ...params, clientInfo: { name } } : params, ({ result, error }) => {
      answer = result as InitializeResult
      return error ? 'wanted a result' : undefined
    })
    for (let waited = 0; !answer && waited < 1000; waited++) await this.target.rest(1)
    this.capabilities = answer?.capabilities ?? {}
    this.notify('initialized', {})
  }

  /** @returns the id. */
  request(
    method: string,
    params: unknown,
    check: Pending['check'],
    about?: Pick<FuzzDocument, 'uri' | 'version'>,
  ): string | number {
    const id = this.random.chance(0.1) ? `id ${this.nextId++}` : this.nextId++
    this.write({ jsonrpc: '2.0', id, method, params })
    const place = about ? { uri: about.uri, version: about.version } : {}
    this.ledger.asked(id, { method, check, ...place })
    return id
  }

  notify(method: string, params: unknown): void {
    this.write({ jsonrpc: '2.0', method, params })
  }

  cancel(id: string | number): void {
    const pending = this.ledger.pending.get(id)
    if (pending) pending.cancelled = true
    this.notify('$/cancelRequest', { id })
  }

  open(document: Omit<FuzzDocument, 'lost'>): void {
    this.documents.set(document.uri, { ...document, lost: false })
    this.notify('textDocument/didOpen', { textDocument: document })
    this.ledger.changed(document.uri, document.version, document.text)
  }

  change(document: FuzzDocument, contentChanges: readonly ContentChange[]): void {
    document.version++
    for (const change of contentChanges) document.text = changed(document.text, change)
    const { uri, version } = document
    this.notify('textDocument/didChange', { textDocument: { uri, version }, contentChanges })
    this.ledger.changed(uri, version, document.text)
  }

  close({ uri }: FuzzDocument): void {
    this.documents.delete(uri)
    this.notify('textDocument/didClose', { textDocument: { uri } })
    this.ledger.closed(uri)
  }

  /** Waits until all is answered; what never is, is a breach. */
  async settle(patience: number): Promise<void> {
    for (let waited = 0; this.ledger.pending.size > 0 && waited < patience; waited++) await this.target.rest(1)
    for (const [id, { method }] of this.ledger.pending)
      this.ledger.breach(`${method} ${JSON.stringify(id)} was never answered`)
    this.ledger.pending.clear()
  }

  /** What every refusal is, while the server is going down. */
  refused({ error }: Reply): string | undefined {
    return error?.code === codes.invalidRequest ? undefined : 'wanted InvalidRequest after shutdown'
  }

  private write(message: object): void {
    this.ledger.isSent()
    this.history.push(JSON.stringify(message))
    this.target.input.write(frame(message))
  }

  private take(message: ServerMessage): void {
    if (message.method === undefined) return this.ledger.reply(message as Reply)
    this.notified.set(message.method, (this.notified.get(message.method) ?? 0) + 1)
    if (message.id === undefined) return
    const answer = { jsonrpc: '2.0', id: message.id, ...this.onRequest(message.method, message.params) }
    const later = this.random.below(6)
    void this.target.rest(later).then(() => this.target.input.write(frame(answer)))
  }
}
