/** What commands ask of a session, over an engine that knows what it would write. */
import { expect, test } from 'vitest'
import { Aborted } from '../../server/base/errors.ts'
import { carryOut } from '../../server/session/codeActions.ts'
import { byteIds, type Script } from '../engine/scriptedEngine.ts'
import { parseMarked } from '../markup.ts'
import { sessionThatKnows } from './sessionThatKnows.ts'

const never = new AbortController().signal

/** Behind a colon `y` belongs, and nothing else anywhere. */
const yes: Script = ({ position, canvas, context }) => {
  const before = canvas.get(position - 1) ?? context.get(position - 1)
  return [{ id: before === ':'.charCodeAt(0) ? 'y'.charCodeAt(0) : byteIds.end, probability: 0.99 }]
}

function fill(marked: string, script: Script, signal = never) {
  const { text, holes } = parseMarked(marked)
  const { session, engine } = sessionThatKnows('')
  engine.script = script
  const written: number[] = []
  const request = {
    text,
    holes: holes.map((span) => ({ span, scope: 'line' as const })),
    languageId: 'python',
    maxTokens: 8,
  }
  return { engine, written, filled: session.fill(request, signal, (units) => written.push(units)) }
}

test('holes are filled together, with how sure the model is, and progress that grows', async () => {
  const { filled, written, engine } = fill('a:├┤ b:├┤ c\n', yes)
  const found = await filled
  expect(found.map((one) => one?.text)).toEqual(['y', 'y'])
  expect(found[0]!.probability).toBeGreaterThan(0.9)
  expect(found[0]!.probability).toBeLessThan(1)
  expect(written).toEqual(written.toSorted((a, b) => a - b))
  expect(written.at(-1)).toBe(2)
  expect(
    engine.steps.some((jobs) => jobs.length > 1),
    'one request',
  ).toBe(false)
})

test('holes that are too far apart for that, one after the other', async () => {
  const { filled } = fill(`a:├┤ b\n${'# filler\n'.repeat(200)}c:├┤ d\n`, yes)
  expect((await filled).map((one) => one?.text)).toEqual(['y', 'y'])
})

test('where there is nothing to put there is nothing', async () => {
  const { filled } = fill('a├┤ b:├┤ c\n', yes)
  expect((await filled).map((one) => one?.text)).toEqual([undefined, 'y'])
})

test('given up, it rejects', async () => {
  const controller = new AbortController()
  const { filled, engine } = fill('a:├┤ b\n', yes, controller.signal)
  engine.hold()
  controller.abort(new Aborted('cancelled'))
  await expect(filled).rejects.toThrow(Aborted)
})

test('an action from the place to the document', async () => {
  const { session, engine } = sessionThatKnows('')
  engine.script = yes
  const { text, cursor } = parseMarked('x:║ # 🦊\r\n')
  const request = { name: 'fill', text, languageId: 'python', selection: { start: cursor!, end: cursor! } } as const
  expect(await carryOut(session, request, never, () => {})).toEqual([{ span: { start: 2, end: 2 }, text: 'y' }])
})
