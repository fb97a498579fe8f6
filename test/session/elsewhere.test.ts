/** Sessions whose gaps are filled elsewhere, as text: the same plan, the same filters, the same manners. */
import { describe, expect, test } from 'vitest'
import { Aborted, abortReason, UserError } from '../../server/base/errors.ts'
import { type Infiller, NoInfill, type TextGap, type Written } from '../../server/infill/infiller.ts'
import { textWindowSize } from '../../server/infill/plan.ts'
import type { SessionSettings } from '../../server/session/liveSession.ts'
import { settled } from '../base/manualClock.ts'
import { completion, sessionThatKnows } from './sessionThatKnows.ts'

type Answer = string | Error | Partial<Written> | ((gap: TextGap) => string)

/** Gives its answers one after the other, the last one again and again; holds them while it is told to. */
class ScriptedInfiller implements Infiller {
  readonly shown = 'https://a.example, model coder'
  readonly gaps: TextGap[] = []
  readonly aborted: string[] = []
  held: (() => void)[] | undefined
  beginning = '' // told as progress before it is held
  private readonly answers: readonly Answer[]

  constructor(answers: readonly Answer[]) {
    this.answers = answers
  }

  async infill(gap: TextGap, signal: AbortSignal, onProgress: (text: string) => void): Promise<Written> {
    this.gaps.push(gap)
    const answer = this.answers[Math.min(this.gaps.length, this.answers.length) - 1]!
    await settled() // a network takes its time
    onProgress(this.beginning)
    const { held } = this
    if (held)
      await new Promise<void>((resolve, reject) => {
        held.push(resolve)
        signal.addEventListener('abort', () => {
          this.aborted.push(abortReason(signal).why)
          reject(abortReason(signal))
        })
      })
    if (answer instanceof Error) throw answer
    if (typeof answer === 'function') return { text: answer(gap), complete: true }
    return typeof answer === 'string' ? { text: answer, complete: true } : { text: '', complete: true, ...answer }
  }

  close(): void {}
}

function session(answers: readonly Answer[], changed: Partial<SessionSettings> = {}, orHere = false) {
  const infiller = new ScriptedInfiller(answers)
  return { infiller, ...sessionThatKnows('print(here)\n', changed, 0.99, { infiller, orHere }) }
}

describe('answers', () => {
  test('what was written, finished as what the model writes, and asks the model nothing', async () => {
    const { ask, infiller, engine } = session(['value)'])
    expect(await ask('print(║)\nmore')).toEqual(completion('value', 6))
    expect(infiller.gaps).toEqual([{ before: 'print(', after: ')\nmore', scope: 'line', maxTokens: 32 }])
    expect([engine.steps.length, engine.encodedRows]).toEqual([0, 0])
  })

  test('the rest of the line alone, and of half a word nothing', async () => {
    expect(await session(['a)\nb']).ask('print(║')).toEqual(completion('a)', 6))
    const cut = session([{ text: 'one, tw', complete: false }])
    expect(await cut.ask('f(║')).toEqual(completion('one,', 2))
  })

  test('no blank twice, whoever wrote it', async () => {
    expect(await session([' value']).ask('return ║\n')).toEqual(completion('value', 7))
    expect(await session(['    x = 1']).ask('if y:\n    ║\n')).toEqual(completion('x = 1', 10))
    expect(await session([' value']).ask('return║\n')).toEqual(completion(' value', 6))
  })

  test('with the line breaks of the document, as a block where one belongs', async () => {
    const { ask, infiller } = session(['a = 1\n    b = 2'])
    const answer = await ask('def f():\r\n    ║\r\n', { invoked: true })
    expect(answer).toMatchObject({ edit: { text: 'a = 1\r\n    b = 2' }, others: [{ text: 'a = 1' }] })
    expect(infiller.gaps).toEqual([{ before: 'def f():\n    ', after: '\n', scope: 'block', maxTokens: 32 }])
  })

  test('nothing, with a reason, once', async () => {
    const { ask, infiller } = session([''])
    expect(await ask('print()║')).toEqual({ kind: 'nothing', reason: 'the model left the gap empty' })
    await ask('print()║')
    expect(infiller.gaps).toHaveLength(1)
  })

  test('what is typed along from what was written', async () => {
    const { ask, infiller } = session(['value)'])
    await ask('print(║')
    expect(await ask('print(va║')).toEqual(completion('lue)', 8))
    expect(infiller.gaps).toHaveLength(1)
  })

  test('with the chosen item of the menu told as known', async () => {
    const { ask, infiller } = session(['(value)'])
    const selected = { span: { start: 2, end: 4 }, text: 'append' }
    expect(await ask('x.ap║', { selected })).toEqual(completion('append(value)', 2, 4))
    expect(infiller.gaps[0]!.before).toBe('x.append')
  })
})

describe('sends', () => {
  test('a window and no more', async () => {
    const { ask, infiller } = session(['x'])
    const line = `${'a'.repeat(63)}\n`
    await ask(`${line.repeat(200)}b = ║\n${line.repeat(200)}`)
    const [{ before, after }] = infiller.gaps as [TextGap]
    expect(before.startsWith('a'.repeat(63))).toBe(true)
    expect(before.endsWith('\nb = ')).toBe(true)
    expect(before.length).toBeLessThanOrEqual(textWindowSize.prefix + textWindowSize.jump)
    expect(after).toHaveLength(textWindowSize.suffix)
  })

  test('nothing while the cursor moves, nobody having asked', async () => {
    const { prepare, infiller, engine } = session(['x'])
    prepare('print(║', true)
    prepare('print(║)', false)
    await settled()
    expect([infiller.gaps.length, engine.encodedRows]).toEqual([0, 0])
  })

  test('several gaps one after the other, each with those before it filled', async () => {
    const { session: live, infiller } = session(['first', ({ before }) => (before.includes('first') ? 'second' : '?')])
    const text = 'a = \nb = \nc\n'
    const holes = [4, 9].map((at) => ({ span: { start: at, end: at }, scope: 'line' as const }))
    const task = { text, holes, languageId: 'python', maxTokens: 8 }
    const progress: number[] = []
    const filled = await live.fill(task, new AbortController().signal, (units) => progress.push(units))
    expect(filled.map((one) => one?.text)).toEqual(['first', 'second'])
    expect(infiller.gaps).toEqual([
      { before: 'a = ', after: '\nb = \nc\n', scope: 'line', maxTokens: 8 },
      { before: 'a = first\nb = ', after: '\nc\n', scope: 'line', maxTokens: 8 },
    ])
    expect(progress.at(-1)).toBe(5) // of the first, while the second is written
  })
})

describe('waits', () => {
  test('no longer than the budget, shows what there is, and finds the rest at the next request', async () => {
    const { ask, infiller, clock } = session(['value, other)'])
    infiller.beginning = 'value, oth'
    infiller.held = []
    const early = ask('print(║')
    await clock.pass(301)
    expect(await early).toEqual(completion('value,', 6, 6, true))
    infiller.held[0]!()
    await settled()
    expect(await ask('print(║')).toEqual(completion('value, other)', 6))
    expect(infiller.gaps).toHaveLength(1)
  })

  test('for the newest alone: what is superseded or cancelled is given up there too', async () => {
    const { ask, infiller } = session(['x'])
    infiller.held = []
    const first = ask('print(║')
    await settled()
    const controller = new AbortController()
    const second = ask('print(a, ║', {}, controller.signal)
    await expect(first).rejects.toMatchObject({ why: 'superseded' })
    await settled()
    controller.abort(new Aborted('cancelled'))
    await expect(second).rejects.toMatchObject({ why: 'cancelled' })
    expect(infiller.aborted).toEqual(['superseded', 'cancelled'])
  })
})

describe('when there is no answer', () => {
  const failures = [new NoInfill('a.example: gone'), new UserError('a.example: 401')]

  test.each(failures)('fails with its message: $message', async (failure) => {
    const { ask, engine, log } = session([failure])
    await expect(ask('print(║')).rejects.toBe(failure)
    expect(engine.steps).toHaveLength(0)
    await settled()
    expect(log, 'whoever asked tells').toEqual([])
  })

  test.each(failures)('this machine fills the gap where it may: $message', async (failure) => {
    const { ask, engine } = session([failure], {}, true)
    expect(await ask('print(║)\n')).toEqual(completion('here', 6))
    expect(engine.steps.length).toBeGreaterThan(0)
  })

  test('an error of ours is one, whether this machine may or not', async () => {
    const { ask } = session([new TypeError('ours')], {}, true)
    await expect(ask('print(║')).rejects.toThrow('ours')
  })
})

describe('a rest after each key, where nobody set one', () => {
  /** Each answer takes so long; keys come so long after each other. */
  async function typed(answerMs: number, keyMs: number, change: Partial<SessionSettings> = {}) {
    const { ask, infiller, clock } = session([({ before }) => before], { debounceMs: undefined, ...change })
    const answer = (marked: string) => {
      infiller.held = []
      return ask(marked, { method: 'inline' })
    }
    const first = answer('one║')
    await settled()
    await clock.pass(answerMs)
    for (const release of infiller.held!) release()
    await first
    const asked = infiller.gaps.length
    for (const marked of ['two║', 'twos║', 'twosome║']) {
      answer(marked).catch(() => {}) // superseded by the next one
      await clock.pass(keyMs)
      await settled()
    }
    return infiller.gaps.length - asked
  }

  test('is half of what an answer took: whoever types faster asks less', async () => {
    expect(await typed(200, 40)).toBe(0)
    expect(await typed(200, 120)).toBe(3)
    expect(await typed(0, 1)).toBe(3)
  })

  test("counts the editor's own rest", async () => {
    expect(await typed(200, 40, { clientDelayMs: 75 })).toBe(3)
  })
})
