/**
 * Files that people write settings and ignore patterns in: plain files of a modest size, looked at again when they
 * change. Links are followed in the user's own folders only; the others may be a stranger's.
 */
import { lstat, open, stat } from 'node:fs/promises'
import { hasCode } from '../base/hasCode.ts'

export const maxBytes = 1024 * 1024

export type SmallFile =
  | { readonly kind: 'absent' }
  | { readonly kind: 'text'; readonly text: string }
  /** There, but not to be read; one clause. */
  | { readonly kind: 'unreadable'; readonly problem: string }

/** What is wrong with the file is part of the answer. */
export async function readSmallFile(path: string, links: 'followed' | 'refused'): Promise<SmallFile> {
  try {
    const entry = await (links === 'followed' ? stat : lstat)(path)
    if (entry.isSymbolicLink()) return { kind: 'unreadable', problem: 'a link, which is not followed; wanted a file' }
    if (!entry.isFile()) return { kind: 'unreadable', problem: 'no plain file' }
    if (entry.size > maxBytes)
      return { kind: 'unreadable', problem: `${entry.size} bytes, at most ${maxBytes} are read` }
    const file = await open(path, 'r')
    try {
      const bytes = new Uint8Array(entry.size)
      const { bytesRead } = await file.read(bytes, 0, entry.size, 0)
      return { kind: 'text', text: new TextDecoder().decode(bytes.subarray(0, bytesRead)) }
    } finally {
      await file.close()
    }
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return { kind: 'absent' }
    if (error instanceof Error && 'code' in error) return { kind: 'unreadable', problem: error.message }
    throw error
  }
}

/** A file that is read once and again when its time, size or place on the disk is another. */
export class KeptFile {
  readonly path: string
  private stamp: string | undefined
  private file: SmallFile = { kind: 'absent' }
  private reading: Promise<SmallFile> | undefined

  constructor(path: string) {
    this.path = path
  }

  /** The same object for as long as the file stays as it is. Who asks while it is looked at is told the same. */
  read(): Promise<SmallFile> {
    this.reading ??= this.look().finally(() => void (this.reading = undefined))
    return this.reading
  }

  private async look(): Promise<SmallFile> {
    const stamp = await stampOf(this.path)
    if (stamp !== this.stamp) {
      this.file = await readSmallFile(this.path, 'refused')
      this.stamp = stamp
    }
    return this.file
  }
}

async function stampOf(path: string): Promise<string> {
  try {
    const { mtimeMs, ctimeMs, size, ino } = await lstat(path)
    return `${mtimeMs} ${ctimeMs} ${size} ${ino}`
  } catch (error) {
    if (error instanceof Error && 'code' in error) return `${error.code}`
    throw error
  }
}
