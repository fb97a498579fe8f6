/** All wanted files of a repository into one folder; those already there stay. */
import { mkdir, stat, statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { UserError } from '../base/errors.ts'
import { absent } from '../base/hasCode.ts'
import { downloadFile } from './download.ts'
import { fileUrl, type Net, type Repository, type RepositoryFile } from './hub.ts'
import type { Progress } from './units.ts'

/**
 * In the order given. A file gets its name only when it is complete and checked, so one of the right size is done.
 *
 * @throws as `downloadFile`.
 */
export async function downloadAll(
  repository: Repository,
  files: readonly RepositoryFile[],
  dir: string,
  net: Net,
  progress: (progress: Progress) => void = () => {},
): Promise<void> {
  const totalBytes = sum(files)
  let doneBytes = 0
  for (const file of files) {
    const place = join(dir, file.path)
    await mkdir(dirname(place), { recursive: true })
    if ((await bytesOf(place)) !== file.bytes) {
      const { hub, id, revision } = repository
      const download = { url: fileUrl(repository, file.path), file, asked: { hub, id, revision, what: file.path } }
      await downloadFile(download, place, net, (bytes) => progress({ doneBytes: doneBytes + bytes, totalBytes }))
    }
    doneBytes += file.bytes
    progress({ doneBytes, totalBytes })
  }
}

/** How much of the files is in the folder already, parts included. */
export async function bytesHere(files: readonly RepositoryFile[], dir: string): Promise<number> {
  let here = 0
  for (const { path, bytes } of files) {
    const place = join(dir, path)
    here += Math.min(bytes, (await bytesOf(place)) ?? (await bytesOf(`${place}.part`)) ?? 0)
  }
  return here
}

/** @throws {UserError} when the disk of the folder, or of its nearest parent, has less room. Source: `_check_disk_space`. */
export async function checkRoom(dir: string, neededBytes: number): Promise<void> {
  let place = dir
  while ((await stat(place).catch(absent)) === undefined && dirname(place) !== place) place = dirname(place)
  const { bavail, bsize } = await statfs(place)
  const free = bavail * bsize
  if (free >= neededBytes) return
  throw new UserError(
    `${dir}: the disk has ${shownBytes(free)} free, about ${shownBytes(neededBytes)} are needed; make room, or set LACUNA_HOME to a folder on another disk`,
  )
}

export function shownBytes(bytes: number): string {
  if (bytes < 1e6) return `${Math.ceil(bytes / 1e3)} kB`
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`
}

export function sum(files: readonly { readonly bytes: number }[]): number {
  return files.reduce((total, { bytes }) => total + bytes, 0)
}

async function bytesOf(path: string): Promise<number | undefined> {
  return (await stat(path).catch(absent))?.size
}
