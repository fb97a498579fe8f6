/** What is offered when asked by hand: others to choose from, blocks and their first lines. */
import { describe, expect, test } from 'vitest'
import { isBlockPlace } from '../../server/infill/blockPlace.ts'
import { byteIds, type Script } from '../engine/scriptedEngine.ts'
import { parseMarked } from '../markup.ts'
import { bytesOf } from './byteModel.ts'
import { sessionThatKnows } from './sessionThatKnows.ts'

/** Writes the first of its documents that goes on from what stands in the canvas; where they part, each has its share. */
function knowsAll(documents: readonly (readonly [text: string, share: number])[]): Script {
  const ids = documents.map(([text, share]) => ({ ids: [byteIds.documentStart, ...bytesOf(text)], share }))
  return ({ position, canvas, context }) => {
    const at = (place: number) => canvas.get(place) ?? context.get(place) ?? byteIds.mask
    const fitting = ids.filter((document) =>
      document.ids.every((id, place) => place >= position || at(place) === byteIds.mask || at(place) === id),
    )
    const total = fitting.reduce((sum, { share }) => sum + share, 0)
    const guesses = new Map<number, number>()
    for (const document of fitting) {
      const id = document.ids[position] ?? byteIds.end
      guesses.set(id, (guesses.get(id) ?? 0) + (0.98 * document.share) / total)
    }
    return [...guesses].map(([id, probability]) => ({ id, probability })).sort((a, b) => b.probability - a.probability)
  }
}

const three = knowsAll([
  ['print(value)\n', 0.5],
  ['print(other)\n', 0.3],
  ['print(vector, 2)\n', 0.2],
])
const byHand = { method: 'inline', invoked: true } as const
const texts = (answer: object) =>
  'edit' in answer
    ? [answer.edit, ...('others' in answer ? (answer.others as object[]) : [])].map(
        (edit) => (edit as { text: string }).text,
      )
    : []

describe('of a line', () => {
  test('by hand: others that part from the best where it was least sure; unasked: the best alone', async () => {
    const { ask, engine, session } = sessionThatKnows('')
    engine.script = three
    expect(texts(await ask('print(║\n', { method: 'inline' }))).toEqual(['value)'])
    expect(texts(await ask('print(║\n', byHand))).toEqual(['value)', 'other)', 'vector, 2)'])
    await session.close()
  })

  test('asked again: the same, and the model rests', async () => {
    const { ask, engine, session } = sessionThatKnows('')
    engine.script = three
    const first = await ask('print(║\n', byHand)
    const steps = engine.steps.length
    expect(await ask('print(║\n', byHand)).toEqual(first)
    expect(await ask('print(║\n', { method: 'inline' }), 'unasked, from the same').toEqual(first)
    expect(engine.steps).toHaveLength(steps)
    await session.close()
  })

  test('typing into one of them: it comes first, those that do not fit are gone, the model rests', async () => {
    const { ask, engine, session } = sessionThatKnows('')
    engine.script = three
    await ask('print(║\n', byHand)
    const steps = engine.steps.length
    expect(texts(await ask('print(o║\n', { method: 'inline' }))).toEqual(['ther)'])
    expect(texts(await ask('print(v║\n', { method: 'inline' }))).toEqual(['alue)', 'ector, 2)'])
    expect(engine.steps).toHaveLength(steps)
    await session.close()
  })

  test('none where the model is sure of all', async () => {
    const { ask, session } = sessionThatKnows('print(value)\n')
    expect(await ask('print(║\n', byHand)).not.toHaveProperty('others')
    await session.close()
  })

  test('with the chosen item of the menu before each of them', async () => {
    const { ask, engine, session } = sessionThatKnows('')
    engine.script = three
    const selected = { span: { start: 0, end: 2 }, text: 'print(' }
    const answer = await ask('pr║\n', { ...byHand, selected })
    expect(texts(answer)).toEqual(['print(value)', 'print(other)', 'print(vector, 2)'])
    await session.close()
  })

  test('they all stop when the request is cancelled', async () => {
    const { ask, engine, session } = sessionThatKnows('')
    const cancelling = new AbortController()
    let steps = 0
    engine.script = (question) => {
      if (++steps > 12) cancelling.abort()
      return three(question)
    }
    await expect(ask('print(║\n', byHand, cancelling.signal)).rejects.toMatchObject({ why: 'cancelled' })
    await session.close()
    expect(engine.liveCount).toBe(0)
  })
})

describe('of a block', () => {
  const body = 'def f(a):\n    b = a\n    return b\n\n\nx = 1\n'

  test('by hand: the block, then its first line; unasked: a line', async () => {
    const { ask, session } = sessionThatKnows(body)
    const place = 'def f(a):\n    ║'
    expect(texts(await ask(place, { method: 'inline' }))).toEqual(['b = a'])
    expect(texts(await ask(place, byHand))).toEqual(['b = a\n    return b', 'b = a'])
    await session.close()
  })

  test('behind what opens it: the first line that says something', async () => {
    const { ask, session } = sessionThatKnows(body)
    expect(texts(await ask('def f(a):║', byHand))).toEqual(['\n    b = a\n    return b', '\n    b = a'])
    await session.close()
  })

  test('its line breaks are the document’s', async () => {
    const { ask, session } = sessionThatKnows(body)
    expect(texts(await ask('def f(a):\r\n    ║', byHand))).toEqual(['b = a\r\n    return b', 'b = a'])
    await session.close()
  })

  test.each([
    ['x = 1\n    ║', true],
    ['if x:║\n', true],
    ['for (;;) {  ║', true],
    ['const f = () =>║', true],
    ['if [ -e x ]; then║', true],
    ['return ║', false],
    ['f(║)', false],
    ['f(║\n', false],
    ['if x:║ pass', false],
    ['    ║x', false],
    ['authen║', false],
  ])('%j: is one wanted? %s', (marked, wanted) => {
    const { text, cursor } = parseMarked(marked)
    expect(isBlockPlace(text, cursor!)).toBe(wanted)
  })
})
