/**
 * One GET over HTTP or HTTPS, as downloads need it: redirects followed by hand, so that a token never leaves its own
 * host; through the environment's proxy; failures of the network told apart from all others. Knows nothing of hubs.
 *
 * On node:http, not `fetch`: that of Node 20 knows no proxy, and asks servers to compress what a `Range` counts in bytes.
 */
import { type IncomingHttpHeaders, type IncomingMessage, type RequestOptions, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { abortReason, messageOf, UserError } from '../base/errors.ts'
import { isCertificateCode, isLoopback, shownAddress, untrusted } from '../base/remote.ts'
import { bodyPieces } from './bodyPieces.ts'
import { type Environment, hostOf, proxyAuthorization, proxyFor } from './proxy.ts'

export interface Token {
  readonly value: string
  readonly origin: string // scheme, host and port it may be sent to
}

interface GetOptions {
  readonly headers?: Readonly<Record<string, string>>
  readonly token?: Token | undefined
  readonly env: Environment
  readonly idleMs?: number // without a byte for so long, the connection counts as cut
  readonly signal: AbortSignal
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** Of the answers that redirected here and of this one; the first to say a thing wins. */
  readonly allHeaders: IncomingHttpHeaders
  readonly url: URL // after redirects
  /** The body. Once, and to its end, or `discard`. */
  pieces(): AsyncGenerator<Uint8Array>
  discard(): void
}

/** The connection was refused, cut or silent: another attempt may do. */
export class NetworkError extends Error {
  override readonly name = 'NetworkError'
  readonly code: string | undefined

  constructor(message: string, code?: string, cause?: unknown) {
    super(message, { cause })
    this.code = code
  }
}

const mostRedirects = 8
const defaultIdleMs = 60_000

/**
 * @throws {NetworkError} when no answer comes; `pieces` throws it too.
 * @throws {UserError} for certificates nobody vouches for, addresses in the clear and endless redirects.
 */
export async function httpGet(url: URL, options: GetOptions): Promise<Answer> {
  let allHeaders: IncomingHttpHeaders = {}
  let at = url
  for (let hop = 0; hop <= mostRedirects; hop++) {
    refuseInTheClear(at)
    const response = await sendOnce(at, options)
    allHeaders = { ...response.headers, ...allHeaders }
    const { location } = response.headers
    if (![301, 302, 303, 307, 308].includes(response.statusCode!) || location === undefined)
      return answerOf(response, allHeaders, at, options.signal)
    response.destroy()
    if (!URL.canParse(location, at.href)) throw new UserError(`${shownAddress(at)}: redirects to no address`)
    at = new URL(location, at.href)
    if (isLoopback(at) && !isLoopback(url))
      throw new UserError(`${shownAddress(url)}: redirects to this very machine; refused`)
  }
  throw new UserError(`${shownAddress(url)}: redirected more than ${mostRedirects} times; is the address right?`)
}

/** @throws {UserError} for anything but https, or http on this very machine. */
export function refuseInTheClear(url: URL): void {
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url))) return
  throw new UserError(`${shownAddress(url)}: models are fetched over https only (http: from this machine alone)`)
}

async function sendOnce(url: URL, options: GetOptions): Promise<IncomingMessage> {
  const { env, token, signal, idleMs = defaultIdleMs } = options
  if (signal.aborted) throw abortReason(signal)
  const headers: Record<string, string> = { 'user-agent': 'lacuna', 'accept-encoding': 'identity', ...options.headers }
  // Source: huggingface_hub, `_get_metadata_or_catch_error`, which drops the header when the redirect leaves the host.
  if (token && url.origin === token.origin) headers.authorization = `Bearer ${token.value}`
  const common: RequestOptions = { method: 'GET', signal, agent: false }
  const direct = { ...common, host: hostOf(url), port: url.port, path: `${url.pathname}${url.search}`, headers }
  // Without TLS only this machine is asked, and what a proxy would ask in our place is another.
  const proxy = url.protocol === 'https:' ? proxyFor(url, env) : undefined
  try {
    if (url.protocol !== 'https:') return await answered(requestHttp, direct, idleMs)
    if (!proxy) return await answered(requestHttps, direct, idleMs)
    const socket = await tunnel(proxy, url, common, idleMs)
    const servername = isIP(hostOf(url)) ? {} : { servername: hostOf(url) }
    const createConnection = () => connectTls({ socket, host: hostOf(url), ...servername })
    const { agent: _, ...withoutAgent } = direct // an agent, even a fresh one, would connect by itself
    return await answered(requestHttps, { ...withoutAgent, createConnection }, idleMs)
  } catch (error) {
    throw asOurs(error, url, signal, proxy)
  }
}

function answered(request: typeof requestHttp, options: RequestOptions, idleMs: number): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const sent = request(options, (response) => {
      sent.off('timeout', silent)
      sent.on('timeout', () => response.destroy(silence(idleMs)))
      resolve(response)
    })
    const silent = () => void sent.destroy(silence(idleMs))
    sent.setTimeout(idleMs)
    sent.on('timeout', silent)
    sent.on('error', reject)
    sent.end()
  })
}

/** A connection to the server of `url` through a proxy, by its CONNECT. */
function tunnel(proxy: URL, url: URL, common: RequestOptions, idleMs: number): Promise<Socket> {
  const authority = `${url.hostname}:${url.port || 443}`
  const authorization = proxyAuthorization(proxy)
  const headers = { host: authority, ...(authorization && { 'proxy-authorization': authorization }) }
  const request = proxy.protocol === 'https:' ? requestHttps : requestHttp
  const place = { host: hostOf(proxy), port: proxy.port || (proxy.protocol === 'https:' ? 443 : 80) }
  return new Promise((resolve, reject) => {
    const sent = request({ ...common, ...place, method: 'CONNECT', path: authority, headers })
    sent.setTimeout(idleMs, () => sent.destroy(silence(idleMs)))
    sent.on('connect', ({ statusCode }, socket) => {
      if (statusCode === 200) return resolve(socket)
      socket.destroy()
      reject(new UserError(`proxy ${proxy.origin} answered ${statusCode} to CONNECT ${authority}; ${proxyAdvice}`))
    })
    sent.on('response', (response) => {
      response.destroy()
      reject(
        new UserError(`proxy ${proxy.origin} answered ${response.statusCode} to CONNECT ${authority}; ${proxyAdvice}`),
      )
    })
    sent.on('error', reject)
    sent.end()
  })
}

const proxyAdvice = 'check HTTPS_PROXY (http://NAME:PASSWORD@HOST:PORT where it asks who you are) and NO_PROXY'

function answerOf(response: IncomingMessage, allHeaders: IncomingHttpHeaders, url: URL, signal: AbortSignal): Answer {
  return {
    status: response.statusCode!,
    headers: response.headers,
    allHeaders,
    url,
    pieces: bodyPieces(response, (error) => asOurs(error, url, signal)), // at once: what happens before somebody listens would be missed
    discard: () => void response.destroy(),
  }
}

function silence(idleMs: number): NetworkError {
  return new NetworkError(`no data for ${Math.round(idleMs / 1000)} s`, 'ETIMEDOUT')
}

/** What went wrong on the way to `url`, without what may be secret in it. */
function asOurs(error: unknown, url: URL, signal: AbortSignal, proxy?: URL): Error {
  if (signal.aborted) return abortReason(signal)
  if (error instanceof UserError) return error
  const code = error instanceof Error && 'code' in error ? String(error.code) : undefined
  const where = `${shownAddress(url)}${proxy ? ` through proxy ${proxy.origin}` : ''}`
  if (code !== undefined && isCertificateCode(code)) return untrusted(where, code)
  const reason = error instanceof AggregateError ? code : messageOf(error) // one error per address tried
  return new NetworkError(`${where}: ${reason}`, code, error)
}
