/** `lacuna complete --engine …/completions`: the gap is filled there, and here where it is not and may be. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { openElsewhere } from '../../server/cli/openElsewhere.ts'
import { certificates } from '../endpoint/certificates.ts'
import { LocalEndpoint, streamed, whole } from '../endpoint/localEndpoint.ts'
import { lacuna, startLacuna } from './runCommand.ts'

const place = 'test/bench/files/stack.py:21:16'
const token = 'sk-for-tests'
let server: LocalEndpoint

beforeEach(async () => {
  server = await new LocalEndpoint().start()
  server.usual = () => streamed('completions', ['len(self', '.items)'])
  process.env.LACUNA_ENGINE_TOKEN = token
})
afterEach(async () => {
  delete process.env.LACUNA_ENGINE_TOKEN
  await server.close()
})

const complete = (...args: string[]) =>
  lacuna(['complete', place, '--engine', server.url().href, '--engine-model', 'coder', ...args])

test('prints what the server writes, whatever its shape', async () => {
  expect(await complete()).toEqual({ code: 0, out: 'len(self.items)\n', err: '' })
  server.replies.push(whole('mistral', ' len(self.items)\n\n    def more'))
  expect(await complete()).toEqual({ code: 0, out: 'len(self.items)\n', err: '' })
  const [{ path, authorization, body }] = server.asked as [(typeof server.asked)[number]]
  expect([path, authorization, body.model]).toEqual(['/v1/fim/completions', `Bearer ${token}`, 'coder'])
  expect(body.prompt).toMatch(/\n {8}return $/)
})

test('tells in JSON where the text goes and who wrote it', async () => {
  const { out } = await complete('--json')
  const position = { line: 20, character: 15 }
  expect(JSON.parse(out)).toMatchObject({
    ...{ kind: 'completion', text: 'len(self.items)', range: { start: position, end: position }, steps: 0 },
    model: `${server.url().href}, model coder`,
  })
})

test('fails with one message that says what to do, and nothing of token or text', async () => {
  server.replies.push(
    { kind: 'status', status: 401, body: `{"error":{"message":"${token} self.items"}}` },
    { kind: 'dies' },
  )
  const refused = await complete()
  expect(refused).toEqual({
    ...{ code: 2, out: '' },
    err: expect.stringMatching(/^lacuna: http:\S+, model coder: 401: .*\n$/),
  })
  expect(refused.err).toMatch(/it does not take this token; set LACUNA_ENGINE_TOKEN/)
  const gone = await complete()
  expect([gone.code, gone.out]).toEqual([1, ''])
  expect(gone.err).toMatch(/socket hang up/)
  for (const { err } of [refused, gone]) expect(err).not.toMatch(/sk-|items/)
})

test('goes on here where that is allowed, with the model of this machine', async () => {
  server.replies.push({ kind: 'dies' })
  const { code, out, err } = await complete('--or-here')
  expect({ code, out }).toEqual({ code: 0, out: 'len(self.items)\n' })
  expect(err).toMatch(/^http:\S+, model coder: socket hang up; this machine goes on\n$/)
})

test('refuses before anything is sent: no name, a chat, http elsewhere', async () => {
  const asked = (...args: string[]) => lacuna(['complete', place, '--engine', ...args])
  expect(await asked(server.url().href)).toMatchObject({
    code: 2,
    err: expect.stringMatching(/wanted the model's name/),
  })
  const chat = await asked(server.url('/v1/chat/completions').href, '--engine-model', 'coder')
  expect(chat).toMatchObject({ code: 2, err: expect.stringMatching(/chat\/completions fills no gaps/) })
  const clear = await asked('http://203.0.113.1/v1/fim/completions', '--engine-model', 'coder')
  expect(clear).toMatchObject({ code: 2, err: expect.stringMatching(/wanted https/) })
  const idle = await lacuna(['complete', place, '--engine-model', 'coder'])
  expect(idle).toMatchObject({ code: 2, err: expect.stringMatching(/names a model of the server that --engine names/) })
  expect(server.asked).toEqual([])
})

test('opens no model, and says where probabilities are to come from', async () => {
  const remote = { address: server.url().href, model: 'coder' }
  const refused = () => Promise.reject(new Error('opened'))
  const alone = await openElsewhere({ ...remote, standIn: false }, refused)
  const told: string[] = []
  const helped = await openElsewhere({ ...remote, standIn: true, onSendText: (clause) => told.push(clause) }, refused)
  const signal = new AbortController().signal
  await expect(alone.engine.step([], signal)).rejects.toThrow(/tells no probabilities.*"engineElse" to "local"/)
  await expect(helped.engine.step([], signal)).rejects.toThrow('opened')
  expect(told).toEqual([])
  const gap = { before: 'a', after: 'b', scope: 'line', maxTokens: 1 } as const
  for (let i = 0; i < 2; i++) await helped.infiller.infill(gap, signal, () => {})
  expect(told).toEqual([`text around the cursor is sent to ${server.url().href}`])
  for (const { infiller, engine } of [alone, helped]) {
    infiller.close()
    await engine.close()
  }
})

describe('over https', () => {
  const made = certificates()
  let secure: LocalEndpoint
  let dir: string
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'lacuna-tls-'))
    await writeFile(join(dir, 'authority.pem'), made.authority)
    await writeFile(join(dir, 'token'), `${token}\n`, { mode: 0o600 })
    secure = await new LocalEndpoint(made).start()
    secure.usual = () => streamed('mistral', ['len(self.items)'])
  })
  afterAll(async () => {
    await secure.close()
    await rm(dir, { recursive: true })
  })

  const completeThere = (host: string, env: Record<string, string> = {}) => {
    const url = `https://${host}:${secure.port}/v1/fim/completions`
    const files = { LACUNA_HOME: join(dir, 'home'), LACUNA_ENGINE_TOKEN_FILE: join(dir, 'token') }
    return startLacuna(['complete', place, '--engine', url, '--engine-model', 'coder'], { ...files, ...env }).ended
  }

  test('with an authority of one’s own, and a token from a file', async () => {
    const env = { NODE_EXTRA_CA_CERTS: join(dir, 'authority.pem') }
    expect(await completeThere('localhost', env)).toEqual({ code: 0, out: 'len(self.items)\n', err: '' })
    expect(secure.asked.map(({ authorization }) => authorization)).toEqual([`Bearer ${token}`])
  })

  test('nothing is sent to whom nobody vouches for, and it is said what to set', async () => {
    const before = secure.asked.length
    const { code, out, err } = await completeThere('localhost')
    expect([code, out]).toEqual([2, ''])
    expect(err).toMatch(/its certificate is not trusted.*set NODE_EXTRA_CA_CERTS/)
    expect(err).not.toMatch(/sk-|items/)
    expect(secure.asked).toHaveLength(before)
  })
})
