/**
 * One request over HTTP or HTTPS to a server the user named: no redirects, a deadline, cancellation by closing the
 * connection, answers of bounded size. Failures tell whether the server can have begun to compute.
 */
import { Agent as HttpAgent, type IncomingMessage, request as requestHttp } from 'node:http'
import { Agent as HttpsAgent, request as requestHttps } from 'node:https'
import { abortReason, messageOf } from './errors.ts'
import { isCertificateCode, shownAddress, untrusted } from './remote.ts'

export interface Exchange {
  readonly method: 'GET' | 'POST'
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array
  readonly deadlineMs: number // from the call to the last byte of the answer
  /** Asked when the deadline is over: whether as much again is granted. Never rejects. Default: no. */
  readonly mayGoOn?: () => Promise<boolean>
}

export interface MostBytes {
  readonly mostBytes: number // of the answer
}

export interface Answered {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly bytes: Buffer
}

/** No answer, or not all of it. */
export class NoAnswer extends Error {
  override readonly name = 'NoAnswer'
  /** Nothing can have been computed: the request never reached a server. */
  readonly untouched: boolean

  constructor(message: string, untouched: boolean, cause?: unknown) {
    super(message, { cause })
    this.untouched = untouched
  }
}

/**
 * Servers close connections that idle, many after 5 s, and who then writes on one learns nothing but that it is gone. So
 * ours are closed before.
 */
const idle = { keepAlive: true, maxSockets: 16, scheduling: 'lifo', timeout: 4_000 } as const

/** Connections that are kept open between requests. */
export class Connections {
  private readonly http = new HttpAgent(idle)
  private readonly https = new HttpsAgent(idle)

  /**
   * @throws {NoAnswer} when none comes.
   * @throws {Aborted} when the signal fires; the connection is closed.
   * @throws {UserError} for certificates nobody vouches for.
   */
  async exchange(url: URL, exchange: Exchange & MostBytes, signal: AbortSignal): Promise<Answered> {
    const opened = await this.open(url, exchange, signal)
    const { status, headers } = opened
    return { status, headers, bytes: await opened.whole(exchange.mostBytes) }
  }

  /**
   * The answer as it begins; its `bytes` must be read; who stops before their end closes the connection.
   *
   * @throws as `exchange`, and so does reading.
   */
  async open(url: URL, exchange: Exchange, signal: AbortSignal): Promise<Opened> {
    if (signal.aborted) throw abortReason(signal)
    const { method, headers = {}, body, deadlineMs, mayGoOn } = exchange
    const secure = url.protocol === 'https:'
    const agent = secure ? this.https : this.http
    const request = secure ? requestHttps : requestHttp
    const length = body ? { 'content-length': String(body.length) } : {}
    const sent = request(url, { method, agent, headers: { 'user-agent': 'lacuna', ...length, ...headers } })
    const state = { late: false, connected: false, ended: false }
    let grantedMs = deadlineMs
    let timer = setTimeout(over, deadlineMs)
    async function over(): Promise<void> {
      const goesOn = await mayGoOn?.()
      if (state.ended) return
      if (goesOn) {
        grantedMs += deadlineMs
        timer = setTimeout(over, deadlineMs)
        return
      }
      state.late = true
      sent.destroy()
    }
    const abort = () => void sent.destroy()
    signal.addEventListener('abort', abort, { once: true })
    const end = () => {
      state.ended = true
      clearTimeout(timer)
      signal.removeEventListener('abort', abort)
    }
    const ours = (error: unknown): Error => {
      if (signal.aborted) return abortReason(signal)
      if (state.late) return new NoAnswer(`no answer within ${grantedMs / 1000} s`, false)
      const code = error instanceof Error && 'code' in error ? String(error.code) : ''
      if (isCertificateCode(code)) return untrusted(shownAddress(url), code)
      const untouched = !state.connected
      return new NoAnswer(error instanceof AggregateError ? code : messageOf(error), untouched, error)
    }
    try {
      const response = await new Promise<IncomingMessage>((resolve, reject) => {
        sent.once('socket', (socket) => {
          const ready = () => {
            state.connected = true
          }
          if (!socket.connecting) ready()
          else socket.once(secure ? 'secureConnect' : 'connect', ready)
        })
        sent.once('response', resolve)
        sent.on('error', reject)
        sent.end(body)
      })
      return new Opened(response, ours, end)
    } catch (error) {
      end()
      throw ours(error)
    }
  }

  close(): void {
    this.http.destroy()
    this.https.destroy()
  }
}

/** An answer of which the head is there. */
export class Opened {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  private readonly response: IncomingMessage
  private readonly ours: (error: unknown) => Error
  private readonly end: () => void

  constructor(response: IncomingMessage, ours: (error: unknown) => Error, end: () => void) {
    this.status = response.statusCode!
    this.headers = response.headers
    this.response = response
    this.ours = ours
    this.end = end
  }

  /** Once, and to its end: a body that is cut short, or longer than `mostBytes`, is a failure. */
  async *bytes(mostBytes: number): AsyncGenerator<Buffer> {
    let size = 0
    try {
      for await (const piece of this.response as AsyncIterable<Buffer>) {
        size += piece.length
        if (size > mostBytes) throw new NoAnswer(`an answer of more than ${mostBytes / 1024} KiB; refused`, false)
        yield piece
      }
    } catch (error) {
      if (error instanceof NoAnswer) throw error
      const failure = this.ours(error)
      throw failure instanceof NoAnswer ? new NoAnswer(`the answer was cut off: ${failure.message}`, false) : failure
    } finally {
      this.end()
      if (!this.response.complete) this.response.destroy()
    }
  }

  /** All of `bytes`. */
  async whole(mostBytes: number): Promise<Buffer> {
    const pieces: Buffer[] = []
    for await (const piece of this.bytes(mostBytes)) pieces.push(piece)
    return Buffer.concat(pieces)
  }
}
