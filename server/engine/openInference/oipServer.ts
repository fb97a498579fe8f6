/**
 * A server of the Open Inference Protocol v2, as its client sees it: readiness, metadata, inference with binary tensors. A
 * request is repeated only where nothing was computed. Every failure names server, model and cause.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Aborted, abortReason, EngineError, messageOf, UserError } from '../../base/errors.ts'
import { type Answered, Connections, type Exchange, type MostBytes, NoAnswer } from '../../base/httpExchange.ts'
import { shownAddress } from '../../base/remote.ts'
import { type Body, headLength, MalformedBody, readBody, type Tensors, writeBody } from './tensors.ts'

/** Nobody answers, or the server cannot answer now: another place may, and so may this one later. */
export class ServerGoneError extends EngineError {
  override readonly name = 'ServerGoneError'
}

/** The server is there, and had no answer in all the time it was given: asked again, it would only have more to do. */
export class ServerBusyError extends EngineError {
  override readonly name = 'ServerBusyError'
}

export interface OipServerOptions {
  readonly url: URL // `/v2` is appended
  readonly model: string
  readonly token?: string | undefined // sent as a bearer token
  readonly deadlineMs: number // of an inference
  /** How many deadlines an inference gets from a server that is ready each time one is over: it has much to do (default: one). */
  readonly mostDeadlines?: number
}

/** What a model's metadata say of one tensor. */
export interface TensorFact {
  readonly name: string
  readonly datatype: string
  readonly shape: readonly number[]
}

export interface ModelMetadata {
  readonly inputs: readonly TensorFact[]
  readonly outputs: readonly TensorFact[]
}

const mostAttempts = 3
const pauseMs = 50
const startMs = 5_000 // for readiness and metadata
const mostAnswerBytes = 256 * 1024 * 1024 // whole logits of 400 rows of 150,000 ids

export class OipServer {
  readonly options: OipServerOptions
  private readonly connections = new Connections()

  constructor(options: OipServerOptions) {
    this.options = options
  }

  /** For messages. */
  get shown(): string {
    return `${shownAddress(this.options.url)}, model ${this.options.model}`
  }

  /**
   * @throws {ServerGoneError} when nobody is there or ready.
   * @throws {UserError} when there is no such model.
   */
  async ready(signal: AbortSignal): Promise<void> {
    const place = `/v2/models/${encodeURIComponent(this.options.model)}/ready`
    const answer = await this.send(place, { method: 'GET', deadlineMs: startMs, mostBytes: 1 << 20 }, signal)
    if (answer.status !== 200) throw this.refusal(answer)
  }

  /** Whether `ready` says so. Never throws. */
  isReady(signal: AbortSignal): Promise<boolean> {
    return this.ready(signal).then(
      () => true,
      () => false,
    )
  }

  /** @throws as `ready`. */
  async metadata(signal: AbortSignal): Promise<ModelMetadata> {
    const place = `/v2/models/${encodeURIComponent(this.options.model)}`
    const answer = await this.send(place, { method: 'GET', deadlineMs: startMs, mostBytes: 1 << 20 }, signal)
    if (answer.status !== 200) throw this.refusal(answer)
    return this.understood(() => metadataOf(answer.bytes))
  }

  /**
   * @param parameters of the request, such as its session.
   * @param outputs names of those that are wanted (default: all).
   * @throws {RangeError} when the server says the request is wrong (400).
   * @throws {ServerGoneError | ServerBusyError | EngineError} when there is no answer, or none that can be understood.
   */
  async infer(
    tensors: Tensors,
    parameters: Readonly<Record<string, string | number | boolean>>,
    signal: AbortSignal,
    outputs?: readonly string[],
  ): Promise<Tensors> {
    const head = {
      parameters: { ...parameters, binary_data_output: true },
      ...(outputs ? { outputs: outputs.map((name) => ({ name, parameters: { binary_data: true } })) } : {}),
    }
    const { headBytes, bytes } = writeBody('inputs', { head, tensors })
    const { deadlineMs, mostDeadlines = 1 } = this.options
    let [deadlines, isSpent] = [1, false]
    const answer = await this.send(
      `/v2/models/${encodeURIComponent(this.options.model)}/infer`,
      {
        method: 'POST',
        headers: { 'content-type': 'application/octet-stream', [headLength]: String(headBytes) },
        body: bytes,
        deadlineMs,
        mayGoOn: async () => {
          isSpent = deadlines++ >= mostDeadlines
          return !isSpent && this.isReady(signal)
        },
        mostBytes: mostAnswerBytes,
      },
      signal,
    ).catch((error: unknown) => {
      const wasBusy = isSpent && mostDeadlines > 1 && error instanceof ServerGoneError
      throw wasBusy ? new ServerBusyError(error.message, { cause: error }) : error
    })
    if (answer.status !== 200) throw this.refusal(answer)
    return this.understood(() => bodyOf(answer).tensors)
  }

  /** A failure of this server, in words that name it. */
  failure(cause: string, error?: unknown): EngineError {
    return new EngineError(`${this.shown}: ${cause}`, { cause: error })
  }

  close(): void {
    this.connections.close()
  }

  private async send(place: string, exchange: Exchange & MostBytes, signal: AbortSignal): Promise<Answered> {
    const { url, token } = this.options
    const address = new URL(url.origin)
    // Not as a reference to be resolved: a path that begins with two slashes would name another host.
    address.pathname = `${url.pathname.replace(/\/+$/, '')}${place}`
    const headers = { ...exchange.headers, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) }
    for (let attempt = 1; ; attempt++) {
      try {
        const answer = await this.connections.exchange(address, { ...exchange, headers }, signal)
        // By the protocol a server that is not ready computes nothing.
        if (answer.status !== 503 || attempt === mostAttempts) return answer
      } catch (error) {
        if (error instanceof Aborted || error instanceof UserError) throw error
        if (!(error instanceof NoAnswer)) throw error
        if (!error.untouched || attempt === mostAttempts)
          throw new ServerGoneError(`${this.shown}: ${error.message}`, { cause: error })
      }
      await sleep(pauseMs * attempt, undefined, { signal }).catch(() => {
        throw abortReason(signal)
      })
    }
  }

  private refusal({ status, bytes }: Answered): Error {
    const reason = `${status}${reasonIn(bytes)}`
    if (status === 401 || status === 403)
      return new UserError(`${this.shown}: ${reason}; set LACUNA_ENGINE_TOKEN, or a file with the token`)
    if (status === 404) return new UserError(`${this.shown}: ${reason}; is the model's name right?`)
    if (status >= 300 && status < 400) return new UserError(`${this.shown}: ${status}; redirects are not followed`)
    if (status === 400) return new RangeError(`${this.shown}: ${reason}`)
    if (status === 429 || status === 502 || status === 503 || status === 504)
      return new ServerGoneError(`${this.shown}: ${reason}`)
    return this.failure(reason)
  }

  private understood<Value>(read: () => Value): Value {
    try {
      return read()
    } catch (error) {
      if (error instanceof MalformedBody) throw this.failure(`its answer cannot be understood: ${error.message}`, error)
      throw error
    }
  }
}

function bodyOf({ bytes, headers }: Answered): Body {
  const length = headers[headLength]
  return readBody('outputs', bytes, length === undefined ? undefined : Number(length))
}

/** What the server says of its refusal; one line, and not all of a long one. */
function reasonIn(bytes: Buffer): string {
  try {
    const { error } = JSON.parse(bytes.toString('utf8')) as { error?: unknown }
    return typeof error === 'string' ? `: ${error.replaceAll(/\s+/g, ' ').slice(0, 300)}` : ''
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return ''
    throw error
  }
}

function metadataOf(bytes: Buffer): ModelMetadata {
  let value: Record<string, unknown> | null
  try {
    value = JSON.parse(bytes.toString('utf8')) as Record<string, unknown> | null
  } catch (error) {
    throw new MalformedBody(`metadata: ${messageOf(error)}`)
  }
  const list = (key: 'inputs' | 'outputs'): TensorFact[] => {
    const tensors = value?.[key]
    if (!Array.isArray(tensors)) throw new MalformedBody(`metadata: no list of ${key}`)
    return tensors as TensorFact[]
  }
  return { inputs: list('inputs'), outputs: list('outputs') }
}
