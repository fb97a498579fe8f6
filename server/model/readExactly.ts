/** Part of a file, all of it or an error. */
import type { FileHandle } from 'node:fs/promises'
import { BundleError } from '../base/errors.ts'

const readBytes = 64 * 1024 * 1024
const maxReadBytes = 4_000_000_000 // what one array of Node 20 holds

/** @throws {BundleError} when the file ends before. */
export async function readExactly(
  file: FileHandle,
  path: string,
  offset: number,
  length: number,
): Promise<Uint8Array<ArrayBuffer>> {
  if (length > maxReadBytes)
    throw new BundleError(
      `${path}: ${length} bytes in one piece, at most ${maxReadBytes} are read; such a model is too large`,
    )
  const bytes = new Uint8Array(length)
  for (let done = 0; done < length; ) {
    const { bytesRead } = await file.read(bytes, done, Math.min(readBytes, length - done), offset + done)
    if (bytesRead === 0)
      throw new BundleError(
        `${path}: ends at byte ${offset + done}, ${offset + length} were announced; fetch the file again`,
      )
    done += bytesRead
  }
  return bytes
}
