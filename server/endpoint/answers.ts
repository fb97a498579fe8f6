/**
 * What text endpoints ask for and answer. One request fits all of them; what is written stands in one of three places:
 *
 * | who | where |
 * |---|---|
 * | Inception (Mercury), DeepSeek and others in the shape of OpenAI's completions, whole or streamed | `choices[0].text` |
 * | Mistral (Codestral), whole | `choices[0].message.content` |
 * | Mistral, streamed | `choices[0].delta.content` |
 *
 * Pure. Messages hold nothing of what was answered: it may be text of a document.
 */
import type { TextGap } from '../infill/infiller.ts'
import { MalformedAnswer } from './eventStream.ts'

export interface Part {
  readonly text: string
  /** 'open' while more may come, 'whole' when the model came to its end, 'cut' when something else ended it. */
  readonly end: 'open' | 'whole' | 'cut'
}

/** The same gap is answered the same way as far as that can be asked for: temperature 0. */
export function requestBody(model: string, { before, after, scope, maxTokens }: TextGap): Buffer {
  return Buffer.from(
    JSON.stringify({
      model,
      prompt: wellFormed(before),
      suffix: after === '' ? '\n' : wellFormed(after), // an empty one is taken for none, and files end in a line break
      max_tokens: maxTokens,
      temperature: 0,
      stream: true,
      ...(scope === 'line' ? { stop: ['\n'] } : {}),
    }),
  )
}

/** Half a surrogate pair, at the edge of a window say, is no JSON to many. */
function wellFormed(text: string): string {
  return Buffer.from(text).toString()
}

/**
 * One event of a stream, or a whole answer.
 *
 * @throws {MalformedAnswer} when nothing can have been written in it, or it says that it failed.
 */
export function readPart(json: string): Part {
  const answer = parsed(json)
  if (answer.error !== undefined && answer.error !== null) throw new MalformedAnswer(`it failed${codeIn(answer)}`)
  const { choices } = answer
  if (!Array.isArray(choices)) throw new MalformedAnswer('wanted "choices", found none')
  if (choices.length === 0) return { text: '', end: 'open' } // what it took is told in an event of its own
  const choice = object(choices[0])
  const found = choice.text ?? object(choice.delta).content ?? object(choice.message).content ?? ''
  if (typeof found !== 'string') throw new MalformedAnswer(`wanted a text in "choices", found ${typeof found}`)
  const reason = choice.finish_reason
  return { text: found, end: reason === undefined || reason === null ? 'open' : reason === 'stop' ? 'whole' : 'cut' }
}

/** The code of a refusal, in brackets; nothing else that a server says, which may repeat text or token. */
export function codeIn(answer: unknown): string {
  const { error, code } = object(answer)
  const found = [object(error).code, object(error).type, code].find(
    (one) => typeof one === 'string' && /^[A-Za-z_]{3,40}$/.test(one),
  )
  return found === undefined ? '' : ` (${String(found)})`
}

/** @throws {MalformedAnswer} */
function parsed(json: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch {
    // Always a SyntaxError, whose message quotes what it found.
    throw new MalformedAnswer('wanted JSON, found something else')
  }
  if (typeof value !== 'object' || value === null) throw new MalformedAnswer(`wanted an object, found ${typeof value}`)
  return value as Record<string, unknown>
}

function object(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}
