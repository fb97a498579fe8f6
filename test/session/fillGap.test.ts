/** What a session makes of its model: attention, length mode, room. Over an engine that knows the document. */
import { describe, expect, test } from 'vitest'
import { fillGap } from '../../server/session/fillGap.ts'
import { askedFor } from '../../server/session/gaps.ts'
import type { SessionModel } from '../../server/session/sessionModel.ts'
import { byteEngine, byteIds, knows, type Script, ScriptedEngine } from '../engine/scriptedEngine.ts'
import { parseMarked } from '../markup.ts'
import { byteModel, bytesOf } from './byteModel.ts'
import { roomsOver } from './roomsOver.ts'

const bidirectional = { attention: 'bidirectional' } as const

async function fill(marked: string, script: Script, change: Partial<SessionModel> = {}, maxTokens = 32) {
  const model = { ...byteModel, ...change }
  const engine = new ScriptedEngine(script, { ...byteEngine, maxPositions: model.maxPositions })
  const rooms = roomsOver(engine, model)
  const { text, cursor } = parseMarked(marked)
  const request = { text, offset: cursor!, scope: 'line' as const, maxTokens, certainty: askedFor }
  const filled = await fillGap(rooms, request, new AbortController().signal)
  return { filled, engine, shown: filled.kind === 'completion' ? filled.edit.text : filled.reason }
}

const document = (text: string): Script => knows([byteIds.documentStart, ...bytesOf(text)])

test('a bidirectional model reads the text itself: nothing is encoded, every pass is whole', async () => {
  const { filled, engine, shown } = await fill('print(║\nmore', document('print(value)\nmore'), bidirectional)
  expect(shown).toBe('value)')
  expect(filled).toMatchObject({ finish: 'ended', encodedRows: 0 })
  expect(engine.encodedRows).toBe(0)
  expect(engine.liveCount).toBe(0)
  // The start, six bytes, eight slots, five bytes.
  expect(engine.steps.map(([job]) => [job!.ids.length, job!.context.length])).toEqual([[20, 0]])
})

describe('tokens of the line that open the canvas', () => {
  const drafting = { distance: 24, slots: 23, open: 5, begun: 8 }

  test('a key typed outside a word has nothing read, but for a jump now and then and a new line', async () => {
    const above = '# whatever stands above it, long enough\n'
    const line = `${above}([{<+-*/&|^%>}])([{<+-*\n+ - *\n`
    const engine = new ScriptedEngine(document(line), byteEngine)
    const rooms = roomsOver(engine, { drafting })
    const read: number[] = []
    for (let typed = above.length + 1; typed < line.length; typed++) {
      const request = { text: line.slice(0, typed), offset: typed, scope: 'line' as const, maxTokens: 32 }
      const filled = await fillGap(rooms, { ...request, certainty: askedFor }, new AbortController().signal)
      read.push(filled.encodedRows)
      if (filled.kind === 'completion')
        expect(request.text + filled.edit.text).toBe(line.slice(0, typed <= above.length + 23 ? above.length + 23 : -1))
    }
    expect(read.slice(1).filter((rows) => rows > 0)).toEqual([8, 8, 8])
  })

  test('are none where the model was not taught so', async () => {
    const { engine } = await fill('print(║\nmore', document('print(value)\nmore'), {
      drafting: { ...drafting, begun: 0 },
    })
    expect(engine.steps[0]![0]!.positions[0]).toBe(6)
    const { engine: with6 } = await fill('print(║\nmore', document('print(value)\nmore'), { drafting })
    expect(with6.steps[0]![0]!.positions.slice(0, 7)).toEqual([0, 1, 2, 3, 4, 5, 6])
  })
})

test('keeps rows between steps as the model’s settings say', async () => {
  const unsure = knows([byteIds.documentStart, ...bytesOf('print(value)\nmore')], () => 0.5)
  const whole = { keep: 'both', refreshEvery: 3, freshRows: 0 } as const
  const { engine, shown } = await fill('print(║\nmore', unsure, { ...bidirectional, whole })
  expect(shown).toBe('value)')
  expect(engine.steps.map(([job]) => job!.ids.length)).toEqual([20, 9, 9, 20, 9, 9, 20])
  expect(engine.liveCount).toBe(0)
})

test.each(['causal-context', 'bidirectional'] as const)(
  'the length is searched: no end is needed, and a line break is cut off with all that follows: %s',
  async (attention) => {
    const line = document('print(value)\nmore\nand more\nand more')
    const { filled, engine, shown } = await fill('print(║\nmore', line, { attention, lengthMode: 'search', endIds: [] })
    expect(shown).toBe('value)')
    expect(filled).toMatchObject({ finish: 'ended', tokens: 32 })
    // All as sure, so the longest is chosen.
    const slots = engine.steps[0]!.map(({ asked }) => asked.length)
    expect(slots).toEqual([1, 2, 3, 4, 6, 8, 12, 16, 24, 32])
  },
)

test('no length is searched that exceeds the most tokens wanted', async () => {
  const { engine } = await fill('x = ║', document('x = yyyyyyyy'), { ...bidirectional, lengthMode: 'search' }, 5)
  expect(engine.steps[0]!.map(({ asked }) => asked.length)).toEqual([1, 2, 3, 4])
})

const expandId = 200
/** Knows how many slots there should be: the first is too few, or the last is one too many. */
const grows =
  (middle: string): Script =>
  ({ position, canvas }) => {
    const start = 1 + 'print('.length
    const slots = [...canvas.keys()].filter((at) => at >= start).length - '\nmore'.length
    const missing = middle.length - slots
    const id = missing > 0 ? expandId : missing < 0 ? byteIds.end : middle.charCodeAt(position - start)
    return [{ id, probability: missing === 0 ? 0.9 : 0.5 }]
  }

test.each(['v', 'value)', 'value, other, more)'])(
  'expands and deletes to the length that is right: %s',
  async (middle) => {
    const change = { ...bidirectional, lengthMode: 'expand-delete', expandId } as const
    const { filled, shown } = await fill('print(║\nmore', grows(middle), change)
    expect(shown).toBe(middle)
    // One step for each slot too many or too few, one for each token.
    expect(filled.steps).toBe(Math.abs(middle.length - 8) + middle.length)
  },
)

test('an expand token is never written where nothing expands', async () => {
  const script: Script = () => [
    { id: expandId, probability: 0.9 },
    { id: 121, probability: 0.05 },
  ]
  for (const lengthMode of ['end-token', 'search'] as const) {
    const { shown } = await fill('x =║', script, { ...bidirectional, lengthMode, expandId }, 4)
    expect(shown).toBe('yyyy')
  }
})

test.each(['causal-context', 'bidirectional'] as const)(
  'fills as far as the model has positions: %s',
  async (attention) => {
    const size = { maxPositions: 120, prefixTokens: 60, suffixTokens: 20 }
    const endless: Script = ({ position }) => [{ id: 97 + (position % 26), probability: 0.99 }]
    for (const lengthMode of ['end-token', 'search', 'expand-delete'] as const) {
      const change = { ...size, attention, lengthMode, expandId }
      const { filled, engine } = await fill(`${'x'.repeat(200)}║\n${'y'.repeat(50)}`, endless, change, 1000)
      expect(filled.tokens, lengthMode).toBeGreaterThanOrEqual(8)
      const last = Math.max(...engine.steps.flat().map(({ positions }) => positions.at(-1)!))
      expect(last).toBeLessThan(120)
    }
  },
)

test('held-back text comes first, whatever is surest', async () => {
  const unsure = knows([byteIds.documentStart, ...bytesOf('return value')], (position) => 0.5 + position / 100)
  const { engine, shown } = await fill('return ║', unsure, bidirectional)
  expect(shown).toBe('value')
  const spaces = engine.steps.map(([job]) => job!.ids.filter((id) => id === 32).length)
  expect(spaces.slice(0, 2)).toEqual([0, 1])
  // Slots seven and eight are ends, which wait.
  const sixth = engine.steps.map(([job]) => job!.ids.at(-3))
  expect(sixth.slice(0, 3), 'then the surest, which is the last').toEqual([byteIds.mask, byteIds.mask, 101])
})

describe('the base reads along', () => {
  const twoMinds: Script = ({ position, canvas }) => {
    const ofCanvas = [...canvas.values()].includes(byteIds.mask)
    const text = bytesOf(ofCanvas ? 'x = yes' : 'x = nope')
    return [{ id: text[position - 1] ?? byteIds.end, probability: 0.8 }]
  }
  const half = { baseShare: 0.6 }

  test('from the first token on, where whole tokens stand before the gap', async () => {
    expect((await fill('x =║', twoMinds)).shown).toBe(' yes')
    expect((await fill('x =║', twoMinds, half)).shown).toBe(' nope')
  })

  test('from the second token on where a word may be cut', async () => {
    const { shown, engine } = await fill('x = n║', twoMinds, half)
    expect(shown).toBe('epe') // the canvas's first letter
    expect(engine.steps[0]).toHaveLength(1)
  })

  test('not where a length is searched', async () =>
    expect((await fill('x =║', twoMinds, { ...half, lengthMode: 'search' }, 4)).shown).toBe(' yes'))

  test('and with verify on writes all of it, the canvas guessing ahead', async () => {
    const agreed = document('print(value)')
    const { shown, filled } = await fill('print(║\nmore', agreed, { verify: true })
    expect(shown).toBe('value)')
    expect(filled.steps).toBeLessThan('value)'.length)
    expect((await fill('x =║', twoMinds, { verify: true })).shown).toBe(' nope')
  })
})

test('other documents have a say in what comes next', async () => {
  const marked = 'the_same_line_stands_before_both = 1\nx = open_wi║\nmore'
  const { text, cursor } = parseMarked(marked)
  // A model that leaves the gap empty.
  const rooms = roomsOver(new ScriptedEngine(document(text), byteEngine), {
    drafting: { distance: 24, slots: 23, open: 5, begun: 8 },
  })
  const request = { text, offset: cursor!, scope: 'line' as const, maxTokens: 32, certainty: askedFor }
  const shown = async (nearby: readonly string[]) => {
    const filled = await fillGap(rooms, { ...request, nearby }, new AbortController().signal)
    return filled.kind === 'completion' ? filled.edit.text : filled.reason
  }
  expect(await shown([])).toBe('the model left the gap empty')
  expect(await shown(['the_same_line_stands_before_both = 1\nx = open_with(path)\n'])).toBe('th(path)')
})
