/** Text endpoints as they answer and as they fail, over a local server: what comes out, and what is said to the user. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Aborted, stackOf, UserError } from '../../server/base/errors.ts'
import { isTextEndpoint, TextEndpoint } from '../../server/endpoint/textEndpoint.ts'
import { NoInfill, type TextGap } from '../../server/infill/infiller.ts'
import { until } from '../e2e/startServer.ts'
import { eventsOf, LocalEndpoint, type Reply, type Shape, streamed, whole } from './localEndpoint.ts'

const gap: TextGap = { before: 'my_secret_prefix(', after: ')\nmy_secret_suffix\n', scope: 'line', maxTokens: 64 }
const block: TextGap = { ...gap, scope: 'block' }
const token = 'sk-very-secret-token'
const never = new AbortController().signal

let server: LocalEndpoint
let endpoint: TextEndpoint
beforeEach(async () => {
  server = await new LocalEndpoint().start()
  endpoint = open()
})
afterEach(async () => {
  endpoint.close()
  await server.close()
})

function open(options: { readonly token?: string | undefined; readonly deadlineMs?: number } = {}): TextEndpoint {
  return new TextEndpoint({ url: server.url(), model: 'coder', token, deadlineMs: 2000, ...options })
}

const infill = (asked = gap, signal = never, onProgress: (text: string) => void = () => {}) =>
  endpoint.infill(asked, signal, onProgress)

/** All that a user or a log would see of it; fails when it does not fail. */
async function failure(asked = gap): Promise<Error> {
  const error = await infill(asked).then(
    (written) => Promise.reject(new Error(`wanted a failure, got ${JSON.stringify(written)}`)),
    (failed: Error) => failed,
  )
  expect(error).toSatisfy((one) => one instanceof NoInfill || one instanceof UserError)
  expect(error.message).toContain(`${server.url().href}, model coder: `)
  expect(stackOf(error)).not.toMatch(/secret/)
  return error
}

describe('asks', () => {
  test('with text, model, token and limits, and nothing else', async () => {
    await infill()
    expect(server.asked).toEqual([
      {
        path: '/v1/fim/completions',
        authorization: `Bearer ${token}`,
        body: {
          ...{ model: 'coder', prompt: gap.before, suffix: gap.after, max_tokens: 64 },
          ...{ temperature: 0, stream: true, stop: ['\n'] },
        },
      },
    ])
  })

  test('for a block with no end at a line break, without a token where there is none', async () => {
    endpoint = open({ token: undefined })
    await infill({ ...block, after: '' })
    expect(server.asked[0]).toMatchObject({ authorization: undefined, body: { suffix: '\n' } })
    expect(server.asked[0]!.body).not.toHaveProperty('stop')
  })

  test('again over the same connection', async () => {
    for (let i = 0; i < 3; i++) await infill()
    server.replies.push(whole('mistral', 'x'))
    await infill()
    expect(server.connections).toBe(1)
  })
})

describe('reads', () => {
  const shapes: readonly Shape[] = ['completions', 'mistral']

  test.each(shapes)('%s, whole and streamed', async (shape) => {
    server.replies.push(whole(shape, 'a, b'), streamed(shape, ['a', ', ', 'b']))
    expect(await infill()).toEqual({ text: 'a, b', complete: true })
    const progress: string[] = []
    expect(await infill(gap, never, (text) => progress.push(text))).toEqual({ text: 'a, b', complete: true })
    expect(progress).toEqual(['a', 'a, ', 'a, b'])
  })

  test('a stream that is cut anywhere, in the middle of a character too', async () => {
    const bytes = Buffer.from(`\ufeff: hello\r\nevent: message\r\n${eventsOf('completions', ['"é', '–𝕏"', '名'])}`)
    for (const size of [1, 2, 3, 7]) {
      const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
        bytes.subarray(i * size, (i + 1) * size),
      )
      server.replies.push({ kind: 'streamed', pieces })
      expect(await infill(), `pieces of ${size}`).toEqual({ text: '"é–𝕏"名', complete: true })
    }
  })

  test('events over several lines, with other line breaks, with nothing written in them', async () => {
    const usage = 'data: {"choices":[],"usage":{"total_tokens":3}}'
    const event = 'data: {"choices":[{"text":"ab",\rdata: "finish_reason":null}]}\r\r'
    server.replies.push({ kind: 'streamed', pieces: [`${event}\r\ndata:[DONE]\r\n\r\n${usage}`] })
    expect(await infill()).toEqual({ text: 'ab', complete: true })
  })

  test('the rest of the line and no more, and hangs up where more would come', async () => {
    server.replies.push({
      kind: 'streamed',
      pieces: [eventsOf('completions', ['a', ')\nb', 'c'], null)],
      next: 'waits',
    })
    expect(await infill()).toEqual({ text: 'a)', complete: true })
    await until(() => server.closedEarly === 1)
  })

  test('a block with its line breaks as line feeds', async () => {
    server.replies.push(streamed('mistral', ['a\r', '\nb\r\n']), whole('completions', 'a\r\nb'))
    expect(await infill(block)).toEqual({ text: 'a\nb\n', complete: true })
    expect(await infill(block)).toEqual({ text: 'a\nb', complete: true })
  })

  test('what was cut short as such', async () => {
    server.replies.push(streamed('mistral', ['val'], 'length'), whole('completions', 'val', 'length'))
    server.replies.push({
      kind: 'streamed',
      pieces: [eventsOf('mistral', ['val'], null).replace(/data: \[DONE\]\n\n/, '')],
    })
    for (let i = 0; i < 3; i++) expect(await infill()).toEqual({ text: 'val', complete: false })
  })

  test('nothing', async () => {
    server.replies.push(streamed('completions', []), whole('mistral', ''))
    for (let i = 0; i < 2; i++) expect(await infill()).toEqual({ text: '', complete: true })
  })
})

describe('gives up on', () => {
  test('a server that is slow, before and within its answer', async () => {
    endpoint = open({ deadlineMs: 50 })
    server.replies.push(
      { kind: 'waits' },
      { kind: 'streamed', pieces: [eventsOf('mistral', ['a'], null)], next: 'waits' },
    )
    expect((await failure()).message).toMatch(/no answer within 0.05 s$/)
    expect((await failure()).message).toMatch(/cut off: no answer within 0.05 s$/)
    await until(() => server.closedEarly === 2)
  })

  test('a server that is gone', async () => {
    const { port } = server
    await server.close()
    expect((await failure()).message).toMatch(`connect ECONNREFUSED 127.0.0.1:${port}`)
  })

  test('a connection that is dropped, before and within the answer', async () => {
    const half = eventsOf('completions', ['my_secret_answer'], null).slice(0, 40)
    server.replies.push({ kind: 'dies' }, { kind: 'streamed', pieces: [half], next: 'dies' })
    expect((await failure()).message).toMatch(/socket hang up$/)
    expect((await failure()).message).toMatch(/the answer was cut off: aborted$/)
  })

  const garbled: readonly [string, Reply, RegExp][] = [
    ['no JSON', { kind: 'whole', body: 'my_secret_answer {' }, /wanted JSON, found something else$/],
    ['half of it', { kind: 'whole', body: '{"choices":[{"text":"my_secret' }, /wanted JSON, found something else$/],
    ['another value', { kind: 'whole', body: '"my_secret_answer"' }, /wanted an object, found string$/],
    ['no choices', { kind: 'whole', body: '{"my_secret":1}' }, /wanted "choices", found none$/],
    [
      'no text',
      { kind: 'whole', body: '{"choices":[{"text":["my_secret"]}]}' },
      /wanted a text in "choices", found object/,
    ],
    ['no UTF-8', { kind: 'whole', body: Buffer.from([0x22, 0xff, 0x22]) }, /wanted UTF-8/],
    ['an event that is no JSON', { kind: 'streamed', pieces: ['data: my_secret\n\n'] }, /wanted JSON/],
    ['events that are no UTF-8', { kind: 'streamed', pieces: [Buffer.from([0xc3, 0x28])] }, /wanted UTF-8/],
    ['half a character at the end', { kind: 'streamed', pieces: [Buffer.from([0xc3])] }, /wanted UTF-8/],
    [
      'a failure told in the stream',
      { kind: 'streamed', pieces: ['data: {"error":{"message":"my_secret","code":"overloaded"}}\n\n'] },
      /it failed \(overloaded\)$/,
    ],
  ]
  test.each(garbled)('an answer with %s, without quoting it', async (_, reply, message) => {
    server.replies.push(reply)
    expect((await failure()).message).toMatch(/its answer cannot be understood: /)
    server.replies.push(reply)
    expect((await failure()).message).toMatch(message)
  })

  test('answers that do not end', async () => {
    const line = `data: ${'x'.repeat(64 * 1024)}`
    server.replies.push({ kind: 'whole', body: 'x'.repeat(2 << 20) })
    server.replies.push({ kind: 'streamed', pieces: Array(20).fill(line), next: 'waits' })
    for (let i = 0; i < 2; i++) expect((await failure()).message).toMatch(/an answer of more than 1024 KiB; refused$/)
    await until(() => server.closedEarly >= 1) // of the first all may be on its way already
  })
})

describe('says what to do about', () => {
  const echo = JSON.stringify({ error: { message: `my_secret_prefix ${token}`, code: 'invalid_api_key' } })

  test.each([401, 403])('a token that is missing or wrong (%i)', async (status) => {
    server.replies.push({ kind: 'status', status, body: echo }, { kind: 'status', status })
    const wrong = await failure()
    expect(wrong).toBeInstanceOf(UserError)
    expect(wrong.message).toMatch(/: 40. \(invalid_api_key\): it does not take this token; set LACUNA_ENGINE_TOKEN, or/)
    endpoint = open({ token: undefined })
    expect((await failure()).message).toMatch(
      /: it wants a token; set LACUNA_ENGINE_TOKEN, or LACUNA_ENGINE_TOKEN_FILE/,
    )
  })

  test('too many requests: how long it rests', async () => {
    const tooMany = (after?: string): Reply => ({
      ...{ kind: 'status', status: 429, body: echo },
      ...(after === undefined ? {} : { headers: { 'retry-after': after } }),
    })
    server.replies.push(tooMany('7'), tooMany(new Date(Date.now() + 90_000).toUTCString()), tooMany(), tooMany('soon'))
    const told = await failure()
    expect(told).toMatchObject({ retryAfterMs: 7000 })
    expect(told.message).toMatch(/429 \(invalid_api_key\): too many requests.*asked again in 7 s$/)
    const { retryAfterMs } = (await failure()) as NoInfill
    expect(retryAfterMs).toBeGreaterThan(80_000)
    expect(retryAfterMs).toBeLessThanOrEqual(90_000)
    for (let i = 0; i < 2; i++) expect(await failure()).toMatchObject({ retryAfterMs: undefined })
  })

  test('a redirect: it is not followed, whether here or elsewhere', async () => {
    const other = await new LocalEndpoint().start()
    for (const location of [other.url().href, '/v1/fim/completions']) {
      server.replies.push({ kind: 'status', status: 308, headers: { location } })
      expect((await failure()).message).toMatch(/308: it sends on to another address; redirects are not followed/)
    }
    expect([server.asked.length, other.asked.length]).toEqual([2, 0])
    await other.close()
  })

  test('a server without such a path, and a model that takes no suffix', async () => {
    const body = '{"error":{"message":"suffix is not currently supported","type":"BadRequestError","code":400}}'
    server.replies.push({ kind: 'status', status: 404 }, { kind: 'status', status: 400, body })
    server.replies.push({ kind: 'status', status: 422, body: '{"detail":[{"input":"my_secret_suffix"}]}' })
    server.replies.push({ kind: 'status', status: 503, body: echo })
    expect((await failure()).message).toMatch(/: 404: is the address right/)
    expect((await failure()).message).toMatch(/: 400 \(BadRequestError\): it takes no suffix, so it fills no gaps/)
    expect((await failure()).message).toMatch(/: 422: it does not take such a request/)
    expect((await failure()).message).toMatch(/: 503 \(invalid_api_key\)$/)
  })
})

test('hangs up when nobody wants the answer any more', async () => {
  server.replies.push(
    { kind: 'waits' },
    { kind: 'streamed', pieces: [eventsOf('mistral', ['a'], null)], next: 'waits' },
  )
  for (let i = 1; i <= 2; i++) {
    const controller = new AbortController()
    const asking = infill(gap, controller.signal)
    await until(() => server.asked.length === i)
    await new Promise((resolve) => setTimeout(resolve, 20))
    controller.abort(new Aborted('superseded'))
    await expect(asking).rejects.toMatchObject({ name: 'Aborted', why: 'superseded' })
    await until(() => server.closedEarly === i)
  }
  const before = AbortSignal.abort(new Aborted('cancelled'))
  await expect(infill(gap, before)).rejects.toMatchObject({ why: 'cancelled' })
  expect(server.asked).toHaveLength(2)
})

test('tells text endpoints by their path, and refuses where text may not go', () => {
  const here = [
    'https://a.example/v1/fim/completions',
    'https://a.example/beta/completions?v=1',
    'http://[::1]:1/v1/completions/',
  ]
  expect(here.map(isTextEndpoint)).toEqual([true, true, true])
  expect(['https://a.example', 'https://a.example/v2/models/x'].map(isTextEndpoint)).toEqual([false, false])
  expect(() => isTextEndpoint('http://a.example/v1/fim/completions')).toThrow(/http:\/\/a.example.*wanted https/)
  expect(() => isTextEndpoint('https://me:secret@a.example/v1/fim/completions')).toThrow(/must not hold a password/)
  expect(() => isTextEndpoint('https://a.example/v1/chat/completions')).toThrow(/chat\/completions fills no gaps/)
})
