/** Several gaps of one text in a session, over an engine that knows what it would write by what it sees. */
import { describe, expect, test } from 'vitest'
import { fillGap, fillHoles } from '../../server/session/fillGap.ts'
import { askedFor, type HolesRequest } from '../../server/session/gaps.ts'
import type { SessionModel } from '../../server/session/sessionModel.ts'
import { byteEngine, byteIds, type Question, type Script, ScriptedEngine } from '../engine/scriptedEngine.ts'
import { parseMarked } from '../markup.ts'
import { roomsOver } from './roomsOver.ts'

const never = new AbortController().signal

function openRooms(script: Script, change: Partial<SessionModel> = {}) {
  const engine = new ScriptedEngine(script, byteEngine)
  return { engine, rooms: roomsOver(engine, change) }
}

interface Options extends Partial<Omit<HolesRequest, 'text' | 'holes'>> {
  readonly scopes?: readonly ('line' | 'block')[]
  readonly model?: Partial<SessionModel>
}

/** The document with its gaps filled together. */
async function together(marked: string, script: Script, { scopes = [], model = {}, ...options }: Options = {}) {
  const { text, holes } = parseMarked(marked)
  const { engine, rooms } = openRooms(script, model)
  const request = {
    ...{ text, maxTokens: 32, certainty: askedFor },
    holes: holes.map((span, i) => ({ span, scope: scopes[i] ?? ('line' as const) })),
    ...options,
  }
  const progress: string[] = []
  const filled = await fillHoles(rooms, request, never, (edits) =>
    progress.push(edits.map((edit) => edit?.text ?? '').join('|')),
  )
  const edits = filled.holes.flatMap((hole) => (hole.kind === 'completion' ? [hole.edit] : []))
  const shown = edits.reduceRight((now, { span, text }) => now.slice(0, span.start) + text + now.slice(span.end), text)
  return { filled, engine, progress, shown }
}

/** The same one after the other, each as if nothing were missing where the others are; filled ones stay. */
async function oneByOne(marked: string, script: Script, order: readonly number[]): Promise<string> {
  const { text, holes } = parseMarked(marked)
  const fills = holes.map(() => '')
  const upTo = (last: number) => holes.slice(0, last).reduce((now, _, i) => now + pieceBefore(i) + fills[i]!, '')
  const pieceBefore = (i: number) => text.slice(holes[i - 1]?.end ?? 0, holes[i]?.start)
  for (const hole of order) {
    const before = upTo(hole) + pieceBefore(hole)
    const whole = upTo(holes.length) + pieceBefore(holes.length)
    const { rooms } = openRooms(script)
    const gap = { text: whole, offset: before.length, scope: 'line' as const, maxTokens: 32, certainty: askedFor }
    const filled = await fillGap(rooms, gap, never)
    fills[hole] = filled.kind === 'completion' ? filled.edit.text : ''
  }
  return upTo(holes.length) + pieceBefore(holes.length)
}

/** All that is in sight, an open slot being `_`, and where in it the asked position stands. */
function sightOf({ canvas, context, position }: Question): { before: string; after: string } {
  const all = [...context, ...canvas].sort(([a], [b]) => a - b).filter(([, id]) => id !== byteIds.documentStart)
  const read = (part: typeof all) =>
    part.map(([, id]) => (id === byteIds.mask ? '_' : String.fromCharCode(id))).join('')
  return {
    before: read(all.filter(([at]) => at < position)),
    after: read(all.filter(([at]) => at >= position)),
  }
}

interface Belief {
  readonly name: string
  readonly sure: number
}

/**
 * A model of names: the gap of `bind()` and that of `use()` hold the same one. Once one of them is written, the other is
 * told by it; before that each has a guess of its own.
 */
const namer =
  (bound: Belief, used: Belief): Script =>
  (question) => {
    const { before, after } = sightOf(question)
    const atUse = before.includes('use(')
    const done = before.slice(before.lastIndexOf('(') + 1)
    const other = atUse ? /bind\((\w*)\)/.exec(before) : /use\((\w*)\)/.exec(after)
    const told = other && /^[^_]+$/.test(other[1]!) ? { name: other[1]!, sure: 0.95 } : undefined
    const { name, sure } = told ?? (atUse ? used : bound)
    return [{ id: name.charCodeAt(done.length) || byteIds.end, probability: done === '' ? sure : 0.95 }]
  }

describe('two gaps of which one decides the other', () => {
  const document = 'bind(├┤)\nuse(├┤)\n'
  const filled = (name: string) => `bind(${name})\nuse(${name})\n`

  test('right together, whichever of them it is; one by one only where that one happens to come first', async () => {
    // Right is what the surer one says: the use in the first case, the binding in the second.
    const useKnows = namer({ name: 'item', sure: 0.4 }, { name: 'radius', sure: 0.8 })
    const bindingKnows = namer({ name: 'radius', sure: 0.8 }, { name: 'item', sure: 0.4 })
    expect((await together(document, useKnows)).shown).toBe(filled('radius'))
    expect((await together(document, bindingKnows)).shown).toBe(filled('radius'))
    expect(await oneByOne(document, useKnows, [0, 1])).toBe(filled('item'))
    expect(await oneByOne(document, useKnows, [1, 0])).toBe(filled('radius'))
    expect(await oneByOne(document, bindingKnows, [0, 1])).toBe(filled('radius'))
    expect(await oneByOne(document, bindingKnows, [1, 0])).toBe(filled('item'))
  })

  test('written at once they are two guesses of one name', async () => {
    const script = namer({ name: 'item', sure: 0.4 }, { name: 'radius', sure: 0.8 })
    const order = { kind: 'at-once' } as const
    expect((await together(document, script, { order })).shown).toBe('bind(item)\nuse(radius)\n')
  })
})

test('two gaps that know nothing of each other are filled alike in every order, and one by one', async () => {
  const document = 'let ├┤ = 3\nuse(├┤);\n'
  const script: Script = (question) => {
    const { before } = sightOf(question)
    const own = before.includes(' =') ? before.slice(before.lastIndexOf('(') + 1) : before.slice(3)
    const middle = before.includes(' =') ? 'value' : ' name'
    return [{ id: middle.charCodeAt(own.length) || byteIds.end, probability: 0.6 + own.length / 20 }]
  }
  const right = 'let name = 3\nuse(value);\n'
  for (const order of [
    undefined,
    { kind: 'at-once' },
    { kind: 'left-to-right', ahead: 'open' },
    { kind: 'right-to-left', ahead: 'closed' },
    { kind: 'surest-hole', threshold: 0.7 },
  ] as const) {
    expect((await together(document, script, order ? { order } : {})).shown, order?.kind ?? 'default').toBe(right)
  }
  expect(await oneByOne(document, script, [0, 1])).toBe(right)
  expect(await oneByOne(document, script, [1, 0])).toBe(right)
})

/** Writes the same into every gap, and ends it. */
const writes =
  (middle: string, sure = 0.95): Script =>
  (question) => {
    const { before } = sightOf(question)
    const own = before.slice(before.lastIndexOf('(') + 1)
    return [{ id: middle.charCodeAt(own.length) || byteIds.end, probability: sure }]
  }

test.each(['causal-context', 'bidirectional'] as const)(
  'each gap takes the place of its span, with the document’s line ends: %s',
  async (attention) => {
    const { shown, filled } = await together('f(├old┤)\r\ng(├┤)\r\nh(├older┤)\r\n', writes('x'), {
      model: { attention },
    })
    expect(shown).toBe('f(x)\r\ng(x)\r\nh(x)\r\n')
    expect(filled.holes.map(({ finish, tokens }) => [finish, tokens])).toEqual(Array(3).fill(['ended', 1]))
  },
)

test('each has its own scope: a line break ends a line, and is part of a block', async () => {
  const { filled } = await together('f(├┤)\ng(├┤)\n', writes('{\n  x\n}'), { scopes: ['line', 'block'] })
  expect(filled.holes.map((hole) => (hole.kind === 'completion' ? hole.edit.text : hole.reason))).toEqual([
    '{',
    '{\n  x\n}',
  ])
  expect(filled.holes[0]!.tokens).toBe(1)
})

test('pieces of text are read once: what is asked again, or moved, is not read again', async () => {
  const { text, holes } = parseMarked(`${'a'.repeat(100)}f(├┤)${'b'.repeat(100)}g(├┤)${'c'.repeat(100)}`)
  const { engine, rooms } = openRooms(writes('x'))
  const request = {
    ...{ text, maxTokens: 8, certainty: askedFor },
    holes: holes.map((span) => ({ span, scope: 'line' as const })),
  }
  const first = await fillHoles(rooms, request, never)
  // The start and each piece without its last token, which is a row of the canvas; of the last piece what a suffix has.
  expect(first.encodedRows).toBe(1 + 101 + 102 + 64)
  expect((await fillHoles(rooms, request, never)).encodedRows).toBe(0)
  const moved = {
    ...request,
    text: `${'a'.repeat(100)}more ${text.slice(100)}`,
    holes: request.holes.map(({ span, scope }) => ({ span: { start: span.start + 5, end: span.end + 5 }, scope })),
  }
  expect((await fillHoles(rooms, moved, never)).encodedRows).toBe(6)
  expect(engine.liveCount).toBeGreaterThan(0)
})

test('tells what can be shown of each after every step', async () => {
  const { progress } = await together('f(├┤)\ng(├┤)\n', writes('xy', 0.5), {
    order: { kind: 'left-to-right', ahead: 'open' },
  })
  expect(progress).toEqual(['x|', 'xy|', 'xy|', 'xy|x', 'xy|xy', 'xy|xy'])
})

test('all fit into the positions that the model has', async () => {
  const endless: Script = () => [{ id: 120, probability: 0.99 }]
  const model = { maxPositions: 120, prefixTokens: 20, suffixTokens: 20 }
  const { text, holes } = parseMarked(`${' a'.repeat(50)}├┤.├┤.├┤${'\nb'.repeat(50)}`)
  const { engine, rooms } = openRooms(endless, model)
  const request = { text, holes: holes.map((span) => ({ span, scope: 'line' as const })), maxTokens: 1000 }
  const filled = await fillHoles(rooms, { ...request, certainty: askedFor }, never)
  expect(filled.holes.map(({ tokens }) => tokens)).toEqual(Array(3).fill(filled.holes[0]!.tokens))
  expect(filled.holes[0]!.tokens).toBeGreaterThan(8)
  expect(Math.max(...engine.steps.flat().map(({ positions }) => positions.at(-1)!))).toBeLessThan(120)
})
