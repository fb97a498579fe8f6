/**
 * An `Infiller` over HTTP: `/v1/fim/completions`, or `/v1/completions` with a suffix, streamed where the server streams. Text
 * goes there and nowhere else; neither it nor the token is ever part of a message.
 */
import { Aborted, UserError } from '../base/errors.ts'
import { Connections, NoAnswer, type Opened } from '../base/httpExchange.ts'
import { toLineFeeds } from '../base/lineFeeds.ts'
import { remoteAddress, shownAddress } from '../base/remote.ts'
import { retryAfterMs } from '../base/retryAfter.ts'
import { type Infiller, NoInfill, type TextGap, type Written } from '../infill/infiller.ts'
import { codeIn, type Part, readPart, requestBody } from './answers.ts'
import { eventData, MalformedAnswer } from './eventStream.ts'

export interface TextEndpointOptions {
  readonly url: URL
  readonly model: string // as the server calls it
  readonly token?: string | undefined // sent as a bearer token
  readonly deadlineMs: number // from the question to the last byte of the answer
  /** Called before each request. */
  readonly onSend?: () => void
}

const mostAnswerBytes = 1024 * 1024 // an event of 300 bytes for each of 1,024 tokens, three times
const mostRefusalBytes = 64 * 1024
/** vLLM: "suffix is not currently supported"; llama.cpp: "Unsupported param: suffix"; OpenAI: "Unrecognized request argument supplied: suffix". */
const suffixRefused = /suffix is not|(unsupported|unrecognized|unknown)[^"]*\bsuffix/i

/**
 * Whether an address is that of a text endpoint, by its path.
 *
 * @throws {UserError} for an address that text may not be sent to, and for that of a chat.
 */
export function isTextEndpoint(address: string): boolean {
  const { pathname } = remoteAddress(address, 'engine')
  const other = /\/(chat|edit|apply)\/completions\/?$/.exec(pathname)
  if (other)
    throw new UserError(
      `engine: ${other[1]}/completions fills no gaps; wanted an address that ends in /fim/completions, or in /completions and takes a suffix`,
    )
  return /\/completions\/?$/.test(pathname)
}

export class TextEndpoint implements Infiller {
  private readonly options: TextEndpointOptions
  private readonly connections = new Connections()

  constructor(options: TextEndpointOptions) {
    this.options = options
  }

  get shown(): string {
    return `${shownAddress(this.options.url)}, model ${this.options.model}`
  }

  async infill(gap: TextGap, signal: AbortSignal, onProgress: (text: string) => void): Promise<Written> {
    try {
      const opened = await this.ask(gap, signal)
      if (opened.status !== 200) throw await this.refusal(opened)
      return await read(opened, gap, onProgress)
    } catch (error) {
      if (error instanceof Aborted || error instanceof UserError || error instanceof NoInfill) throw error
      if (error instanceof NoAnswer) throw new NoInfill(`${this.shown}: ${error.message}`)
      if (error instanceof MalformedAnswer)
        throw new NoInfill(`${this.shown}: its answer cannot be understood: ${error.message}`)
      throw error
    }
  }

  close(): void {
    this.connections.close()
  }

  private ask(gap: TextGap, signal: AbortSignal): Promise<Opened> {
    const { url, model, token, deadlineMs, onSend } = this.options
    const headers = {
      'content-type': 'application/json',
      accept: 'text/event-stream, application/json',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    }
    const body = requestBody(model, gap)
    onSend?.()
    return this.connections.open(url, { method: 'POST', headers, body, deadlineMs }, signal)
  }

  private async refusal(opened: Opened): Promise<Error> {
    const { status, headers } = opened
    const { shown } = this
    const body = await whole(opened, mostRefusalBytes).catch((error: unknown) => {
      if (error instanceof NoAnswer || error instanceof MalformedAnswer) return ''
      throw error
    })
    const told = `${shown}: ${status}${codeIn(jsonIn(body))}`
    if (status >= 300 && status < 400)
      return new UserError(`${told}: it sends on to another address; redirects are not followed, name the right one`)
    switch (status) {
      case 401:
      case 403: {
        const found = this.options.token === undefined ? 'it wants a token' : 'it does not take this token'
        return new UserError(
          `${told}: ${found}; set LACUNA_ENGINE_TOKEN, or LACUNA_ENGINE_TOKEN_FILE to a file with it`,
        )
      }
      case 404:
        return new UserError(`${told}: is the address right, and the model's name ("engineModel")?`)
      case 400:
      case 422: {
        const noSuffix = suffixRefused.test(body)
        const found = noSuffix ? 'it takes no suffix, so it fills no gaps' : 'it does not take such a request'
        return new UserError(
          `${told}: ${found}; is the model's name ("engineModel") that of one that fills in the middle?`,
        )
      }
      case 429: {
        const ms = retryAfter(headers['retry-after'])
        const wait = ms === undefined ? '' : `; asked again in ${Math.ceil(ms / 1000)} s`
        return new NoInfill(`${told}: too many requests, or a quota is used up${wait}`, ms)
      }
      default:
        return new NoInfill(told, retryAfter(headers['retry-after']))
    }
  }
}

/** @throws {MalformedAnswer | NoAnswer | Aborted} */
async function read(opened: Opened, gap: TextGap, onProgress: (text: string) => void): Promise<Written> {
  const isStream = /^text\/event-stream\b/i.test(opened.headers['content-type'] ?? '')
  let text = ''
  let end: Part['end'] = 'open'
  for await (const part of isStream ? streamed(opened) : only(opened)) {
    if (end !== 'open') continue // read to its end, so that the connection serves the next request
    text += part.text
    end = part.end
    const lineEnd = gap.scope === 'line' ? text.search(/[\r\n]/) : -1
    // Whatever else is written is not wanted; not reading on closes the connection.
    if (lineEnd >= 0) return { text: text.slice(0, lineEnd), complete: true }
    if (part.text !== '') onProgress(toLineFeeds(text))
  }
  return { text: toLineFeeds(text), complete: end === 'whole' }
}

async function* streamed(opened: Opened): AsyncGenerator<Part> {
  for await (const data of eventData(opened.bytes(mostAnswerBytes)))
    yield data === '[DONE]' ? { text: '', end: 'whole' } : readPart(data)
}

/** A whole answer says how it ended, or did. */
async function* only(opened: Opened): AsyncGenerator<Part> {
  const { text, end } = readPart(await whole(opened, mostAnswerBytes))
  yield { text, end: end === 'open' ? 'whole' : end }
}

async function whole(opened: Opened, mostBytes: number): Promise<string> {
  const bytes = await opened.whole(mostBytes)
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    // The one failure of a fatal decoder.
    throw new MalformedAnswer('wanted UTF-8, found other bytes')
  }
}

/** `undefined` for what is no JSON. */
function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

const mostWaitMs = 10 * 60_000

function retryAfter(value: string | undefined): number | undefined {
  const ms = retryAfterMs(value)
  return ms === undefined ? undefined : Math.min(ms, mostWaitMs)
}
