/** Gaps that somebody elsewhere fills whole: the same completions as step by step, and what is left to steps. */
import { expect, test } from 'vitest'
import { EncodingCache } from '../../server/cache/encodingCache.ts'
import { Denoiser } from '../../server/denoise/denoiser.ts'
import { LoopDenoiser } from '../../server/denoise/loopDenoiser.ts'
import type { GapJob } from '../../server/engine/gapLoop.ts'
import { fillCandidates } from '../../server/session/candidates.ts'
import { fillGap, fillHoles } from '../../server/session/fillGap.ts'
import { askedFor, type GapRequest, unasked } from '../../server/session/gaps.ts'
import { type Ahead, readAhead } from '../../server/session/readAhead.ts'
import { PlainGapLoop } from '../engine/plainGapLoop.ts'
import { byteEngine, byteIds, knows, ScriptedEngine } from '../engine/scriptedEngine.ts'
import { parseMarked } from '../markup.ts'
import { byteModel, bytesOf } from './byteModel.ts'

const never = new AbortController().signal
const drafting = { distance: 24, slots: 23, open: 1, begun: 8 }

/** Two sessions' rooms over models that know `document`: the one asks for steps, the other for whole gaps. */
function both(document: string, change: Partial<typeof byteModel> = {}, sure = 0.9) {
  const roomsOver = () => {
    const engine = new ScriptedEngine(
      knows([byteIds.documentStart, ...bytesOf(document)], () => sure),
      byteEngine,
    )
    const cache = () => new EncodingCache(engine, { maxBytes: 1e6, enabled: true })
    const model = { ...byteModel, drafting, ...change }
    return { engine, model, prefixes: cache(), suffixes: cache(), denoiser: new Denoiser(engine), now: () => 0 }
  }
  const [steps, whole] = [roomsOver(), roomsOver()]
  const written = new ScriptedEngine(steps.engine.script, byteEngine)
  const loop = new PlainGapLoop(written, {
    distance: drafting.distance,
    neverIds: [byteIds.documentStart, byteIds.mask],
  })
  return { steps, whole: { ...whole, loop: new LoopDenoiser(loop) }, loop }
}

function gapAt(marked: string, rest: Partial<GapRequest> = {}): GapRequest {
  const { text, cursor } = parseMarked(marked)
  return { text, offset: cursor!, scope: 'line', maxTokens: 32, certainty: askedFor, ...rest }
}

test.for([
  ['the rest of a line', 'print(║\nmore', 'print(value)\nmore', 1],
  ['what begins with the space before it', 'x = ║\nmore', 'x = value + other\nmore', 1],
  ['a line longer than a canvas', 'x = ║\nmore', 'x = a + b + c + d + e + f + g + h\nmore', 1],
  ['what the file says', 'a = seventeen\nb = seven║\nmore', 'a = seventeen\nb = seventeen\nmore', 1],
] as const)('%s is the same, in one request', async ([, marked, document, requests]) => {
  const { steps, whole, loop } = both(document)
  const gap = gapAt(marked)
  const [ours, theirs] = [await fillGap(steps, gap, never), await fillGap(whole, gap, never)]
  expect(theirs).toMatchObject({
    ids: ours.ids,
    probabilities: ours.probabilities,
    finish: ours.finish,
    encodedRows: 0,
  })
  expect('edit' in theirs && theirs.edit).toEqual('edit' in ours && ours.edit)
  expect(loop.asked).toHaveLength(requests)
  expect(whole.engine.encodedRows + whole.engine.steps.length).toBe(0)
})

test('what nobody asked for is cut where it is not sure any more', async () => {
  const { steps, whole, loop } = both('print(value)\nmore')
  const gap = gapAt('print(║\nmore', { certainty: unasked(0.7) })
  const [ours, theirs] = [await fillGap(steps, gap, never), await fillGap(whole, gap, never)]
  expect(theirs).toMatchObject({ kind: 'completion', edit: { text: 'val' }, finish: 'unsure' })
  expect('edit' in ours && ours.edit.text).toBe('val')
  expect(loop.asked[0]!.floor).toBe(0.7)
})

test('others to choose from are asked for behind what they have in common with the best', async () => {
  const { steps, whole, loop } = both('x = value\nmore', {}, 0.6)
  const gap = gapAt('x = ║\nmore')
  const [ours, theirs] = [
    await fillCandidates(steps, gap, never, () => {}),
    await fillCandidates(whole, gap, never, () => {}),
  ]
  expect(theirs.ids).toEqual(ours.ids)
  expect(loop.asked.length).toBeGreaterThan(1)
})

test('several gaps, and canvases whose rows all see each other, are left to steps', async () => {
  const { whole, loop } = both('a = b\nc = d\n')
  const { text } = parseMarked('a = \nc = \n║')
  const holes = [4, 9].map((at) => ({ span: { start: at, end: at }, scope: 'line' as const }))
  const filled = await fillHoles(whole, { text, holes, maxTokens: 8, certainty: askedFor }, never)
  expect(filled.steps).toBeGreaterThan(1)
  const verified = both('print(value)\nmore', { verify: true })
  expect((await fillGap(verified.whole, gapAt('print(║\nmore'), never)).kind).toBe('completion')
  expect([...loop.asked, ...verified.loop.asked]).toEqual([])
})

test('what is read ahead where gaps are filled whole is what the gap needs, and is asked for once', async () => {
  const { whole, loop } = both('x = 1\nprint(value)\nmore')
  const request = gapAt('x = 1\nprint(║\nmore')
  const read = (ahead: Ahead) => readAhead(whole, request, ahead, never)
  await read('prefix')
  await read('both')
  await fillGap(whole, request, never)
  const [{ prefixIds, known, suffixIds }] = loop.asked as [GapJob]
  const startIds = prefixIds.slice(0, -known)
  expect(loop.read).toEqual([
    { startIds, suffixIds: [] },
    { startIds, suffixIds },
  ])
  expect(startIds.length).toBeGreaterThan(0)
  for (const ahead of ['prefix', 'both'] as const) await read(ahead)
  expect(loop.read).toHaveLength(2)
  await readAhead(whole, gapAt('x = 1\nprint(value)\nmo║re'), 'prefix', never)
  expect(loop.read).toHaveLength(3)
  expect(whole.engine.encodedRows).toBe(0)
})

test('while nobody is there that fills gaps whole all goes step by step', async () => {
  const { whole, loop } = both('print(value)\nmore')
  const request = gapAt('print(║\nmore')
  loop.available = false
  await readAhead(whole, request, 'both', never)
  expect(whole.engine.encodedRows).toBeGreaterThan(0)
  expect(await fillGap(whole, request, never)).toMatchObject({ edit: { text: 'value)' } })
  expect([...loop.asked, ...loop.read]).toEqual([])
})
