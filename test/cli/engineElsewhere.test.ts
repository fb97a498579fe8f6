/** `lacuna complete --engine`: the same text as from this machine, and what a person is told when it cannot be had. */
import { createHash } from 'node:crypto'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { bearerToken } from '../../server/base/bearer.ts'
import { remoteAddress } from '../../server/base/remote.ts'
import { type OpenRooms, openRooms } from '../../server/cli/openRooms.ts'
import { resolveModel } from '../../server/model/store.ts'
import { LocalOipServer, type OipServerOptions } from '../engine/oipServer.ts'
import { PlainGapLoop } from '../engine/plainGapLoop.ts'
import { lacuna } from './runCommand.ts'

const place = 'test/bench/files/stack.py:21:16'
let rooms: OpenRooms
let server: LocalOipServer
let options: OipServerOptions

beforeAll(async () => {
  const dir = await resolveModel()
  rooms = await openRooms(dir)
  const { name, vocab, maskId, logitsShift, maxPositions } = rooms.manifest
  const tokenizer = createHash('sha256')
    .update(await readFile(join(dir, 'tokenizer.json')))
    .digest('hex')
  const facts = { name, vocab, maskId, logitsShift, maxPositions, inputIds: maskId + 1, rowBytes: 46_080, passRows: 64 }
  options = { engine: rooms.engine, facts: { ...facts, tokenizer, weights: '' }, token: 'for-tests' }
  server = await new LocalOipServer(options).start()
  process.env.LACUNA_ENGINE_TOKEN = 'for-tests'
})
afterAll(async () => {
  delete process.env.LACUNA_ENGINE_TOKEN
  await server.close()
})

const complete = (...args: string[]) => lacuna(['complete', place, '--engine', server.url.href, ...args])

test('says what the engine of this machine says', async () => {
  expect(await complete()).toEqual({ code: 0, out: 'len(self.items)\n', err: '' })
  expect(server.inferences.length).toBeGreaterThan(3)
})

test('says it after one round trip where the server fills gaps whole, and after many when that fails', async () => {
  const { forbiddenIds, maskId, drafting } = rooms.manifest
  const loop = new PlainGapLoop(rooms.engine, { distance: drafting!.distance, neverIds: [...forbiddenIds, maskId] })
  const whole = await new LocalOipServer({ ...options, loop }).start()
  const ask = (...args: string[]) => lacuna(['complete', place, '--engine', whole.url.href, ...args])
  expect(await ask()).toEqual({ code: 0, out: 'len(self.items)\n', err: '' })
  expect(whole.inferences).toHaveLength(2) // who it is, and the gap
  whole.faults.push({ kind: 'slow', ms: 0 }, { kind: 'dies' })
  const { code, out, err } = await ask('--or-here')
  expect({ code, out }).toEqual({ code: 0, out: 'len(self.items)\n' })
  expect(err).toMatch(/^http:\/\/127\.0\.0\.1:\d+, model lacuna-135m: .*; this machine goes on\n/)
  await whole.die()
})

test('goes on here when the server dies, where that is allowed', async () => {
  server.faults.push({ kind: 'slow', ms: 0 }, { kind: 'slow', ms: 0 }, { kind: 'dies' })
  const { code, out, err } = await complete('--or-here')
  expect({ code, out }).toEqual({ code: 0, out: 'len(self.items)\n' })
  expect(err).toMatch(/^http:\/\/127\.0\.0\.1:\d+, model lacuna-135m: .*; this machine goes on\n/)
})

test('goes on with the server when it is back, where nobody stands in, and says so', async () => {
  server.faults.push({ kind: 'slow', ms: 0 }, { kind: 'dies' })
  const { code, out, err } = await complete()
  expect({ code, out }).toEqual({ code: 0, out: 'len(self.items)\n' })
  const [gone, back, ...others] = err.trimEnd().split('\n')
  expect(gone).toMatch(/127\.0\.0\.1:\d+, model lacuna-135m: socket hang up; completions wait for it, 10 minutes/)
  expect(back).toMatch(/model lacuna-135m: it is back$/)
  expect(others).toEqual([])
})

test('fails with one message that names server, model and cause when it is not there at the start', async () => {
  const other = await new LocalOipServer(options).start()
  await other.die()
  const { code, out, err } = await lacuna(['complete', place, '--engine', other.url.href])
  expect([code, out]).toEqual([1, ''])
  expect(err).toMatch(/127\.0\.0\.1:\d+, model lacuna-135m: .*ECONNREFUSED/)
})

test('asks for steps where that is wanted, whatever the server offers', async () => {
  const { forbiddenIds, maskId, drafting } = rooms.manifest
  const loop = new PlainGapLoop(rooms.engine, { distance: drafting!.distance, neverIds: [...forbiddenIds, maskId] })
  const both = await new LocalOipServer({ ...options, loop }).start()
  for (const [contract, fillsWhole] of [
    ['auto', true],
    ['steps', false],
  ] as const) {
    const there = await openRooms(rooms.dir, {
      cache: true,
      engine: { address: both.url.href, standIn: false, contract },
    })
    expect([there.loop !== undefined, there.report.provider.includes('whole gaps')]).toEqual([fillsWhole, fillsWhole])
    await there.close()
  }
  await both.die()
})

test('refuses a server in the clear elsewhere, and one with another model', async () => {
  for (const address of ['http://example.org', 'ftp://127.0.0.1', 'http://name:word@127.0.0.1', 'nonsense'])
    expect(() => remoteAddress(address, 'engine')).toThrow(/^engine: /)
  expect(remoteAddress('https://example.org:8443/x', 'engine').port).toBe('8443')
  const { code, err } = await lacuna(['complete', place, '--engine', `${server.url.href}v2/models/other`])
  expect(code).toBe(2)
  expect(err).toMatch(/model other: 404/)
  const broken = await lacuna(['complete', place, '--engine', `${server.url.href}v2/models/%zz`])
  expect(broken.code).toBe(2)
  expect(broken.err).toMatch(/engine: the model's name in the address is broken: %zz/)
})

test('reads a token from a file that nobody else can read', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'lacuna-token-'))
  const file = join(dir, 'token')
  await writeFile(file, 's3cret\n', { mode: 0o600 })
  expect(await bearerToken('T', { T_FILE: file })).toBe('s3cret')
  await chmod(file, 0o640)
  await expect(bearerToken('T', { T_FILE: file })).rejects.toThrow(/others can read this token/)
  expect(await bearerToken('T', {})).toBeUndefined()
  await expect(bearerToken('T', { T: 'two words' })).rejects.toThrow(/without blanks/)
  await rm(dir, { recursive: true })
})
