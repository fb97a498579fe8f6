/**
 * Messages out of a stream of bytes. Unlike the library's reader it finds its way back: bytes that are no message are
 * dropped up to the next header, and said to be an error, so that stray output in the pipe costs no more than itself.
 */
import type { Readable } from 'node:stream'
import {
  AbstractMessageReader,
  type DataCallback,
  type Disposable,
  type Message,
} from 'vscode-languageserver-protocol/node'

const endOfHeader = Buffer.from('\r\n\r\n')
const longestHeaderBytes = 64 * 1024
const longestBodyBytes = 256 * 1024 * 1024

export class FrameReader extends AbstractMessageReader {
  private readonly stream: Readable
  private chunks: Buffer[] = []
  private heldBytes = 0
  private wantedBytes = 0 // nothing can be read before this many are held
  private bodyBytes: number | undefined // of the message whose header was read

  constructor(stream: Readable) {
    super()
    this.stream = stream
  }

  /** `onClose` fires once when the stream has ended, however it did. */
  listen(callback: DataCallback): Disposable {
    const onData = (chunk: Buffer) => this.read(chunk, callback)
    let closed = false
    const onEnd = () => {
      if (closed) return
      closed = true
      this.fireClose()
    }
    const onError = (error: Error) => this.fireError(error)
    this.stream.on('data', onData).on('end', onEnd).on('close', onEnd).on('error', onError)
    return { dispose: () => void this.stream.off('data', onData).off('end', onEnd).off('close', onEnd) }
  }

  private read(chunk: Buffer, callback: DataCallback): void {
    this.chunks.push(chunk)
    this.heldBytes += chunk.length
    if (this.heldBytes < this.wantedBytes) return
    let rest: Buffer = Buffer.concat(this.chunks)
    let next: Buffer | undefined = rest
    while (next) {
      rest = next
      next = this.bodyBytes === undefined ? this.readHeader(rest) : this.readBody(rest, this.bodyBytes, callback)
    }
    this.chunks = [rest]
    this.heldBytes = rest.length
    this.wantedBytes = this.bodyBytes ?? 0
  }

  /** What follows the first header, or undefined when it is not all there. */
  private readHeader(bytes: Buffer): Buffer | undefined {
    const end = bytes.indexOf(endOfHeader)
    if (end === -1) {
      if (bytes.length <= longestHeaderBytes) return undefined
      this.fireError(new Error(`${bytes.length} bytes without the header of a message were dropped`))
      return bytes.subarray(bytes.length - endOfHeader.length)
    }
    const header = bytes.toString('latin1', 0, end)
    const rest = bytes.subarray(end + endOfHeader.length)
    // The last one: what stands before it is no part of this message.
    const length = /^[\s\S]*content-length:[ \t]*(\d+)[ \t]*(?:\r\n|$)/i.exec(header)
    if (!length || Number(length[1]) > longestBodyBytes) {
      this.fireError(new Error(`wanted a header with Content-Length, found ${end} other bytes; dropped`))
      return rest
    }
    const strays = header.split('\r\n').filter((line) => !/^content-(length|type):/i.test(line))
    if (strays.length > 0) this.fireError(new Error('bytes before the header of a message were dropped'))
    this.bodyBytes = Number(length[1])
    return rest
  }

  private readBody(bytes: Buffer, length: number, callback: DataCallback): Buffer | undefined {
    if (bytes.length < length) return undefined
    this.bodyBytes = undefined
    try {
      const message = objectIn(bytes.toString('utf8', 0, length))
      if (!message) throw new Error('it is no JSON object')
      callback(message)
    } catch (error) {
      this.fireError(new Error(`a message of ${length} bytes could not be read; dropped`, { cause: error }))
    }
    return bytes.subarray(length)
  }
}

/** Undefined for text that is none. What `JSON.parse` says of that is not repeated: it quotes what it found. */
function objectIn(json: string): Message | undefined {
  try {
    const value: unknown = JSON.parse(json)
    return typeof value === 'object' && value !== null ? (value as Message) : undefined
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
