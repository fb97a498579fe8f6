/** How likely each token of a span is, over engines that know what ought to stand there. */
import { describe, expect, test } from 'vitest'
import { Aborted } from '../../server/base/errors.ts'
import type { SessionModel } from '../../server/session/sessionModel.ts'
import { scoreTokens } from '../../server/session/unlikely.ts'
import { parseMarked } from '../markup.ts'
import { scriptOf, sessionThatKnows } from './sessionThatKnows.ts'

const never = new AbortController().signal

/** @param known what the model takes to be right. */
async function score(marked: string, known: string, change: Partial<SessionModel> = {}) {
  const { text, selection } = parseMarked(marked)
  const { rooms, engine } = sessionThatKnows('')
  engine.script = scriptOf(known, 0.9)
  const steps = engine.steps
  const progress: string[] = []
  const asked = { text, span: selection! }
  const scored = await scoreTokens({ ...rooms, model: { ...rooms.model, ...change } }, asked, never, (done, of) =>
    progress.push(`${done}/${of}`),
  )
  return {
    scored: scored.map((one) => ({ ...one, text: text.slice(one.span.start, one.span.end) })),
    steps,
    progress,
    engine,
  }
}

describe.each<[string, Partial<SessionModel>]>([
  ['causal', {}],
  ['bidirectional', { attention: 'bidirectional' }],
  ['drafted', { drafting: { distance: 24, slots: 23, open: 5, begun: 8 } }],
])('%s', (_, change) => {
  test('a token that does not belong there is told, with what would', async () => {
    const { scored, progress } = await score('ab «cXe f» g\n', 'ab cde f g\n', change)
    expect(scored.map(({ text }) => text)).toEqual(['c', 'X', 'e', 'f']) // no blanks
    expect(scored[1]).toMatchObject({ expected: 'd' })
    expect(scored[1]!.probability).toBeLessThan(0.01)
    for (const i of [0, 2, 3]) expect(scored[i]).toMatchObject({ probability: expect.closeTo(0.9, 6), expected: '' })
    expect(progress).toEqual(['4/4'])
  })
})

test('each is masked by itself, in batches, and what was read for it is forgotten', async () => {
  const text = 'abcdefghijklmnopqrstuvwxyz'
  const { steps, engine, progress } = await score(`«${text}»\n`, `${text}\n`)
  expect(steps.map((jobs) => jobs.length)).toEqual([16, 10])
  expect(progress).toEqual(['16/26', '26/26'])
  for (const job of steps.flat()) expect(job.ids).toHaveLength(2)
  expect(engine.liveCount, 'the prefix, which the cache keeps').toBe(1)
})

test('CRLF and characters of several tokens', async () => {
  const { scored } = await score('a\r\n«b🦊c»\r\n', 'a\nb🦊c\n')
  expect(scored.map(({ text }) => text)).toEqual(['b', '🦊', 'c'])
  for (const { probability } of scored) expect(probability).toBeCloseTo(0.9, 6)
})

test('nothing of a span of blanks, and nothing when given up', async () => {
  expect((await score('a«  »b', 'a  b')).scored).toEqual([])
  const { rooms } = sessionThatKnows('ab')
  const signal = AbortSignal.abort(new Aborted('cancelled'))
  const asked = { text: 'ab', span: { start: 0, end: 2 } }
  await expect(scoreTokens(rooms, asked, signal, () => {})).rejects.toThrow(Aborted)
})

describe('no more is read around the span than the model’s budgets allow', () => {
  const [left, right] = ['a'.repeat(700), 'b'.repeat(400)]
  const budgets = { prefixTokens: 100, suffixTokens: 20 }

  test('causal', async () => {
    const { scored, engine, steps } = await score(`${left}«xy»${right}`, '', budgets)
    expect(scored.map(({ text }) => text)).toEqual(['x', 'y'])
    // Of the 701 tokens on the left 101 stay: 150 at most, in jumps of 50.
    expect(steps.flat().map(({ positions, context }) => [positions[0], context.map(({ rows }) => rows)])).toEqual([
      [100, [21, 100]],
      [101, [20, 101]],
    ])
    expect(engine.encodedRows).toBe(102 + 21 + 20)
  })

  test('bidirectional', async () => {
    const { scored, steps } = await score(`${left}«xy»${right}`, '', { ...budgets, attention: 'bidirectional' })
    expect(scored.map(({ text }) => text)).toEqual(['x', 'y'])
    expect(steps.flat().map(({ ids }) => ids.length)).toEqual([101 + 2 + 20, 101 + 2 + 20])
  })
})

test('of a span as long as a document as much is read as may be asked', async () => {
  const { scored, steps } = await score(`«${'a'.repeat(20_000)}»`, 'a', { attention: 'bidirectional' })
  expect(scored).toHaveLength(96)
  for (const { ids } of steps.flat()) expect(ids.length).toBeLessThan(4000)
})
