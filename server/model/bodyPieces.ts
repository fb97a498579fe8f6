/**
 * The body of an answer as it comes. A stream that fails forgets what it has buffered, so pieces are taken over as they
 * arrive: what came before a cut is kept, and a server that cuts often is got through all the same.
 */
import type { IncomingMessage } from 'node:http'

const mostQueued = 1024 * 1024 // bytes

/** Begins to read at once: what happens before somebody listens would be missed. @param asOurs names what went wrong. */
export function bodyPieces(
  response: IncomingMessage,
  asOurs: (error: unknown) => Error,
): () => AsyncGenerator<Uint8Array> {
  const queue: Buffer[] = []
  let queued = 0
  let over: Error | 'ended' | undefined
  let wake = () => {}
  const finish = (how: Error | 'ended') => {
    over ??= how
    wake()
  }
  response.on('end', () => finish('ended'))
  response.on('error', finish)
  response.on('close', () => finish(new Error('the connection was cut')))
  response.on('data', (piece: Buffer) => {
    queue.push(piece)
    if ((queued += piece.length) > mostQueued) response.pause()
    wake()
  })
  return async function* pieces() {
    try {
      for (;;) {
        const piece = queue.shift()
        if (piece) {
          yield piece
          queued -= piece.length
          if (queue.length === 0) response.resume()
        } else if (over === 'ended') return
        else if (over) throw asOurs(over)
        else await new Promise<void>((resolve) => (wake = resolve))
      }
    } finally {
      response.destroy()
    }
  }
}
