/** A real server on a local port that speaks as text endpoints do, whole and streamed, in each of their shapes; faults on demand. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'

/** How a server writes: as OpenAI's completions (Mercury, DeepSeek and others), or as Mistral's. */
export type Shape = 'completions' | 'mistral'

export type Reply =
  | { readonly kind: 'whole'; readonly body: string | Buffer }
  /** Each piece a write of its own; `next` tells what follows the last one (default: the end). */
  | { readonly kind: 'streamed'; readonly pieces: readonly (string | Buffer)[]; readonly next?: 'waits' | 'dies' }
  | {
      readonly kind: 'status'
      readonly status: number
      readonly body?: string
      readonly headers?: Readonly<Record<string, string>>
    }
  | { readonly kind: 'dies' }
  | { readonly kind: 'waits' }

export interface Asked {
  readonly path: string
  readonly authorization: string | undefined
  readonly body: Readonly<Record<string, unknown>>
}

export class LocalEndpoint {
  /** What is answered to the next requests, one each; after that, and first of all, `usual`. */
  readonly replies: Reply[] = []
  usual: (asked: Asked) => Reply = () => streamed('completions', ['value)'])
  readonly asked: Asked[] = []
  connections = 0
  /** Answers whose connection was closed before they ended. */
  closedEarly = 0
  port = 0
  private readonly server: Server

  constructor(tls?: { readonly key: string; readonly cert: string }) {
    const listener = (request: IncomingMessage, response: ServerResponse) => void this.answer(request, response)
    this.server = tls ? createSecureServer(tls, listener) : createServer(listener)
    this.server.on(tls ? 'secureConnection' : 'connection', () => this.connections++)
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve))
    this.port = (this.server.address() as AddressInfo).port
    return this
  }

  url(path = '/v1/fim/completions'): URL {
    return new URL(`http://127.0.0.1:${this.port}${path}`)
  }

  async close(): Promise<void> {
    this.server.closeAllConnections()
    await new Promise((resolve) => this.server.close(resolve))
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const pieces: Buffer[] = []
    for await (const piece of request) pieces.push(piece as Buffer)
    const { url = '', headers } = request
    const body = JSON.parse(Buffer.concat(pieces).toString()) as Asked['body']
    const asked = { path: url, authorization: headers.authorization, body }
    this.asked.push(asked)
    response.once('close', () => {
      if (!response.writableFinished) this.closedEarly++
    })
    const reply = this.replies.shift() ?? this.usual(asked)
    switch (reply.kind) {
      case 'whole':
        return void response.writeHead(200, { 'content-type': 'application/json' }).end(reply.body)
      case 'streamed':
        response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' })
        response.flushHeaders()
        for (const piece of reply.pieces) {
          response.write(piece)
          await new Promise((resolve) => setTimeout(resolve, 1)) // a packet of its own
        }
        if (reply.next === 'dies') response.destroy()
        else if (reply.next === undefined) response.end()
        return
      case 'status':
        return void response.writeHead(reply.status, reply.headers).end(reply.body)
      case 'dies':
        return void response.destroy()
      case 'waits':
        return
    }
  }
}

export function eventsOf(shape: Shape, texts: readonly string[], finish: string | null = 'stop'): string {
  const event = (text: string, reason: string | null) => {
    const written = shape === 'mistral' ? { delta: { content: text } } : { text, logprobs: null }
    return `data: ${JSON.stringify({ id: 'x', choices: [{ index: 0, ...written, finish_reason: reason }] })}\n\n`
  }
  return `${texts.map((text) => event(text, null)).join('')}${finish === null ? '' : event('', finish)}data: [DONE]\n\n`
}

export function streamed(shape: Shape, texts: readonly string[], finish: string | null = 'stop'): Reply {
  return { kind: 'streamed', pieces: [eventsOf(shape, texts, finish)] }
}

export function whole(shape: Shape, text: string, finish = 'stop'): Reply {
  const written = shape === 'mistral' ? { message: { role: 'assistant', content: text } } : { text }
  return { kind: 'whole', body: JSON.stringify({ choices: [{ index: 0, ...written, finish_reason: finish }] }) }
}
