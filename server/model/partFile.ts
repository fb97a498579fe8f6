/**
 * A file that is not complete: `FILE.part`, and `FILE.part.etag`, which keeps what the server called the content, so that
 * a file that has changed since is begun anew (If-Range).
 */
import { open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { hasCode } from '../base/hasCode.ts'

/** Gives the file its name, for good. */
export async function finishPart(part: string, place: string): Promise<void> {
  await rename(part, place)
  await forgetTag(part)
  await syncFolder(dirname(place))
}

const tagFile = (part: string): string => `${part}.etag`

/** Weak tags promise only that the meaning is the same; If-Range needs the same bytes. */
export async function keepTag(part: string, etag: string | undefined): Promise<void> {
  if (etag !== undefined && /^"[\x21\x23-\x7e]*"$/.test(etag)) await writeFile(tagFile(part), etag)
}

export async function readTag(part: string): Promise<string | undefined> {
  try {
    return await readFile(tagFile(part), 'latin1')
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
}

export async function forgetTag(part: string): Promise<void> {
  await rm(tagFile(part), { force: true })
}

export async function discardPart(part: string): Promise<void> {
  await rm(part, { force: true })
  await forgetTag(part)
}

export async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return 0
    throw error
  }
}

export async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    (error: unknown) => {
      if (hasCode(error, 'ENOENT')) return false
      throw error
    },
  )
}

/** The renamed name must outlive a power cut too; not all systems can open a folder. */
async function syncFolder(dir: string): Promise<void> {
  if (process.platform === 'win32') return
  const folder = await open(dir, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
