/** Reading before anybody asks: what is read, what never happens, and what it holds up, which is nothing. */
import { describe, expect, test } from 'vitest'
import { EngineError } from '../../server/base/errors.ts'
import { readAhead } from '../../server/session/readAhead.ts'
import { settled } from '../base/manualClock.ts'
import { ScriptedEngine } from '../engine/scriptedEngine.ts'
import { roomsOver } from './roomsOver.ts'
import { completion, sessionThatKnows } from './sessionThatKnows.ts'

/** With the start and without its last token, the prefix of a place is as many rows as it has bytes. */
const long = `${'x = 1\n'.repeat(50)}print(` // 306 bytes

async function quiet(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await settled()
}

describe('where a cursor rests', () => {
  test('the prefix is read, and the model predicts nothing', async () => {
    const { prepare, engine } = sessionThatKnows('print(value)\nmore')
    prepare('print(║\nmore', false)
    await quiet()
    expect(engine.encodedRows).toBe(6)
    expect(engine.steps).toHaveLength(0)
  })

  test('a request finds it read', async () => {
    const { prepare, ask, rooms } = sessionThatKnows('print(value)\nmore')
    prepare('print(║\nmore', false)
    await quiet()
    expect(await ask('print(║\nmore')).toEqual(completion('value)', 6))
    expect([rooms.prefixes.encodedRows, rooms.suffixes.encodedRows]).toEqual([6, 5])
  })

  test('a cursor that moves on reads what it passes, one that moves back nothing', async () => {
    const { prepare, engine } = sessionThatKnows('')
    for (const marked of [`${long}║`, `${long}val║`, `x = ║1\n`]) {
      prepare(marked, false)
      await quiet()
    }
    expect(engine.encodedRows).toBe(306 + 3)
  })

  test('the newest place of a document counts; what was read of the one before stays', async () => {
    const { prepare, engine, rooms } = sessionThatKnows('')
    engine.hold()
    prepare(`${long}║`, false)
    await settled()
    for (let moved = 0; moved < 10; moved++) prepare(`# ${moved}\n${long}║`, false)
    await settled()
    engine.resume()
    await quiet()
    // A chunk of the first place, none of the next nine.
    expect(engine.encodedRows).toBe(64 + 310)
    prepare(`${long}║`, false)
    await quiet()
    expect(rooms.prefixes.encodedRows).toBe(64 + 310 + 306 - 64)
  })
})

describe('where somebody types', () => {
  test('both sides are read, and the model predicts nothing', async () => {
    const { prepare, engine, rooms } = sessionThatKnows('print(value)\nmore')
    prepare('print(║\nmore', true)
    await quiet()
    expect([rooms.prefixes.encodedRows, rooms.suffixes.encodedRows]).toEqual([6, 5])
    expect(engine.steps).toHaveLength(0)
  })

  test('in the pause of a request the context is read, and the steps come after it', async () => {
    const { ask, engine, clock } = sessionThatKnows('print(value)\nmore', { debounceMs: 50 })
    const answer = ask('print(║\nmore')
    await clock.pass(49)
    expect(engine.encodedRows).toBe(11)
    expect(engine.steps).toHaveLength(0)
    await clock.pass(1)
    expect(await answer).toEqual(completion('value)', 6))
    expect(engine.encodedRows).toBe(11)
  })

  test('a request superseded in its pause reads no further', async () => {
    const { ask, engine, clock } = sessionThatKnows('print(value)', { debounceMs: 50 })
    engine.hold()
    const older = ask(`# old\n${long}║`)
    const superseded = expect(older).rejects.toMatchObject({ why: 'superseded' })
    await settled()
    const newer = ask(`${long}║`)
    await settled()
    engine.resume()
    await quiet()
    expect(engine.encodedRows).toBe(64 + 306)
    expect(engine.steps).toHaveLength(0)
    await clock.pass(40)
    await clock.pass(10)
    await superseded
    await newer
  })

  test('a request that is taken up at the end of its pause goes on with what was read', async () => {
    const { ask, engine, clock, rooms } = sessionThatKnows('print(value)', { debounceMs: 50 })
    engine.hold()
    const answer = ask(`${long}║`)
    await clock.pass(50)
    engine.resume()
    await answer
    expect(rooms.prefixes.encodedRows).toBe(306)
  })
})

describe('while an answer is looked at', () => {
  const model = { drafting: { distance: 24, slots: 23, open: 1, begun: 8 } }
  const above = '# something that stands above it\n' // 33 bytes, the start before them
  const sessionAt = (line: string) => sessionThatKnows(above + line, {}, 0.99, undefined, model)

  test('what the next token needs is read where the canvas then begins anew, and the key after it reads nothing', async () => {
    const { ask, engine, clock } = sessionAt('[({<+->}!)]')
    await ask(`${above}[({<+->║`)
    expect(engine.encodedRows, 'all that stands before the line’s first row').toBe(33)
    await clock.pass(5)
    await quiet()
    expect(engine.encodedRows).toBe(33 + 8)
    const steps = engine.steps.length
    await ask(`${above}[({<+->?║`) // not what was shown
    expect(engine.encodedRows).toBe(33 + 8)
    expect(engine.steps[steps]![0]!.positions[0], 'the canvas begins at the eighth').toBe(33 + 8)
  })

  test('so it is where what was known is typed', async () => {
    const { ask, engine, clock } = sessionAt('[({<+->}!)]')
    await ask(`${above}[({<+-║`)
    const steps = engine.steps.length
    await ask(`${above}[({<+->║`)
    await clock.pass(5)
    await quiet()
    expect([engine.steps.length, engine.encodedRows]).toEqual([steps, 33 + 8])
  })

  test('and on a new line', async () => {
    const { ask, engine, clock } = sessionAt('[(\n+->')
    await ask(`${above}[(\n║`)
    await clock.pass(5)
    await quiet()
    expect(engine.encodedRows).toBe(34 + 2)
  })

  test('elsewhere nothing is read, and nothing before the answer is out', async () => {
    const { ask, engine, clock } = sessionAt('[({<+->}!)]')
    await ask(`${above}[({<║`)
    await clock.pass(5)
    await quiet()
    expect(engine.encodedRows).toBe(33)
    await ask(`${above}[({<+->║`)
    await clock.pass(4)
    await quiet()
    expect(engine.encodedRows).toBe(33)
  })
})

describe('holds up nobody', () => {
  test('a known completion: neither engine nor clock is touched, whoever asks', async () => {
    const { prepare, ask, engine, clock } = sessionThatKnows('print(value)', { debounceMs: 50 })
    const first = ask('print(║')
    await clock.pass(50)
    await first
    engine.hold() // from here on a call would never come back
    const calls: string[] = []
    const { encode, step } = engine
    engine.encode = (...given) => {
      calls.push('encode')
      return encode.apply(engine, given)
    }
    engine.step = (...given) => {
      calls.push('step')
      return step.apply(engine, given)
    }
    for (const typed of ['v', 'va', 'val', 'valu']) {
      prepare(`print(${typed}║`, true)
      for (const method of ['completion', 'inline'] as const) {
        const at = 6 + typed.length
        expect(await ask(`print(${typed}║`, { method })).toEqual(completion('value)'.slice(typed.length), at))
      }
      prepare(`print(${typed}║`, false)
    }
    await quiet()
    expect(calls).toEqual([])
    expect(clock.sleeping).toBe(0)
  })

  test('what is asked for at the same place reads for itself', async () => {
    const { prepare, ask, engine, clock } = sessionThatKnows('print(value)\nmore', { debounceMs: 50 })
    engine.hold()
    const answer = ask('print(║\nmore')
    prepare('print(║\nmore', false) // as an editor does that asks for both
    await settled()
    engine.resume()
    await clock.pass(49)
    expect(engine.encodedRows).toBe(11)
    await clock.pass(1)
    expect(await answer).toEqual(completion('value)', 6))
  })

  test('asked for by hand there is no pause', async () => {
    const { ask, engine, clock } = sessionThatKnows('print(value)', { debounceMs: 50 })
    expect(await ask('print(║', { invoked: true })).toEqual(completion('value)', 6))
    expect(engine.steps.length).toBeGreaterThan(0)
    expect(clock.now()).toBe(0)
  })
})

describe('ends', () => {
  test('when its document is closed, and no other’s', async () => {
    const { prepare, session, engine } = sessionThatKnows('')
    engine.hold()
    prepare(`${long}║`, true, 'file:///a.py')
    prepare(`# b\n${long}║`, true, 'file:///b.py')
    await settled()
    session.forget('file:///a.py')
    engine.resume()
    await quiet()
    expect(engine.encodedRows).toBe(64 + 310)
  })

  test('with the session', async () => {
    const { prepare, session, engine, log } = sessionThatKnows('')
    engine.hold()
    prepare(`${long}║`, true)
    await settled()
    await session.close()
    await quiet()
    expect(engine.encodedRows).toBe(0)
    expect(log.filter((line) => !line.startsWith('warn'))).toEqual([])
  })

  test('when the engine fails: the log tells it, without the text, and the next request works', async () => {
    const { prepare, ask, engine, log } = sessionThatKnows('print(value)')
    engine.failNext(new EngineError('no memory'))
    prepare('print(║', true)
    await quiet()
    expect(log).toEqual(['warn reading ahead failed: no memory'])
    expect(await ask('print(║')).toEqual(completion('value)', 6))
  })
})

test('a model that reads its surroundings in every step has nothing to read ahead', async () => {
  const engine = new ScriptedEngine()
  const rooms = roomsOver(engine, { attention: 'bidirectional' })
  await readAhead(rooms, { text: 'print()', offset: 6 }, 'both', new AbortController().signal)
  expect(engine.encodedRows).toBe(0)
})
