import { PassThrough } from 'node:stream'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { FrameReader } from '../../server/lsp/frameReader.ts'

/** What comes out when the bytes come in pieces of these sizes (over and over). */
async function read(bytes: Buffer, sizes: readonly number[]) {
  const stream = new PassThrough()
  const reader = new FrameReader(stream)
  const messages: unknown[] = []
  const errors: string[] = []
  let closed = 0
  reader.onError((error) => void errors.push(error.message))
  reader.onClose(() => void closed++)
  reader.listen((message) => void messages.push(message))
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length]!
    stream.write(bytes.subarray(at, at + size))
    at += size
  }
  stream.end()
  await new Promise((resolve) => stream.once('close', resolve))
  expect(closed).toBe(1)
  return { messages, errors }
}

function frame(message: unknown, extra = ''): Buffer {
  const body = Buffer.from(JSON.stringify(message))
  return Buffer.concat([Buffer.from(`${extra}Content-Length: ${body.length}\r\n\r\n`), body])
}

const [first, second] = [
  { id: 1, text: '🦊é' },
  { id: 2, method: 'x' },
]

test('messages, however they are cut', async () => {
  const message = fc.record({ id: fc.nat(), text: fc.string({ unit: 'grapheme' }) })
  await fc.assert(
    fc.asyncProperty(
      fc.array(message, { maxLength: 5 }),
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
      async (sent, sizes) => {
        const { messages, errors } = await read(Buffer.concat(sent.map((each) => frame(each))), sizes)
        expect(messages).toEqual(sent)
        expect(errors).toEqual([])
      },
    ),
    { numRuns: 50 },
  )
})

test('other headers, in any order and case', async () => {
  const type = 'content-type: application/vscode-jsonrpc; charset=utf-8\r\n'
  const lower = Buffer.from(frame(second).toString().replace('Content-Length: ', 'content-length:'))
  const { messages, errors } = await read(Buffer.concat([frame(first, type), lower]), [7])
  expect(messages).toEqual([first, second])
  expect(errors).toEqual([])
})

const garbage: readonly (readonly [string, string])[] = [
  ['a line', 'hello?\n'],
  ['a line like a header', 'Warning: something\r\n'],
  ['an empty header', '\r\n\r\n'],
  ['a header with no length', 'Content-Type: x\r\n\r\n'],
  ['a length that is no number', 'Content-Length: many\r\n\r\n'],
  ['a length beyond reason', 'Content-Length: 99999999999\r\n\r\n'],
  ['a body that is no JSON', 'Content-Length: 3\r\n\r\n{a}'],
  ['a body that is no object', 'Content-Length: 4\r\n\r\nnull'],
  ['a length too short', 'Content-Length: 2\r\n\r\n{"id": 9}'],
  ['an empty body', 'Content-Length: 0\r\n\r\n'],
  ['a flood', 'x'.repeat(200_000)],
]
for (const [name, bytes] of garbage) {
  test(`finds its way back after ${name}`, async () => {
    for (const sizes of [[1_000_000], [13]]) {
      const { messages, errors } = await read(Buffer.concat([frame(first), Buffer.from(bytes), frame(second)]), sizes)
      expect(messages).toEqual([first, second])
      expect(errors.length).toBeGreaterThan(0)
    }
  })
}

test('a failure of the one who listens is an error, and the next message comes', async () => {
  const stream = new PassThrough()
  const reader = new FrameReader(stream)
  const [errors, seen]: [string[], unknown[]] = [[], []]
  reader.onError((error) => void errors.push(error.message))
  reader.listen((message) => {
    seen.push(message)
    if (seen.length === 1) throw new TypeError('no params')
  })
  stream.end(Buffer.concat([frame(first), frame(second)]))
  await new Promise((resolve) => stream.once('close', resolve))
  expect(seen).toEqual([first, second])
  expect(errors).toHaveLength(1)
})

test('text of a message that is no JSON is told to nobody', async () => {
  const stream = new PassThrough()
  const reader = new FrameReader(stream)
  const errors: Error[] = []
  reader.onError((error) => void errors.push(error))
  reader.listen(() => {})
  stream.end('Content-Length: 26\r\n\r\n{"text": "hunter2" hunter2}')
  await new Promise((resolve) => stream.once('close', resolve))
  expect(errors.map(({ message, cause }) => `${message}: ${(cause as Error).message}`)).toEqual([
    'a message of 26 bytes could not be read; dropped: it is no JSON object',
  ])
})
