/**
 * One file from the network to the disk, whole or not at all: as `FILE.part` first, which any later attempt, in this
 * process or another, goes on with; checked against size and hash; on disk before it is renamed.
 */
import { createHash } from 'node:crypto'
import { open, readFile } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { BundleError, throwIfAborted, UserError } from '../base/errors.ts'
import { isDiskFull } from '../base/hasCode.ts'
import { hashFile } from './hashFile.ts'
import { type Answer, httpGet, NetworkError } from './httpGet.ts'
import type { Net, RepositoryFile } from './hub.ts'
import { type Asked, BusyError, refusalOf } from './hubRefusal.ts'
import { discardPart, exists, finishPart, forgetTag, keepTag, readTag, sizeOf } from './partFile.ts'
import { Retries } from './retries.ts'

interface Download {
  readonly url: URL
  readonly file: RepositoryFile
  readonly asked: Asked
}

/**
 * @param place where the finished file goes; its folder exists.
 * @param onBytes how much of the file is here; may go back when it is begun anew.
 * @throws {UserError} when the hub refuses, what arrives is not what it announced, or the disk is full.
 * @throws {NetworkError} when the connection fails again and again; the part stays.
 */
export async function downloadFile(
  { url, file, asked }: Download,
  place: string,
  net: Net,
  onBytes: (bytes: number) => void = () => {},
): Promise<void> {
  const part = `${place}.part`
  const retries = new Retries(net.clock, net.note)
  let expected: Pick<RepositoryFile, 'bytes' | 'sha256' | 'gitSha1'> = file
  let isPatchwork = (await sizeOf(part)) > 0 // written in more than one go
  let furthest = 0 // of all attempts; a server that knows no ranges and always ends early must not be asked for ever
  for (;;) {
    let have = await sizeOf(part)
    if (have > file.bytes) {
      await discardPart(part)
      have = 0
    }
    onBytes(have)
    if (have === file.bytes && (have > 0 || (await exists(part)))) {
      const problem = await contentProblem(part, expected)
      if (!problem) break
      await discardPart(part)
      // Content of two versions may have met in one part; whole files that are wrong stay wrong.
      if (!isPatchwork) throw new BundleError(`${asked.id}: ${file.path}: ${problem}; it was not kept`)
      net.note(`${file.path}: ${problem}; begun anew`)
      isPatchwork = false
      furthest = 0
      continue
    }
    try {
      const tag = have > 0 ? await readTag(part) : undefined
      // With neither a tag nor a hash nothing would tell whether the rest belongs to this beginning.
      const from = tag !== undefined || expected.sha256 || expected.gitSha1 ? have : 0
      const range = from > 0 ? { range: `bytes=${from}-`, ...(tag === undefined ? {} : { 'if-range': tag }) } : {}
      const { env, signal, idleMs } = net
      const token = asked.hub.token
      const answer = await httpGet(url, { headers: range, token, env, signal, ...(idleMs ? { idleMs } : {}) })
      const start = startOf(answer, from, expected.bytes, { ...asked, what: file.path })
      if (start === 'anew') {
        answer.discard()
        await discardPart(part)
        throw new BusyError(`${file.path}: the server has no such rest of the file`, undefined)
      }
      expected = withHashOf(answer, expected, `${asked.id}: ${file.path}`)
      isPatchwork = start > 0
      const end = await append(answer, part, start, file.bytes, (bytes) => {
        if (bytes > furthest) retries.progressed()
        furthest = Math.max(furthest, bytes)
        onBytes(bytes)
      })
      if (end > file.bytes) {
        await discardPart(part)
        throw new BundleError(`${asked.id}: ${file.path}: the server sends more than the ${file.bytes} bytes announced`)
      }
      if (end < file.bytes)
        throw new NetworkError(`${file.path}: the connection ended after ${end} of ${file.bytes} bytes`)
    } catch (error) {
      if (error instanceof BusyError) await retries.wait(error, error.askedMs, net.signal)
      else if (error instanceof NetworkError) await retries.wait(error, undefined, net.signal)
      else throw asFullDisk(error, part, file.bytes)
    }
    throwIfAborted(net.signal)
  }
  await finishPart(part, place)
}

/** Where the body of the answer begins in the file; throws what a refusal means. */
function startOf(answer: Answer, from: number, bytes: number, asked: Asked): number | 'anew' {
  const { status, headers } = answer
  const wrongSize = (found: number): Error => {
    answer.discard()
    return new BundleError(
      `${asked.id}: ${asked.what}: the server has ${found} bytes, the hub says ${bytes}; not fetched`,
    )
  }
  if (status === 200) {
    if ((headers['content-encoding'] ?? 'identity') !== 'identity') {
      answer.discard()
      throw new BundleError(
        `${asked.id}: ${asked.what} came as ${headers['content-encoding']}, which was not asked for`,
      )
    }
    const length = headers['content-length']
    if (length !== undefined && Number(length) !== bytes) throw wrongSize(Number(length))
    return 0
  }
  const linked = answer.allHeaders['x-linked-size']
  if (status < 300 && linked !== undefined && Number(linked) !== bytes) throw wrongSize(Number(linked))
  const range = /^bytes (?:(\d+)-\d+|\*)\/(\d+|\*)$/.exec(headers['content-range'] ?? '')
  if (status === 206 || status === 416) {
    if (range?.[2] !== undefined && range[2] !== '*' && Number(range[2]) !== bytes) throw wrongSize(Number(range[2]))
    return status === 206 && from > 0 && Number(range?.[1]) === from ? from : 'anew'
  }
  answer.discard()
  throw refusalOf(answer, asked)
}

/** What the hub says of a file on the way to it, where its list said nothing. Source: `get_hf_file_metadata`. */
function withHashOf<Known extends Pick<RepositoryFile, 'bytes' | 'sha256' | 'gitSha1'>>(
  { allHeaders }: Answer,
  known: Known,
  what: string,
): Known {
  const said = String(allHeaders['x-linked-etag'] ?? allHeaders.etag ?? '')
  const tag = said.replace(/^W\//, '').replaceAll('"', '').toLowerCase()
  if (/^[0-9a-f]{64}$/.test(tag) && allHeaders['x-linked-etag'] !== undefined) {
    if (known.sha256 !== undefined && known.sha256 !== tag)
      throw new BundleError(
        `${what}: the hub says sha256 ${shown(known.sha256)} in its list and ${shown(tag)} at the file`,
      )
    return { ...known, sha256: tag }
  }
  const isGit = /^[0-9a-f]{40}$/.test(tag) && known.sha256 === undefined && known.gitSha1 === undefined
  return isGit ? { ...known, gitSha1: tag } : known
}

/** Writes the body; returns where it ends, more than `bytes` when it was cut off for being too long. */
async function append(
  answer: Answer,
  part: string,
  start: number,
  bytes: number,
  onBytes: (bytes: number) => void,
): Promise<number> {
  if (start === 0) await forgetTag(part)
  const file = await open(part, start === 0 ? 'w' : 'r+')
  let end = start
  try {
    if (start === 0) await keepTag(part, answer.headers.etag)
    for await (const piece of answer.pieces()) {
      if (end + piece.length > bytes) return end + piece.length
      for (let done = 0; done < piece.length; )
        done += (await file.write(piece, done, piece.length - done, end + done)).bytesWritten
      end += piece.length
      onBytes(end)
    }
    await file.sync()
    return end
  } finally {
    await file.close()
  }
}

async function contentProblem(
  path: string,
  { bytes, sha256, gitSha1 }: Pick<RepositoryFile, 'bytes' | 'sha256' | 'gitSha1'>,
): Promise<string | undefined> {
  if (sha256 !== undefined) {
    const found = (await hashFile(path)).sha256
    return found === sha256 ? undefined : `sha256 is ${shown(found)}, the hub says ${shown(sha256)}`
  }
  if (gitSha1 === undefined) return undefined
  const found = gitBlobSha1(await readFile(path), bytes) // such files are small
  return found === gitSha1 ? undefined : `git's sha1 is ${shown(found)}, the hub says ${shown(gitSha1)}`
}

/** The name git gives a file's content. */
export function gitBlobSha1(content: Uint8Array, bytes = content.length): string {
  return createHash('sha1').update(`blob ${bytes}\0`).update(content).digest('hex')
}

function shown(hash: string): string {
  return `${hash.slice(0, 8)}…`
}

export function asFullDisk(error: unknown, path: string, bytes: number): unknown {
  if (!isDiskFull(error)) return error
  const megabytes = Math.ceil(bytes / 1e6)
  return new UserError(
    `${basename(path)}: the disk of ${dirname(path)} is full; this file takes ${megabytes} MB. Make room and run the command again: what was fetched stays`,
    { cause: error },
  )
}
