/**
 * Whatever else is under way, a keystroke waits for one pass at most: the one in hand. Each document here is written in
 * a letter of its own, so that every pass tells whose it is.
 */
import { expect, test } from 'vitest'
import { Aborted } from '../../server/base/errors.ts'
import { fillGap } from '../../server/session/fillGap.ts'
import { askedFor } from '../../server/session/gaps.ts'
import { LiveSession } from '../../server/session/liveSession.ts'
import { ManualClock } from '../base/manualClock.ts'
import { PassByPass } from '../engine/passByPass.ts'
import { type Script, ScriptedEngine } from '../engine/scriptedEngine.ts'
import { roomsOver } from './roomsOver.ts'
import { sessionSettings } from './sessionThatKnows.ts'

/** Goes on in the letter that it sees most of. */
const moreOfTheSame: Script = ({ context }) => {
  const ids = [...context.values()]
  const id = ids.filter((seen) => seen === ids.at(-1)).length > 1 ? ids.at(-1)! : 120
  return [{ id, probability: 0.99 }]
}

function open() {
  const engine = new PassByPass(new ScriptedEngine(moreOfTheSame))
  const clock = new ManualClock()
  const rooms = roomsOver(engine, {}, clock.now)
  const session = new LiveSession(rooms, {
    settings: () => ({ ...sessionSettings, maxTokens: 8 }),
    clock,
    log: () => {},
    close: () => engine.close(),
  })
  const never = new AbortController().signal
  const snapshot = (letter: string, length: number) => {
    const text = letter.repeat(length)
    return { uri: `file:///${letter}`, languageId: 'python', version: 1, text }
  }
  return {
    /** Fills a long block, as a command does: nobody waits for it while typing. */
    block(letter: string, length: number, signal = never): Promise<unknown> {
      const request = { text: letter.repeat(length), offset: length, scope: 'block', maxTokens: 400 } as const
      return fillGap(rooms, { ...request, certainty: askedFor }, signal).catch((error: unknown) => error)
    },
    keystroke(letter: string, length: number): void {
      const request = { method: 'inline', snapshot: snapshot(letter, length), offset: length, invoked: false } as const
      session.request(request, never).catch(() => {})
    },
    prepare(letter: string, length: number): void {
      session.prepare({ snapshot: snapshot(letter, length), offset: length, typing: true })
    },
    /** The next `count` passes: kind and letter. */
    async passes(count: number): Promise<string[]> {
      const done: string[] = []
      for (let i = 0; i < count; i++) {
        const pass = await engine.pass()
        if (pass) done.push(`${pass.kind} ${letterOf(pass.ids)}`)
      }
      return done
    },
  }
}

function letterOf(ids: readonly number[]): string {
  const letters = new Set(ids.filter((id) => id >= 97 && id <= 122).map((id) => String.fromCharCode(id)))
  return [...letters].join('+')
}

test('a block that is being filled: its step in hand, then the keystroke alone until it is answered', async () => {
  const { block, keystroke, passes } = open()
  void block('b', 20)
  expect(await passes(5)).toEqual(['encode b', 'step b', 'step b', 'encode b', 'step b'])
  keystroke('k', 150) // three chunks to read
  const after = await passes(8)
  expect(after.slice(0, 5)).toEqual(['step b', 'encode k', 'encode k', 'encode k', 'step k'])
  // And the block goes on when it is.
  expect((await passes(20)).at(-1)).toMatch(/b$/)
})

test('a block that rests because of that, and is cancelled meanwhile, ends at once', async () => {
  const { block, keystroke, passes } = open()
  const abort = new AbortController()
  const filling = block('b', 20, abort.signal)
  await passes(2)
  keystroke('k', 150)
  expect(await passes(3)).toEqual(['step b', 'encode k', 'encode k'])
  abort.abort(new Aborted('cancelled'))
  expect(await filling).toMatchObject({ why: 'cancelled' })
  expect(await passes(2)).toEqual(['encode k', 'step k'])
})

test('a long text that somebody else waits for: its chunk in hand, then the keystroke', async () => {
  const { keystroke, passes } = open()
  keystroke('w', 700)
  expect(await passes(2)).toEqual(['encode w', 'encode w'])
  keystroke('k', 20)
  expect((await passes(3)).slice(0, 3)).toEqual(['encode w', 'encode k', 'step k'])
})

test('a text that is read ahead: its chunk in hand, then the keystroke', async () => {
  const { prepare, keystroke, passes } = open()
  prepare('w', 700)
  expect(await passes(2)).toEqual(['encode w', 'encode w'])
  keystroke('k', 150)
  const after = await passes(7)
  expect(after.slice(0, 5)).toEqual(['encode w', 'encode k', 'encode k', 'encode k', 'step k'])
  // Between two steps there may be time for a chunk; no step waits for more than that one.
  expect((await passes(30)).at(-1)).toBe('encode w')
})

test('many texts at once', async () => {
  const { block, prepare, keystroke, passes } = open()
  void block('b', 20)
  await passes(4)
  prepare('c', 700)
  prepare('d', 700)
  keystroke('w', 700)
  await passes(3)
  keystroke('k', 20)
  const after = await passes(6)
  expect(after.indexOf('encode k')).toBeLessThanOrEqual(1)
  expect(after.indexOf('step k')).toBe(after.indexOf('encode k') + 1)
})
