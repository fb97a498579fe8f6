/**
 * JSON from a stranger, read within bounds: plain files only (a FIFO would be waited for, for ever), of a size that was
 * asked for, nested and filled so little that parsing stays cheap, and with no name twice in one object, of which
 * `JSON.parse` would keep the last without a word.
 */
import { type FileHandle, open, stat } from 'node:fs/promises'
import { BundleError } from '../base/errors.ts'

const maxDepth = 64
const megabyte = 1024 * 1024

export interface JsonBounds {
  readonly bytes: number
  readonly values: number // of all objects and lists together; each costs about 50 bytes of memory
}

/** For files that people might write: `config.json`, `lacuna.json`. */
export const smallJson: JsonBounds = { bytes: 4 * megabyte, values: 200_000 }
/** For files that list tensors or tokens; the largest public tokenizer has 34 MB and 2.1 million values. */
export const largeJson: JsonBounds = { bytes: 100_000_000, values: 5_000_000 }

/**
 * @param advice the last clause of every error: what to do.
 * @throws {BundleError} when the file is missing, no plain file, larger than allowed, or no JSON in UTF-8.
 */
export async function readJsonFile(path: string, advice: string, bounds: JsonBounds = smallJson): Promise<unknown> {
  const wrong = (reason: string, cause?: unknown) =>
    new BundleError(`${path}: ${printable(reason)}; ${advice}`, { cause })
  const bytes = await readPlainFile(path, advice, bounds.bytes)
  try {
    return parseJson(bytes, bounds)
  } catch (error) {
    if (error instanceof SyntaxError) throw wrong(error.message, error)
    throw error
  }
}

/** @throws {BundleError} when the file is missing, no plain file, or larger than allowed. */
export async function readPlainFile(path: string, advice: string, maxBytes = largeJson.bytes): Promise<Uint8Array> {
  const file = await openPlainFile(path, advice)
  try {
    const { size } = await file.stat()
    if (size > maxBytes)
      throw new BundleError(`${printable(path)}: ${size} bytes, at most ${maxBytes} are read; ${advice}`)
    const bytes = new Uint8Array(size)
    let end = 0
    for (let read = 1; read > 0 && end < size; end += read)
      read = (await file.read(bytes, end, size - end, end)).bytesRead
    return bytes.subarray(0, end)
  } finally {
    await file.close()
  }
}

/** @throws {BundleError} when there is none, or it is a folder, a FIFO, a socket or a device. */
export async function openPlainFile(path: string, advice: string): Promise<FileHandle> {
  const wrong = (reason: string, cause?: unknown) =>
    new BundleError(`${printable(path)}: ${printable(reason)}; ${advice}`, { cause })
  try {
    const entry = await stat(path)
    if (entry.isFile()) return await open(path, 'r')
    throw wrong(entry.isDirectory() ? 'a folder, wanted a file' : 'no plain file')
  } catch (error) {
    if (error instanceof Error && 'code' in error) throw wrong(error.message, error)
    throw error
  }
}

/** @throws {SyntaxError} when the bytes are no JSON in UTF-8, or break the bounds. */
export function parseJson(bytes: Uint8Array, bounds: JsonBounds): unknown {
  const text = decode(bytes)
  if (text.startsWith('\ufeff')) throw new SyntaxError('it starts with a byte order mark, wanted UTF-8 without one')
  checkNesting(text, bounds)
  return JSON.parse(text)
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (error) {
    throw new SyntaxError('no text in UTF-8', { cause: error })
  }
}

/** One pass over the text, before anything is made of it. What is no JSON at all is left for `JSON.parse` to say. */
function checkNesting(text: string, bounds: JsonBounds): void {
  const open: (Set<string> | undefined)[] = [] // names of each open object; undefined for a list
  let values = 0
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case quote: {
        const end = closingQuote(text, at)
        const names = open.at(-1)
        if (names && isName(text, end + 1)) {
          const name = unescaped(text.slice(at, end + 1))
          if (names.has(name)) throw new SyntaxError(`"${name}" is there twice`)
          names.add(name)
        }
        at = end
        break
      }
      case openBrace:
      case openBracket:
        values++
        open.push(text.charCodeAt(at) === openBrace ? new Set() : undefined)
        if (open.length > maxDepth) throw new SyntaxError(`nested deeper than ${maxDepth}`)
        break
      case closeBrace:
      case closeBracket:
        open.pop()
        break
      case comma:
        values++
    }
    if (values > bounds.values) throw new SyntaxError(`more than ${bounds.values} values`)
  }
}

const [quote, comma, colon, backslash] = [0x22, 0x2c, 0x3a, 0x5c]
const [openBracket, closeBracket, openBrace, closeBrace] = [0x5b, 0x5d, 0x7b, 0x7d]

/** The end of the text when the string is never closed. */
function closingQuote(text: string, from: number): number {
  const next = text.indexOf('"', from + 1)
  if (next < 0) return text.length
  if (text.charCodeAt(next - 1) !== backslash) return next
  for (let at = from + 1; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === quote) return at
    if (code === backslash) at++
  }
  return text.length
}

/** Whether a colon comes next, blanks apart. */
function isName(text: string, from: number): boolean {
  for (let at = from; ; at++) {
    const code = text.charCodeAt(at)
    if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return code === colon
  }
}

function unescaped(quoted: string): string {
  if (!quoted.includes('\\')) return quoted.slice(1, -1)
  try {
    return JSON.parse(quoted)
  } catch (error) {
    if (error instanceof SyntaxError) return quoted // JSON.parse of the whole will say where
    throw error
  }
}

/** Text of a file as part of a message: one line, no control characters, not endless. */
export function printable(text: string): string {
  const visible = text.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
  return visible.length > 500 ? `${visible.slice(0, 500)}…` : visible
}
