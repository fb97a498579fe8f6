/**
 * Server-sent events: bytes, however they were cut, → the data of each event. Knows nothing of what the data mean.
 *
 * Source: WHATWG HTML, "Server-sent events"; names, ids and retry times of events are of no meaning here.
 */

import { TextDecoder } from 'node:util'

/** Bytes that are not what they were said to be. The message holds nothing of them. */
export class MalformedAnswer extends Error {
  override readonly name = 'MalformedAnswer'
}

/** @throws {MalformedAnswer} for bytes that are no UTF-8. Reading throws what `bytes` throws. */
export async function* eventData(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true }) // skips a byte order mark
  const event = new EventLines()
  for await (const piece of bytes) yield* event.take(decoded(decoder, piece))
  yield* event.take(decoded(decoder))
  // What no empty line follows is no event by the standard; some servers end so all the same.
  yield* event.take('\n\n')
}

class EventLines {
  private rest = '' // of a line that has not ended
  private data: string[] = []

  /** @returns the data of the events that end in it. */
  take(text: string): string[] {
    const ended: string[] = []
    const lineEnd = /\r\n|\n|\r(?!$)/g // a return at the very end may be the first half of a line break
    lineEnd.lastIndex = Math.max(0, this.rest.length - 1)
    this.rest += text
    let start = 0
    for (let found: RegExpExecArray | null; (found = lineEnd.exec(this.rest)); start = lineEnd.lastIndex) {
      const line = this.rest.slice(start, found.index)
      if (line !== '') this.line(line)
      else if (this.data.length > 0) {
        ended.push(this.data.join('\n'))
        this.data = []
      }
    }
    this.rest = this.rest.slice(start)
    return ended
  }

  private line(line: string): void {
    const field = /^data(?:: ?(.*))?$/s.exec(line)
    if (field) this.data.push(field[1] ?? '')
  }
}

/** @param bytes undefined at the end. */
function decoded(decoder: TextDecoder, bytes?: Uint8Array): string {
  try {
    return decoder.decode(bytes, { stream: bytes !== undefined })
  } catch {
    // The one failure of a fatal decoder.
    throw new MalformedAnswer('wanted UTF-8, found other bytes')
  }
}
