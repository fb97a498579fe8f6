/** In which of several holes a step commits, and what a hole may end with that others may not. */
import { describe, expect, test } from 'vitest'
import { noClamp } from '../../server/denoise/commitRules.ts'
import { type DenoiseRequest, Denoiser } from '../../server/denoise/denoiser.ts'
import type { Hole } from '../../server/denoise/hole.ts'
import type { HoleOrder } from '../../server/denoise/holeOrder.ts'
import { byteIds, type Question, type Script, ScriptedEngine } from '../engine/scriptedEngine.ts'

const never = new AbortController().signal
const bytes = (text: string): number[] => [...Buffer.from(text)]
const textOf = (ids: readonly number[]): string => Buffer.from(ids).toString()
const hole: Hole = { length: { kind: 'end-token', slots: 4 }, maxTokens: 16, floor: 0, clamp: noClamp }

async function denoise(engine: ScriptedEngine, texts: readonly string[], change: Partial<DenoiseRequest> = {}) {
  const ids = texts.map(bytes)
  const encodings = []
  for (const [i, text] of ids.entries()) {
    const rows = i === ids.length - 1 ? text : text.slice(0, -1)
    encodings.push(rows.length > 0 ? (await engine.encode([{ ids: rows }], never))[0]!.id : undefined)
  }
  const written: string[] = []
  const request: DenoiseRequest = {
    texts: ids,
    holes: ids.slice(1).map(() => hole),
    context: { kind: 'causal', encodings },
    schedule: { kind: 'leftmost-first', threshold: 0.9, window: 1 },
    maskId: byteIds.mask,
    endIds: new Set([byteIds.end]),
    forbiddenIds: new Set([byteIds.mask]),
    urgent: true,
    ...change,
  }
  const { middles } = await new Denoiser(engine).denoise(request, never, (progress) =>
    written.push(progress.map((middle) => textOf(middle.ids)).join('|')),
  )
  return { middles: middles.map((middle) => textOf(middle.ids)), written }
}

/** Ids in sight left of the position, open slots among them, back to the capital that begins its hole. */
function ownPart({ canvas, context, position }: Question): { hole: string; at: number } {
  const all = [...context, ...canvas].sort(([a], [b]) => a - b)
  const left = all.flatMap(([at, id]) => (at < position ? [id === byteIds.mask ? '_' : String.fromCharCode(id)] : []))
  const begin = left.findLastIndex((character) => /[A-Z]/.test(character))
  return { hole: left[begin]!, at: left.length - begin - 1 }
}

/** Each hole's middle, by the capital before it, and how sure each of its slots is. */
const script =
  (middles: Readonly<Record<string, readonly [text: string, sure: readonly number[]]>>): Script =>
  (question) => {
    const { hole, at } = ownPart(question)
    const [text, sure] = middles[hole]!
    return [{ id: bytes(text)[at] ?? byteIds.end, probability: sure[at] ?? 0.99 }]
  }

const two = { A: ['ab', [0.5, 0.7]], B: ['xy', [0.6, 0.6]] } as const

test.for<[HoleOrder, string[]]>([
  [{ kind: 'at-once' }, ['a|x', 'ab|xy', 'ab|xy']],
  [{ kind: 'left-to-right', ahead: 'open' }, ['a|', 'ab|', 'ab|', 'ab|x', 'ab|xy', 'ab|xy']],
  [{ kind: 'right-to-left', ahead: 'closed' }, ['|x', '|xy', '|xy', 'a|xy', 'ab|xy', 'ab|xy']],
  // x and y are surer than a, the end than a; then what is left.
  [{ kind: 'surest-hole', threshold: 1 }, ['|x', '|xy', '|xy', 'a|xy', 'ab|xy', 'ab|xy']],
  // a is less sure than 0.55, and waits; it is sure enough for 0.5.
  [{ kind: 'surest-hole', threshold: 0.55 }, ['|x', '|xy', '|xy', 'a|xy', 'ab|xy', 'ab|xy']],
  [{ kind: 'surest-hole', threshold: 0.5 }, ['a|x', 'ab|xy', 'ab|xy']],
])('%o', async ([order, steps]) => {
  const { middles, written } = await denoise(new ScriptedEngine(script(two)), ['A', 'B', '.'], { order })
  expect(middles).toEqual(['ab', 'xy'])
  expect(written).toEqual(steps)
})

test.each(['open', 'closed'] as const)('a hole whose turn has not come stands %s in the canvas', async (ahead) => {
  const engine = new ScriptedEngine(script(two))
  await denoise(engine, ['A', 'B', '.'], { order: { kind: 'left-to-right', ahead } })
  const maskCounts = engine.steps.map(([job]) => job!.ids.filter((id) => id === byteIds.mask).length)
  // Two tokens and an end are committed in each; what is left over is cut off.
  expect(maskCounts).toEqual(ahead === 'open' ? [8, 7, 6, 4, 3, 2] : [4, 3, 2, 4, 3, 2])
  expect(engine.steps.map(([job]) => job!.asked)).toEqual([[1], [2], [3], [4], [5], [6]])
})

test('what is asked and not taken is asked again, not passed over', async () => {
  // A plan that commits one slot a step, for as many steps as there are slots.
  const schedule = { kind: 'maskgit-plus', steps: 4, temperature: 0, seed: 1 } as const
  const longer = { A: ['abcd', [0.5, 0.5, 0.5, 0.5]], B: ['wxyz', [0.6, 0.6, 0.6, 0.6]] } as const
  const order = { kind: 'surest-hole', threshold: 1 } as const
  const holes = [hole, hole].map((one) => ({ ...one, maxTokens: 4 }))
  const { middles } = await denoise(new ScriptedEngine(script(longer)), ['A', 'B', '.'], { order, schedule, holes })
  expect(middles).toEqual(['abcd', 'wxyz'])
})

describe('ends of one hole alone', () => {
  const lineBreaks = new Set([10, 11, 12])
  const ends: Script = () => [
    { id: 120, probability: 0.4 },
    { id: 10, probability: 0.25 },
    { id: 11, probability: 0.2 },
  ]

  test('count together, and end that hole but no other', async () => {
    const holes = [
      { ...hole, ownEndIds: lineBreaks },
      { ...hole, maxTokens: 3 },
    ]
    const { middles } = await denoise(new ScriptedEngine(ends), ['A', 'B', '.'], { holes })
    expect(middles).toEqual(['', 'xxx'])
  })

  test('as much as when a pass adds them up', async () => {
    const one = { ...hole, maxTokens: 3 }
    const own = await denoise(new ScriptedEngine(ends), ['A', '.'], { holes: [{ ...one, ownEndIds: lineBreaks }] })
    const endIds = new Set([byteIds.end, ...lineBreaks])
    const common = await denoise(new ScriptedEngine(ends), ['A', '.'], { holes: [one], endIds })
    expect(own).toEqual(common)
    expect(own.middles).toEqual([''])
  })
})
