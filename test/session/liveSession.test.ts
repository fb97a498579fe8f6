import { describe, expect, test } from 'vitest'
import { Aborted, EngineError, EngineGoneError } from '../../server/base/errors.ts'
import type { Infiller } from '../../server/infill/infiller.ts'
import type { Answer } from '../../server/session/session.ts'
import { settled } from '../base/manualClock.ts'
import { byteIds, knows } from '../engine/scriptedEngine.ts'
import { bytesOf } from './byteModel.ts'
import { completion, holdAfter, scriptOf, sessionThatKnows } from './sessionThatKnows.ts'

describe('answers', () => {
  test('the rest of the line', async () => {
    const { ask } = sessionThatKnows('print(value)\nmore')
    expect(await ask('print(║\nmore')).toEqual(completion('value)', 6))
  })

  test('in place of what follows on the line', async () => {
    const { ask } = sessionThatKnows('print(value)')
    expect(await ask('print(║)')).toEqual(completion('value', 6))
  })

  test('without the blank that is there already', async () => {
    const { ask } = sessionThatKnows('return value\n')
    expect(await ask('return ║\n')).toEqual(completion('value', 7))
  })

  test('a middle of more than one canvas', async () => {
    const { ask } = sessionThatKnows('return value_of(another)\n')
    expect(await ask('return ║\n')).toEqual(completion('value_of(another)', 7))
  })

  test('nothing, with a reason, where the model ends at once', async () => {
    const { ask, engine } = sessionThatKnows('print()')
    const answer = await ask('print()║')
    expect(answer).toEqual({ kind: 'nothing', reason: 'the model left the gap empty' })
    const steps = engine.steps.length
    expect(await ask('print()║')).toEqual(answer)
    expect(engine.steps).toHaveLength(steps)
  })

  test('nothing where the model is not sure, something when asked by hand', async () => {
    const { ask } = sessionThatKnows('print(value)', {}, 0.25)
    expect(await ask('print(║')).toMatchObject({ kind: 'nothing' })
    expect(await ask('print(║', { invoked: true })).toMatchObject(completion('value)', 6))
  })

  test('of a line that is not sure enough its sure beginning; the rest by hand', async () => {
    const { session, ask, engine } = sessionThatKnows('f(one, two)', { showAbove: 0.8 })
    engine.script = knows([byteIds.documentStart, ...bytesOf('f(one, two)')], (position) => (position < 8 ? 0.99 : 0.6))
    expect(await ask('f(║')).toMatchObject({ edit: { text: 'one,' } })
    const steps = engine.steps.length
    expect(await ask('f(║'), 'again').toMatchObject({ edit: { text: 'one,' } })
    expect(engine.steps).toHaveLength(steps)
    expect(await ask('f(║', { invoked: true })).toMatchObject({ edit: { text: 'one, two)' } })
    await session.close()
  })

  test('no beginning of a character or two; typed all the same, the model is not asked again', async () => {
    const { session, ask, engine } = sessionThatKnows('f(ab, two)', { showAbove: 0.8 })
    engine.script = knows([byteIds.documentStart, ...bytesOf('f(ab, two)')], (position) => (position < 5 ? 0.99 : 0.6))
    expect(await ask('f(║')).toMatchObject({ kind: 'nothing', reason: expect.stringMatching(/too little/) })
    const steps = engine.steps.length
    expect(await ask('f(a║')).toMatchObject({ kind: 'nothing' })
    expect(engine.steps).toHaveLength(steps)
    expect(await ask('f(║', { invoked: true })).toMatchObject({ edit: { text: 'ab, two)' } })
    await session.close()
  })

  test('anything at all where the setting says so, from then on', async () => {
    const changed = { showAbove: 0.3 }
    const { ask } = sessionThatKnows('print(value)', changed, 0.25)
    expect(await ask('print(║')).toMatchObject({ kind: 'nothing' })
    changed.showAbove = 0
    expect(await ask('print(║')).toEqual(completion('value)', 6))
  })

  test('with the chosen item of the menu as its beginning', async () => {
    const { ask } = sessionThatKnows('x.append(value)')
    const selected = { span: { start: 2, end: 4 }, text: 'append' }
    expect(await ask('x.ap║', { selected })).toEqual(completion('append(value)', 2, 4))
  })

  test('refuses an offset outside the text', async () => {
    const { ask } = sessionThatKnows('x')
    await expect(ask('║', { offset: 7 })).rejects.toThrow(RangeError)
  })
})

describe('newest wins', () => {
  test('in a document and method; the older one is superseded', async () => {
    const { ask, engine } = sessionThatKnows('print(value)')
    engine.hold()
    const older = ask('pri║')
    const newer = ask('print(║')
    await expect(older).rejects.toMatchObject({ why: 'superseded' })
    engine.resume()
    expect(await newer).toEqual(completion('value)', 6))
  })

  test('ten keystrokes at once: nine superseded, one answered, no more steps than one costs', async () => {
    const { ask, engine } = sessionThatKnows('print(value)')
    const asked = Array.from({ length: 10 }, (_, i) => ask(`${'print('.slice(0, 1 + (i % 6))}║`, {}))
    const last = ask('print(║')
    const outcomes = await Promise.allSettled(asked)
    expect(outcomes.every((outcome) => outcome.status === 'rejected' && outcome.reason.why === 'superseded')).toBe(true)
    expect(await last).toEqual(completion('value)', 6))
    expect(engine.steps.length).toBeLessThanOrEqual(3)
  })

  test('other documents go on', async () => {
    const { ask, engine } = sessionThatKnows('print(value)')
    engine.hold()
    const first = ask('print(║', { uri: 'file:///a.py' })
    const second = ask('print(║', { uri: 'file:///b.py' })
    await settled()
    engine.resume()
    expect(await Promise.all([first, second])).toEqual([completion('value)', 6), completion('value)', 6)])
  })

  test('a newer snapshot ends what the other method still waits for', async () => {
    const { ask, engine } = sessionThatKnows('print(value)')
    engine.hold()
    const older = ask('prin║', { method: 'inline' })
    const newer = ask('print(║', { method: 'completion' })
    await expect(older).rejects.toMatchObject({ why: 'superseded' })
    engine.resume()
    expect(await newer).toEqual(completion('value)', 6))
  })

  test('an older request that waits for its pause does not end a newer one', async () => {
    const { ask, engine, clock } = sessionThatKnows('print(value)', { debounceMs: 50 })
    engine.hold()
    const older = ask('prin║', { method: 'completion' })
    const newer = ask('print(║', { method: 'inline', invoked: true })
    const outcome = expect(older).rejects.toMatchObject({ why: 'superseded' })
    await clock.pass(60)
    engine.resume()
    expect(await newer).toEqual(completion('value)', 6))
    await outcome
  })
})

describe('one job for both methods', () => {
  test('at one snapshot', async () => {
    const { ask, engine } = sessionThatKnows('print(value)')
    const alone = sessionThatKnows('print(value)')
    await alone.ask('print(║')
    const answers = await Promise.all([ask('print(║', { method: 'completion' }), ask('print(║', { method: 'inline' })])
    expect(answers).toEqual([completion('value)', 6), completion('value)', 6)])
    expect(engine.steps.map((jobs) => jobs.length)).toEqual(alone.engine.steps.map((jobs) => jobs.length))
  })

  test('after a pause that both wait for', async () => {
    const { ask, engine, clock } = sessionThatKnows('print(value)', { debounceMs: 50 })
    const both = Promise.all([ask('print(║', { method: 'completion' }), ask('print(║', { method: 'inline' })])
    await clock.pass(49)
    expect(engine.steps).toHaveLength(0)
    await clock.pass(1)
    await both
    expect(engine.steps.every((jobs) => jobs.length === 1)).toBe(true)
  })

  test('where the document changed out of sight meanwhile: the answer is for where the place is now', async () => {
    const { ask, engine } = sessionThatKnows('')
    engine.script = ({ position, canvas }) => {
      const first = Math.min(...canvas.keys()) + 1
      return [{ id: position === first ? 'v'.charCodeAt(0) : byteIds.end, probability: 0.99 }]
    }
    engine.hold()
    const above = `${'x'.repeat(99)}\n`.repeat(30)
    const menu = ask(`${above}print(║)`, { method: 'completion' })
    const ghost = ask(`# import\n${above}print(║)`, { method: 'inline' })
    await settled()
    engine.resume()
    expect(await Promise.all([menu, ghost])).toEqual([completion('v', 3006), completion('v', 3015)])
    expect(engine.steps.every((jobs) => jobs.length === 1)).toBe(true)
  })

  test('that one of them cancels', async () => {
    const { ask, engine } = sessionThatKnows('print(value)')
    const abort = new AbortController()
    engine.hold()
    const cancelled = ask('print(║', { method: 'completion' }, abort.signal)
    const stays = ask('print(║', { method: 'inline' })
    await settled()
    abort.abort()
    await expect(cancelled).rejects.toMatchObject({ why: 'cancelled' })
    engine.resume()
    expect(await stays).toEqual(completion('value)', 6))
  })
})

describe('budgets', () => {
  test('pending when nothing can be shown; the work goes on for the next request', async () => {
    const { ask, engine, clock } = sessionThatKnows('print(value)')
    engine.hold()
    const first = ask('print(║')
    await clock.pass(299)
    await clock.pass(1)
    expect(await first).toEqual({ kind: 'pending' })
    const again = ask('print(║')
    engine.resume()
    expect(await again).toEqual(completion('value)', 6))
    const steps = engine.steps.length
    expect(await ask('print(║')).toEqual(completion('value)', 6))
    expect(engine.steps).toHaveLength(steps)
  })

  test('partial when a beginning can be shown', async () => {
    const { ask, engine, clock } = sessionThatKnows('return value + other\n', {}, 0.89)
    holdAfter(engine, 9)
    const first = ask('return ║\n')
    for (let i = 0; i < 30; i++) await settled()
    await clock.pass(300)
    expect(await first).toEqual(completion('value +', 7, 7, true))
    engine.resume()
  })

  test('each method has its own, and what was asked by hand waits longest', async () => {
    const cases = [
      [{ method: 'completion' }, 300],
      [{ method: 'inline' }, 500],
      [{ method: 'completion', invoked: true }, 5000],
    ] as const
    for (const [request, budget] of cases) {
      const { ask, engine, clock } = sessionThatKnows('print(value)')
      engine.hold()
      let answer: Answer | undefined
      void ask('print(║', request).then((found) => {
        answer = found
      })
      await clock.pass(budget - 1)
      expect(answer, `${budget} ms`).toBeUndefined()
      await clock.pass(1)
      expect(answer).toEqual({ kind: 'pending' })
      expect(clock.sleeping).toBe(0)
    }
  })

  test('the pause before the work counts', async () => {
    const { ask, engine, clock } = sessionThatKnows('print(value)', { debounceMs: 100 })
    engine.hold()
    const answer = ask('print(║')
    await clock.pass(300)
    expect(await answer).toEqual({ kind: 'pending' })
  })

  test('an answer leaves no timer behind', async () => {
    const { ask, clock } = sessionThatKnows('print(value)')
    await ask('print(║')
    await settled()
    expect(clock.sleeping).toBe(0)
  })
})

describe('the pause', () => {
  test('a request superseded in it costs nothing', async () => {
    const { ask, engine, clock } = sessionThatKnows('print(value)', { debounceMs: 50 })
    const typed = ['p', 'pr', 'pri', 'prin', 'print', 'print('].map((text) => ask(`${text}║`))
    const outcomes = Promise.allSettled(typed)
    await clock.pass(50)
    expect((await outcomes).map(({ status }) => status)).toEqual([...Array(5).fill('rejected'), 'fulfilled'])
    expect(new Set(engine.steps.map(([job]) => job!.positions[0]))).toEqual(new Set([6]))
  })

  test('is skipped when asked by hand', async () => {
    const { ask } = sessionThatKnows('print(value)', { debounceMs: 50 })
    expect(await ask('print(║', { invoked: true })).toEqual(completion('value)', 6))
  })

  test('is skipped for what is known', async () => {
    const { ask, clock } = sessionThatKnows('print(value)', { debounceMs: 50 })
    const first = ask('print(║')
    await clock.pass(50)
    await first
    expect(await ask('print(v║')).toEqual(completion('alue)', 7))
  })
})

describe('cancelled by the client', () => {
  test('before it is dispatched', async () => {
    const { ask, engine } = sessionThatKnows('print(value)')
    await expect(ask('print(║', {}, AbortSignal.abort())).rejects.toMatchObject({ why: 'cancelled' })
    expect(engine.steps).toHaveLength(0)
  })

  test('a cancelled request supersedes nobody', async () => {
    const { ask, engine } = sessionThatKnows('print(value)')
    engine.hold()
    const first = ask('print(║')
    await expect(ask('print║', {}, AbortSignal.abort())).rejects.toMatchObject({ why: 'cancelled' })
    engine.resume()
    expect(await first).toEqual(completion('value)', 6))
  })

  test('in its pause and while it is filled; the next request works', async () => {
    const { ask, engine, clock } = sessionThatKnows('print(value)', { debounceMs: 50 })
    for (const passed of [10, 60]) {
      const abort = new AbortController()
      engine.hold()
      const asked = ask('print(║', {}, abort.signal)
      await clock.pass(passed)
      abort.abort()
      await expect(asked).rejects.toMatchObject({ why: 'cancelled' })
      engine.resume()
    }
    const next = ask('print(║')
    await clock.pass(50)
    expect(await next).toEqual(completion('value)', 6))
  })
})

describe('without the model', () => {
  test('the rest, while the beginning is typed, and an undo', async () => {
    const { ask, engine } = sessionThatKnows('print(value)')
    expect(await ask('print(║')).toEqual(completion('value)', 6))
    const steps = engine.steps.length
    expect(await ask('print(v║')).toEqual(completion('alue)', 7))
    expect(await ask('print(valu║', { method: 'inline' })).toEqual(completion('e)', 10))
    expect(await ask('print(║')).toEqual(completion('value)', 6))
    expect(engine.steps).toHaveLength(steps)
    engine.script = scriptOf('print(other)')
    expect(await ask('print(o║')).toEqual(completion('ther)', 7))
    expect(engine.steps.length).toBeGreaterThan(steps)
  })

  test('the rest of what was asked for by hand', async () => {
    const { ask, engine } = sessionThatKnows('print(value)', {}, 0.2)
    expect(await ask('print(║', { method: 'inline', invoked: true })).toMatchObject(completion('value)', 6))
    const steps = engine.steps.length
    expect(await ask('print(v║')).toMatchObject(completion('alue)', 7))
    expect(engine.steps).toHaveLength(steps)
  })

  test('the rest of a beginning that was shown before its time', async () => {
    const { ask, engine, clock } = sessionThatKnows('print(value)', {}, 0.85)
    holdAfter(engine, 3)
    const shown = ask('print(║', { method: 'inline' })
    await settled()
    await clock.pass(500)
    expect(await shown).toMatchObject({ kind: 'completion', partial: true })
    const jobs = engine.steps.length
    expect(await ask('print(v║', { method: 'inline' })).toMatchObject({ kind: 'completion', partial: true })
    expect(engine.steps.length, 'the job of the beginning goes on').toBe(jobs)
    engine.resume()
    for (let turn = 0; turn < 20; turn++) await settled()
    expect(await ask('print(va║', { method: 'inline' })).toEqual(completion('lue)', 8))
  })

  test('not after the document was closed', async () => {
    const { ask, engine, session } = sessionThatKnows('print(value)')
    await ask('print(║')
    const steps = engine.steps.length
    session.forget('file:///a.py')
    await ask('print(║')
    expect(engine.steps.length).toBeGreaterThan(steps)
  })
})

test('a request on its own at the same place does not end one by hand', async () => {
  const { ask, engine } = sessionThatKnows('print(value)', {}, 0.2)
  engine.hold()
  const byHand = ask('print(║', { method: 'inline', invoked: true })
  await settled()
  const menu = ask('print(║')
  engine.resume()
  expect(await byHand).toMatchObject(completion('value)', 6))
  expect(await menu).toMatchObject(completion('value)', 6))
})

test('work that nobody waits for any more stops', async () => {
  const { ask, engine } = sessionThatKnows('print(value)')
  const controller = new AbortController()
  engine.hold()
  const cancelled = ask('print(║', {}, controller.signal)
  await settled()
  controller.abort(new Aborted('cancelled'))
  await expect(cancelled).rejects.toMatchObject({ why: 'cancelled' })
  engine.resume()
  await settled()
  expect(engine.steps.length).toBeLessThanOrEqual(1)
})

test('a pause longer than the budget holds up nobody', async () => {
  const { ask, clock } = sessionThatKnows('print(value)', { debounceMs: 1000, completionBudgetMs: 80 })
  const early = ask('print(║')
  await settled()
  await clock.pass(80)
  expect(await early).toEqual({ kind: 'pending' })
  await clock.pass(1000)
  await settled()
  expect(await ask('print(║')).toEqual(completion('value)', 6))
})

test.each(['forget', 'close'] as const)('a pause longer than the budget, and %s in it: nothing begins', async (end) => {
  const { ask, clock, engine, session, log } = sessionThatKnows('print(value)', {
    debounceMs: 1000,
    completionBudgetMs: 80,
  })
  const early = ask('print(║')
  await clock.pass(80)
  expect(await early).toEqual({ kind: 'pending' })
  await session[end]('file:///a.py')
  await clock.pass(1000)
  expect(engine.steps).toEqual([])
  expect(log.filter((line) => line.startsWith('error'))).toEqual([])
})

test('what was waited before counts towards the budget', async () => {
  const { ask, engine, clock } = sessionThatKnows('print(value)')
  engine.hold()
  const late = ask('print(║', { method: 'inline', waitedMs: 500 })
  await clock.pass(0)
  expect(await late).toEqual({ kind: 'pending' })
  engine.resume()
})

test('closing a document ends its work and no other', async () => {
  const { ask, engine, session } = sessionThatKnows('print(value)')
  engine.hold()
  const closed = ask('print(║', { uri: 'file:///a.py' })
  const open = ask('print(║', { uri: 'file:///b.py' })
  await settled()
  session.forget('file:///a.py')
  await expect(closed).rejects.toThrow(Aborted)
  engine.resume()
  expect(await open).toEqual(completion('value)', 6))
})

describe('an engine that fails', () => {
  test('is an error for all who wait, who tell of it; and the next request works', async () => {
    const { ask, engine, log } = sessionThatKnows('print(value)')
    engine.failNext(new EngineError('no memory'))
    const both = await Promise.allSettled([ask('print(║'), ask('print(║', { method: 'inline' })])
    for (const outcome of both) expect(outcome).toMatchObject({ reason: { name: 'EngineError', message: 'no memory' } })
    expect(log.filter((line) => line.startsWith('error'))).toEqual([])
    expect(await ask('print(║')).toEqual(completion('value)', 6))
  })

  test('after all budgets is logged once, without the text, and is no unhandled rejection', async () => {
    const { ask, engine, clock, log } = sessionThatKnows('print(value)')
    engine.hold()
    engine.failNext(new EngineError('no memory'))
    const both = [ask('print(║'), ask('print(║', { method: 'inline' })]
    await clock.pass(500)
    expect(await Promise.all(both)).toEqual([{ kind: 'pending' }, { kind: 'pending' }])
    engine.resume()
    await settled()
    expect(log.filter((line) => line.startsWith('error'))).toEqual([
      expect.stringMatching(/^error a completion failed: EngineError: no memory\n +at /),
    ])
    expect(log.join()).not.toContain('print')
    expect(await ask('print(║')).toEqual(completion('value)', 6))
  })

  test('after one budget and within another is told to who waits, and not logged here', async () => {
    const { ask, engine, clock, log } = sessionThatKnows('print(value)')
    engine.hold()
    engine.failNext(new EngineError('no memory'))
    const both = Promise.allSettled([ask('print(║'), ask('print(║', { method: 'inline' })])
    await clock.pass(300)
    engine.resume()
    expect(await both).toMatchObject([{ value: { kind: 'pending' } }, { reason: { message: 'no memory' } }])
    expect(log.filter((line) => line.startsWith('error'))).toEqual([])
  })
})

describe('close', () => {
  test('what an engine says of its end is no failure of a completion', async () => {
    const infiller: Infiller = {
      shown: 'an engine that ends',
      infill: (_, signal) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(new EngineGoneError('the engine is closed')))
        }),
      close: () => {},
    }
    const { ask, session, clock, log } = sessionThatKnows('', {}, 0.99, { infiller, orHere: false })
    const late = ask('print(║')
    await clock.pass(300)
    expect(await late).toEqual({ kind: 'pending' })
    await session.close()
    await settled()
    expect(log).toEqual([])
  })

  test('supersedes what waits and frees the engine', async () => {
    const { ask, engine, session, clock } = sessionThatKnows('print(value)')
    engine.hold()
    const waiting = Promise.allSettled([ask('print(║'), ask('prin║', { uri: 'file:///b.py', method: 'inline' })])
    await settled()
    await session.close()
    for (const outcome of await waiting) expect(outcome).toMatchObject({ reason: { name: 'Aborted' } })
    await settled()
    expect(engine.liveCount).toBe(0)
    expect(clock.sleeping).toBe(0)
    await expect(ask('print(║')).rejects.toThrow(EngineError)
  })
})

test('many requests leave no encodings leased', async () => {
  const { ask, engine } = sessionThatKnows('print(value)')
  const asked = Array.from({ length: 30 }, (_, i) =>
    ask(`print(${'x'.repeat(i % 7)}║`, { uri: `file:///${i % 3}.py`, method: i % 2 ? 'inline' : 'completion' }),
  )
  await Promise.allSettled(asked)
  await settled()
  const live = engine.liveCount
  await ask('print(║', { uri: 'file:///0.py' })
  expect(engine.liveCount).toBeLessThanOrEqual(live + 2)
})
