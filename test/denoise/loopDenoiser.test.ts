/** What a loop elsewhere writes, and what step by step is written here, is the same; and it is asked once where it can be. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Recall } from '../../server/base/recall.ts'
import { type Clamp, noClamp } from '../../server/denoise/commitRules.ts'
import { type DenoiseRequest, Denoiser } from '../../server/denoise/denoiser.ts'
import { LoopDenoiser } from '../../server/denoise/loopDenoiser.ts'
import type { TokenIds } from '../../server/engine/engine.ts'
import { PlainGapLoop } from '../engine/plainGapLoop.ts'
import { byteEngine, byteIds, mixed, ScriptedEngine } from '../engine/scriptedEngine.ts'

const never = new AbortController().signal
const distance = 40

interface Case {
  readonly before: TokenIds
  readonly after: TokenIds
  readonly begun?: number
  readonly slots: number
  readonly maxTokens: number
  readonly floor?: number
  readonly held?: TokenIds
  readonly recall?: Recall
  readonly alphabet?: number
  /** Guesses and open rows of the passes here. */
  readonly ahead?: number
}

async function both({ before, after, begun = 0, slots, maxTokens, floor = 0, held = [], recall, ...more }: Case) {
  const { alphabet = 16, ahead = 0 } = more
  const engine = new ScriptedEngine(mixed(alphabet), byteEngine)
  const texts = [[byteIds.documentStart, ...before], after]
  const encode = async (ids: TokenIds) => (ids.length > 0 ? (await engine.encode([{ ids }], never))[0]!.id : undefined)
  const encodings = [await encode(texts[0]!.slice(0, -1 - begun)), await encode(after)]
  const clamp: Clamp = {
    isOver: (leading) => leading.length >= held.length,
    allows: (leading, id) => id === held[leading.length],
  }
  const length = { kind: 'drafted', slots, drafts: ahead, threshold: 0, open: ahead } as const
  const request: DenoiseRequest = {
    texts,
    holes: [{ length, maxTokens, floor, clamp: held.length > 0 ? clamp : noClamp, ...(recall ? { recall } : {}) }],
    order: { kind: 'left-to-right', ahead: 'closed' },
    context: { kind: 'drafted', encodings, distance, keeps: false, begun },
    schedule: { kind: 'leftmost-first', threshold: 0.9, window: 4 },
    maskId: byteIds.mask,
    endIds: new Set([byteIds.end, 3]),
    forbiddenIds: new Set([5]),
    urgent: true,
  }
  const shown: TokenIds[] = []
  const loop = new PlainGapLoop(engine, { distance, neverIds: [5, byteIds.mask] })
  const whole = await new LoopDenoiser(loop).denoise(request, never, ([progress]) => shown.push(progress!.ids))
  const steps = await new Denoiser(engine).denoise(request, never)
  return { whole: whole!, steps, asked: loop.asked, shown, request }
}

const cases = fc.record({
  before: fc.array(fc.nat(255), { minLength: 1, maxLength: 6 }),
  after: fc.array(fc.nat(255), { maxLength: 4 }),
  begun: fc.constantFrom(0, 1),
  slots: fc.integer({ min: 1, max: 9 }),
  maxTokens: fc.integer({ min: 1, max: 20 }),
  alphabet: fc.constantFrom(4, 16, 257),
})

test('the middle, its probabilities and why it ended are the same, asked for once', () =>
  fc.assert(
    fc.asyncProperty(cases, async (given) => {
      const { whole, steps, asked, shown } = await both(given)
      expect(whole.middles).toEqual(steps.middles)
      expect(asked).toHaveLength(1)
      expect(shown).toEqual([whole.middles[0]!.ids])
      expect(whole.steps).toBe(steps.steps)
    }),
    { numRuns: 300 },
  ))

test('they are, whatever is guessed ahead here', () =>
  fc.assert(
    fc.asyncProperty(cases, fc.integer({ min: 1, max: 3 }), async (given, ahead) => {
      const { whole, steps } = await both({ ...given, ahead })
      expect(whole.middles).toEqual(steps.middles)
    }),
    {
      numRuns: 150,
      // Guesses reach beyond the last token that may stand, to where the model says its end.
      examples: [[{ before: [161, 83, 46], after: [], begun: 0, slots: 5, maxTokens: 4, alphabet: 4 }, 1]],
    },
  ))

test('it stops where it is less sure than wanted', () =>
  fc.assert(
    fc.asyncProperty(cases, fc.double({ min: 0.01, max: 0.9, noNaN: true }), async (given, floor) => {
      const { whole, steps } = await both({ ...given, floor })
      // What is beyond came in the same answer as what was sure.
      const sure = steps.middles[0]!.ids
      expect(whole.middles[0]!.ids.slice(0, sure.length)).toEqual(sure)
      expect(whole.middles[0]!.finish).toBe(steps.middles[0]!.finish)
    }),
    { numRuns: 150 },
  ))

test('what is known of its beginning, and what the file says, is heard; it is asked again only where that says otherwise', () =>
  fc.assert(
    fc.asyncProperty(
      cases,
      fc.array(fc.nat(15), { maxLength: 2 }),
      fc.array(fc.option(fc.nat(15), { freq: 3 }), { maxLength: 12 }),
      async (given, held, says) => {
        // Strong enough to be heard, and gone as soon as it was not followed.
        const recall: Recall = (leading) => {
          const id = says[leading.length]
          return id === undefined || id === null ? [] : [{ id, weight: 0.6 }]
        }
        const { whole, steps, asked } = await both({ ...given, held, recall })
        expect(whole.middles).toEqual(steps.middles)
        const said = held.length + says.filter((id) => id !== null).length
        expect(asked.length).toBeLessThanOrEqual(1 + said)
      },
    ),
    { numRuns: 300 },
  ))

test('several holes, ends of a hole alone and canvases of another kind are left to steps', async () => {
  const { request } = await both({ before: [1, 2], after: [4], slots: 4, maxTokens: 4 })
  const hole = request.holes[0]!
  const loop = new PlainGapLoop(new ScriptedEngine(), { distance, neverIds: [] })
  for (const other of [
    { texts: [[1], [2], [3]], holes: [hole, hole] },
    { holes: [{ ...hole, ownEndIds: new Set([9]) }] },
    { context: { kind: 'causal', encodings: [] } },
    { holes: [{ ...hole, length: { kind: 'end-token', slots: 4 } }] },
  ] as const)
    expect(await new LoopDenoiser(loop).denoise({ ...request, ...other }, never, () => {})).toBeUndefined()
  expect(loop.asked).toEqual([])
})
