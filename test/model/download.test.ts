/** One file from a real server, which does all that servers do. */
import { existsSync } from 'node:fs'
import { readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { Aborted, BundleError, UserError } from '../../server/base/errors.ts'
import { downloadFile } from '../../server/model/download.ts'
import { NetworkError } from '../../server/model/httpGet.ts'
import { fileUrl, type Repository, readRepository } from '../../server/model/hub.ts'
import { hubOf } from '../../server/model/modelReference.ts'
import { type DownloadRoom, downloadRoom } from './downloadRoom.ts'
import { type Fault, type HubRepository, type LocalHub, localHub, type Seen, sha256 } from './localHub.ts'
import { normalNumbers } from './randomBundle.ts'
import { temporaryFolder } from './temporaryFolder.ts'

const id = 'owner/model'
const large = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * i + (i >> 8)) & 0xff))
const small = Buffer.from('{"hidden_size": 64}\n')

interface Scene {
  readonly hub: LocalHub
  readonly repository: Repository
  readonly dir: string
  readonly room: DownloadRoom
  /** Runs the download of a file; the content that has its name afterwards. */
  fetch(path?: string, room?: DownloadRoom): Promise<Buffer>
}

async function scene(
  faults: (cdn: number, seen: Seen) => Fault | undefined = () => undefined,
  more: Partial<HubRepository> = {},
  token?: string,
): Promise<Scene> {
  const files = { 'model.safetensors': large, 'config.json': small, 'empty.txt': Buffer.alloc(0) }
  const hub = await localHub({ [id]: { files, ...more } })
  const room = downloadRoom()
  const reference = { kind: 'repository', hub: hubOf({ HF_ENDPOINT: hub.endpoint, HF_TOKEN: token }), id } as const
  const repository = await readRepository({ ...reference, revision: 'main' }, room)
  const dir = await temporaryFolder()
  let count = 0
  hub.fault = (seen) => (seen.host === 'cdn' ? faults(count++, seen) : undefined)
  return {
    hub,
    repository,
    dir,
    room,
    async fetch(path = 'model.safetensors', with_ = room) {
      const file = repository.files.find((one) => one.path === path)!
      const asked = { hub: repository.hub, id, revision: 'main', what: path }
      await downloadFile({ url: fileUrl(repository, path), file, asked }, join(dir, path), with_)
      return readFile(join(dir, path))
    },
  }
}

const ranges = ({ hub }: Scene) => hub.seen.flatMap(({ host, range }) => (host === 'cdn' ? [range] : []))

test.each(['model.safetensors', 'config.json', 'empty.txt'])('fetches %s and leaves nothing else', async (path) => {
  const here = await scene()
  const content = await here.fetch(path)
  expect(content.equals({ 'model.safetensors': large, 'config.json': small }[path] ?? Buffer.alloc(0))).toBe(true)
  expect(await readdir(here.dir)).toEqual([path])
  expect(here.room.waits).toEqual([])
})

describe('connections that are cut', () => {
  test.each([1, 2, 3])('at random bytes, seed %i: goes on where it was', async (seed) => {
    const normal = normalNumbers(seed)
    const cuts: number[] = []
    const here = await scene(() => {
      const afterBytes = Math.floor(Math.abs(normal()) * 60_000)
      cuts.push(afterBytes)
      return { kind: 'cut', afterBytes }
    })
    expect((await here.fetch()).equals(large)).toBe(true)
    const asked = ranges(here)
    expect(asked.length).toBeGreaterThan(3)
    expect(asked[0]).toBeUndefined()
    for (const [i, range] of asked.entries()) {
      if (i === 0) continue
      const from = cuts.slice(0, i).reduce((sum, bytes) => sum + bytes, 0)
      expect(range ?? 'bytes=0-').toBe(`bytes=${from}-`)
    }
    expect(here.room.waits.every((ms) => ms === 1000 || ms === 2000)).toBe(true) // progress gives all attempts back
  })

  test('before the first byte, six times: gives up, saying where; the part stays', async () => {
    const here = await scene((n) => ({ kind: 'cut', afterBytes: n === 0 ? 1000 : 0 }))
    await expect(here.fetch()).rejects.toThrow(NetworkError)
    expect(here.room.waits).toEqual([1000, 2000, 4000, 8000, 8000])
    expect((await readdir(here.dir)).sort()).toEqual(['model.safetensors.part', 'model.safetensors.part.etag'])
    expect((await readFile(join(here.dir, 'model.safetensors.part'))).equals(large.subarray(0, 1000))).toBe(true)
    here.hub.fault = () => undefined
    expect((await here.fetch()).equals(large)).toBe(true) // another run
    expect(ranges(here).at(-1)).toBe('bytes=1000-')
  })

  test('always at the same byte, by a server without ranges: not asked for ever', async () => {
    const here = await scene(() => ({ kind: 'cut', afterBytes: 1000, noRange: true }))
    await expect(here.fetch()).rejects.toThrow(NetworkError)
    expect(here.room.waits).toEqual([1000, 2000, 4000, 8000, 8000])
  })

  test('silence counts as cut', async () => {
    const here = await scene((n) => (n === 0 ? { kind: 'hold', afterBytes: 500 } : undefined))
    expect((await here.fetch('model.safetensors', { ...here.room, idleMs: 150 })).equals(large)).toBe(true)
    expect(ranges(here)).toEqual([undefined, 'bytes=500-'])
    expect(here.room.notes.join()).toContain('no data for')
  })

  test('an interrupt stops it at once, and the next run goes on', async () => {
    const stop = new AbortController()
    const here = await scene((n) => (n === 0 ? { kind: 'hold', afterBytes: 70_000 } : undefined))
    const file = here.repository.files.find(({ path }) => path === 'model.safetensors')!
    const asked = { hub: here.repository.hub, id, revision: 'main', what: file.path }
    const room = { ...here.room, signal: stop.signal }
    const running = downloadFile(
      { url: fileUrl(here.repository, file.path), file, asked },
      join(here.dir, file.path),
      room,
      (bytes) => {
        if (bytes === 70_000) stop.abort(new Aborted('cancelled'))
      },
    )
    await expect(running).rejects.toThrow(Aborted)
    expect((await here.fetch()).equals(large)).toBe(true)
    expect(ranges(here)).toEqual([undefined, 'bytes=70000-'])
  })
})

describe('answers to a Range', () => {
  const part = (here: Scene, content: Uint8Array) => writeFile(join(here.dir, 'model.safetensors.part'), content)

  test('200: the file is begun anew', async () => {
    const here = await scene(() => ({ kind: 'noRange' }))
    await part(here, Buffer.alloc(1000, 7)) // other content than the server's
    expect((await here.fetch()).equals(large)).toBe(true)
    expect(ranges(here)).toEqual(['bytes=1000-'])
  })

  test('the content has changed in between (If-Range): begun anew', async () => {
    const old = Buffer.alloc(large.length, 7)
    const here = await scene((n) => (n === 0 ? { kind: 'cut', afterBytes: 1000, body: old, etag: '"old"' } : undefined))
    expect((await here.fetch()).equals(large)).toBe(true)
    expect(here.hub.seen.at(-1)).toMatchObject({ range: 'bytes=1000-', ifRange: '"old"' })
    expect(here.room.notes).toHaveLength(1) // the cut; nothing was fetched a third time
  })

  test('the tag of the first attempt goes with the second', async () => {
    const here = await scene((n) => (n === 0 ? { kind: 'cut', afterBytes: 5000 } : undefined))
    await here.fetch()
    expect(here.hub.seen.at(-1)!.ifRange).toMatch(/^"[0-9a-f]{32}"$/)
  })

  test('a weak tag is not used; the hash still guards', async () => {
    const here = await scene((n) => (n === 0 ? { kind: 'cut', afterBytes: 5000, etag: 'W/"weak"' } : undefined))
    expect((await here.fetch()).equals(large)).toBe(true)
    expect(here.hub.seen.at(-1)).toMatchObject({ range: 'bytes=5000-', ifRange: undefined })
  })

  test('206 from another byte: begun anew', async () => {
    const here = await scene((n) => (n === 0 ? { kind: 'otherRange' } : undefined))
    await part(here, large.subarray(0, 1000))
    expect((await here.fetch()).equals(large)).toBe(true)
    expect(ranges(here)).toEqual(['bytes=1000-', undefined])
    expect(here.room.notes.join()).toContain('no such rest of the file')
  })

  test('416 of a server that has no such rest: begun anew', async () => {
    const here = await scene((n) =>
      n === 0 ? { kind: 'status', status: 416, headers: { 'content-range': `bytes */${large.length}` } } : undefined,
    )
    await part(here, large.subarray(0, 1000))
    expect((await here.fetch()).equals(large)).toBe(true)
    expect(ranges(here)).toEqual(['bytes=1000-', undefined])
  })

  test('416 of a server whose file is shorter than the hub says: refused', async () => {
    const here = await scene(() => ({ kind: 'body', body: large.subarray(0, 900) }))
    here.hub.fault = (
      (faulty) => (seen) =>
        faulty(seen)
    )(here.hub.fault)
    await part(here, large.subarray(0, 1000))
    await expect(here.fetch()).rejects.toThrow('the server has 900 bytes, the hub says 300000')
  })

  test('a part that is whole already is only checked', async () => {
    const here = await scene()
    await part(here, large)
    expect((await here.fetch()).equals(large)).toBe(true)
    expect(ranges(here)).toEqual([])
  })

  test('a part that is too long, or spoilt, is thrown away', async () => {
    const here = await scene()
    await part(here, Buffer.concat([large, large]))
    expect((await here.fetch()).equals(large)).toBe(true)
    const other = await scene()
    await part(other, Buffer.alloc(1000, 7)) // no tag: only the hash can tell
    expect((await other.fetch()).equals(large)).toBe(true)
    expect(ranges(other)).toEqual(['bytes=1000-', undefined])
    expect(other.room.notes.join()).toMatch(/sha256 is [0-9a-f]{8}…, the hub says .*; begun anew/)
  })
})

describe('a hub that is busy', () => {
  test.each([
    ['seconds', { 'retry-after': '7' }, 7000],
    ["the hub's own header", { ratelimit: '"resolvers";r=0;t=12', 'retry-after': '1' }, 12_000],
    ['nothing', {}, 1000],
  ])('429 with %s: waits as long as it says', async (_, headers, ms) => {
    const here = await scene((n) => (n === 0 ? { kind: 'status', status: 429, headers } : undefined))
    expect((await here.fetch()).equals(large)).toBe(true)
    expect(here.room.waits).toEqual([ms])
    expect(here.room.notes[0]).toContain('the hub asks for patience (HTTP 429')
  })

  test('503 with a date', async () => {
    const headers = { 'retry-after': new Date(Date.now() + 30_000).toUTCString() }
    const here = await scene((n) => (n === 0 ? { kind: 'status', status: 503, headers } : undefined))
    await here.fetch()
    expect(here.room.waits[0]).toBeGreaterThan(20_000)
    expect(here.room.waits[0]).toBeLessThanOrEqual(30_000)
  })

  test('for ever: gives up after five attempts more', async () => {
    const here = await scene(() => ({ kind: 'status', status: 429, headers: { 'retry-after': '3' } }))
    await expect(here.fetch()).rejects.toThrow('HTTP 429')
    expect(here.room.waits).toEqual([3000, 3000, 3000, 3000, 3000])
  })

  test('an hour: is not waited for', async () => {
    const here = await scene(() => ({ kind: 'status', status: 429, headers: { 'retry-after': '3600' } }))
    await expect(here.fetch()).rejects.toThrow('HTTP 429')
    expect(here.room.waits).toEqual([])
  })
})

describe('content that is not what the hub announced', () => {
  test('a wrong length is seen before anything is written', async () => {
    const here = await scene(() => ({ kind: 'body', body: Buffer.from('<html>Please log in to this network</html>') }))
    await expect(here.fetch()).rejects.toThrow('model.safetensors: the server has 42 bytes, the hub says 300000')
    expect(await readdir(here.dir)).toEqual([])
  })

  test('more bytes than announced, without a length', async () => {
    const here = await scene(() => ({ kind: 'body', body: Buffer.concat([large, small]), chunked: true }))
    await expect(here.fetch()).rejects.toThrow('sends more than the 300000 bytes announced')
    expect(await readdir(here.dir)).toEqual([])
  })

  test('a body without an end is not read for ever', async () => {
    const here = await scene(() => ({ kind: 'endless' }))
    await expect(here.fetch()).rejects.toThrow('sends more than the 300000 bytes announced')
    expect(await readdir(here.dir)).toEqual([])
  })

  test('fewer bytes than announced, without a length, count as cut', async () => {
    const here = await scene((n) =>
      n === 0 ? { kind: 'body', body: large.subarray(0, 100_000), chunked: true } : undefined,
    )
    expect((await here.fetch()).equals(large)).toBe(true)
    expect(ranges(here)).toEqual([undefined, 'bytes=100000-'])
  })

  test('a wrong hash: refused, not kept, not tried for ever', async () => {
    const wrong = Buffer.from(large)
    wrong[12_345]! ^= 1
    const here = await scene(() => ({ kind: 'body', body: wrong }))
    const fetched = here.fetch()
    await expect(fetched).rejects.toThrow(
      `owner/model: model.safetensors: sha256 is ${sha256(wrong).slice(0, 8)}…, the hub says ${sha256(large).slice(0, 8)}…`,
    )
    await expect(fetched).rejects.toBeInstanceOf(BundleError)
    expect(await readdir(here.dir)).toEqual([])
    expect(ranges(here)).toHaveLength(1)
  })

  test("a wrong small file is told by git's hash", async () => {
    const here = await scene()
    here.hub.fault = ({ path }) =>
      path.includes('resolve') ? { kind: 'body', body: Buffer.from('{"hidden_size": 65}\n') } : undefined
    await expect(here.fetch('config.json')).rejects.toThrow(/config\.json: git's sha1 is [0-9a-f]{8}…, the hub says/)
  })

  test('where the list has no hash, that at the file counts', async () => {
    const listed = { 'model.safetensors': { lfs: undefined, blobId: undefined } }
    const wrong = Buffer.from(large).fill(0, 0, 10)
    const here = await scene(() => ({ kind: 'body', body: wrong }), { listed })
    expect(here.repository.files.find(({ path }) => path === 'model.safetensors')!.sha256).toBeUndefined()
    await expect(here.fetch()).rejects.toThrow('the hub says')
  })

  test('two hashes for one file', async () => {
    const listed = { 'model.safetensors': { lfs: { sha256: 'a'.repeat(64), size: large.length } } }
    const here = await scene(undefined, { listed })
    await expect(here.fetch()).rejects.toThrow('the hub says sha256 aaaaaaaa… in its list and')
  })
})

test.skipIf(!existsSync('/dev/full'))('a full disk is one clear message, and nothing is tried again', async () => {
  const here = await scene()
  await symlink('/dev/full', join(here.dir, 'model.safetensors.part')) // every write there fails with ENOSPC
  const fetched = here.fetch()
  await expect(fetched).rejects.toThrow(
    /^model\.safetensors\.part: the disk of .* is full; this file takes 1 MB\. Make room/,
  )
  await expect(fetched).rejects.toBeInstanceOf(UserError)
  expect(ranges(here)).toHaveLength(1)
})

describe('the token', () => {
  test('goes to the hub, and to no other host', async () => {
    const here = await scene(undefined, { gatedFor: 'hf_secret' }, 'hf_secret')
    await here.fetch()
    const by = (host: string) => here.hub.seen.filter((seen) => seen.host === host).map((seen) => seen.authorization)
    expect(new Set(by('hub'))).toEqual(new Set(['Bearer hf_secret']))
    expect(by('cdn')).toEqual([undefined])
  })

  test('is in no message', async () => {
    const refusals: Fault[] = [
      { kind: 'status', status: 403, headers: { 'x-error-message': 'hf_secret may not' } },
      { kind: 'status', status: 418, headers: { 'x-error-message': 'Bearer hf_secret' } },
      { kind: 'status', status: 500 },
      { kind: 'cut', afterBytes: 0 },
    ]
    for (const fault of refusals) {
      const here = await scene(() => fault, {}, 'hf_secret')
      const error = await here.fetch().catch((reason: unknown) => reason)
      expect(error).toBeInstanceOf(Error)
      const all = `${(error as Error).message} ${(error as Error).stack} ${here.room.notes.join()}`
      expect(all).not.toContain('hf_secret')
      expect(all).not.toContain('Signature')
    }
  })

  test('a gated repository says what to do, with and without one', async () => {
    const without = await scene(undefined, { gatedFor: 'hf_secret' })
    await expect(without.fetch()).rejects.toThrow(
      `owner/model is gated; accept its terms at ${without.hub.endpoint}/owner/model, then set HF_TOKEN`,
    )
    const other = await scene(undefined, { gatedFor: 'hf_secret' }, 'hf_other')
    await expect(other.fetch()).rejects.toThrow('the account of HF_TOKEN has no access; accept its terms')
    expect(other.room.waits).toEqual([])
  })
})
