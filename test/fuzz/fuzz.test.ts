/** Five thousand messages in every run, and that the fuzzer notices each kind of fault. `npm run fuzz` sends more. */
import { Transform } from 'node:stream'
import { describe, expect, test } from 'vitest'
import type { Answer, InfillRequest, Session } from '../../server/session/session.ts'
import { changed, fits, offsetOf, positionOf } from './clientText.ts'
import { fuzz, type Sabotage } from './fuzz.ts'
import { reportOf } from './report.ts'
import { frame, readFrames, type Target } from './target.ts'

test('five thousand messages', async () => {
  const summary = await fuzz({ seed: 1, messages: 5000 })
  expect(summary.failure && reportOf(summary, 'npm run fuzz -- --seed 1')).toBeUndefined()
  // Fuzz that meets nothing proves nothing.
  const count = (outcome: string) => summary.replies.get(outcome) ?? 0
  expect(summary.texts).toBeGreaterThan(1000)
  expect(count('textDocument/completion: items')).toBeGreaterThan(60)
  expect(count('textDocument/completion: empty, incomplete')).toBeGreaterThan(100)
  expect(count('textDocument/completion: error -32800')).toBeGreaterThan(20)
  expect(count('textDocument/inlineCompletion: items')).toBeGreaterThan(60)
  expect(count('textDocument/inlineCompletion: error -32800')).toBeGreaterThan(100)
  expect(count('textDocument/inlineCompletion: error -32600')).toBeGreaterThan(5)
})

test('the same seed, the same run', async () => {
  const [one, other] = [await fuzz({ seed: 7, messages: 600 }), await fuzz({ seed: 7, messages: 600 })]
  expect(other).toEqual(one)
})

describe('notices', () => {
  test('a request answered twice', () => finds({ target: onReplies((reply) => [reply, reply]) }, 'answered twice'))

  test('a request never answered', () => {
    const dropping = (reply: { id: unknown }) => (Number(reply.id) === 5 ? [] : [reply])
    return finds({ target: onReplies(dropping) }, 'was never answered')
  })

  test('what is no message', () => {
    const target = onReplies((reply) => (Number(reply.id) === 5 ? [Buffer.from('hello\n'), reply] : [reply]))
    return finds({ target }, 'no message: "hello')
  })

  test('an answer for older text', () =>
    finds(
      {
        session: (session) => {
          // An answer for the text that was there before the newest request.
          const last = new Map<string, Promise<Answer>>()
          return {
            ...session,
            async request(request, signal) {
              const before = last.get(request.snapshot.uri)
              const now = session.request(request, signal)
              now.catch(() => {})
              last.set(request.snapshot.uri, now)
              return (await before?.catch(() => undefined)) ?? now
            },
          }
        },
      },
      /it makes|its range/,
    ))

  test('a place off by one', () =>
    finds(
      { session: (session) => asking(session, (request) => ({ ...request, offset: Math.max(0, request.offset - 1) })) },
      /it makes|its range/,
    ))

  test('a promise nobody waits for', () =>
    finds(
      {
        session: (session) => ({
          ...session,
          request(request, signal) {
            void Promise.reject(new Error('left alone'))
            return session.request(request, signal)
          },
        }),
      },
      'nobody waited for: Error: left alone',
    ))

  test('a failure of the server', () => {
    const forget = () => {
      throw new TypeError('no such document')
    }
    const session = (whole: Session) => ({ ...whole, request: () => Promise.reject(new TypeError('x is undefined')) })
    return finds({ session: (whole) => ({ ...session(whole), forget }) }, 'a failure of the server')
  })
})

describe("the client's own text", () => {
  test('CR, LF and CRLF end lines; a character is a UTF-16 unit', () => {
    const text = 'a🦊\r\nb\rc\nd'
    expect(offsetOf(text, { line: 1, character: 0 })).toBe(5)
    expect(offsetOf(text, { line: 0, character: 99 })).toBe(3)
    expect(offsetOf(text, { line: 9, character: 0 })).toBe(text.length)
    expect([0, 3, 5, 7, 9].map((offset) => positionOf(text, offset).line)).toEqual([0, 0, 1, 2, 3])
    const range = { start: { line: 0, character: 1 }, end: { line: 1, character: 0 } }
    expect(changed(text, { range, text: '-' })).toBe('a-b\rc\nd')
    expect(changed(text, { text: '-' })).toBe('-')
    expect(fits(text, range)).toBe(true)
    expect(fits(text, { ...range, end: { line: 0, character: 4 } })).toBe(false)
  })
})

async function finds(sabotage: Sabotage, breach: string | RegExp): Promise<void> {
  const { failure } = await fuzz({ seed: 3, messages: 3000, sabotage })
  expect(failure?.breaches.join('\n')).toMatch(breach)
}

function asking(session: Session, instead: (request: InfillRequest) => InfillRequest): Session {
  return { ...session, request: (request, signal) => session.request(instead(request), signal) }
}

/** A server whose replies go through other hands. */
function onReplies(hands: (reply: { id: unknown }) => readonly (object | Buffer)[]): (target: Target) => Target {
  return (target) => {
    const output = new Transform({ transform: (chunk, _, done) => done(null, chunk) })
    readFrames(
      target.output,
      (message) => {
        const isReply = 'id' in message && !('method' in message)
        for (const part of isReply ? hands(message as { id: unknown }) : [message])
          output.write(Buffer.isBuffer(part) ? part : frame(part))
      },
      () => {},
    )
    return { ...target, output }
  }
}
