/**
 * The samplers against CoDA's own (`makeSamplers.py`), driven with the same logits and uniforms: token for token, step by
 * step, through the real denoiser. Nearer to a tie than `margin` neither of them comes.
 */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { countOf } from '../../server/denoise/sampling/plan.ts'
import type { Schedule } from '../../server/denoise/schedule.ts'
import type { TokenIds } from '../../server/engine/engine.ts'
import { CounterEngine, maskId, vocab } from './counterLogits.ts'
import { fillRows, rowsByStep } from './recordedRun.ts'

interface Settings {
  readonly alg: 'origin' | 'maskgit_plus' | 'topk_margin' | 'entropy'
  readonly steps: number
  readonly temperature: number
  readonly topP?: number
  readonly topK?: number
  readonly algTemp?: number
  readonly seed: number
}

interface Batch extends Settings {
  readonly rows: readonly TokenIds[]
  readonly final: readonly TokenIds[]
  readonly alone: readonly TokenIds[]
}

interface Samplers {
  readonly header: { readonly prefix: TokenIds; readonly suffix: TokenIds }
  /** `commits`: step, then slot and id of each slot committed in it. */
  readonly cases: readonly (Settings & { slots: number; margin: number; commits: number[][] })[]
  readonly batches: readonly Batch[]
  readonly masksLeft: readonly Omit<Batch, 'alone'>[]
  readonly counts: readonly (readonly [masks: number, steps: number, eps: number, runs: [number, number][]])[]
}

const { header, cases, batches, masksLeft, counts } = JSON.parse(
  readFileSync(new URL('samplers.json', import.meta.url), 'utf8'),
) as Samplers

function scheduleOf({ alg, algTemp, ...rest }: Settings): Schedule {
  if (alg === 'origin') return { kind: alg, ...rest }
  const kind = ({ maskgit_plus: 'maskgit-plus', topk_margin: 'topk-margin', entropy: 'entropy' } as const)[alg]
  return { kind, ...rest, ...(algTemp === undefined ? {} : { algTemp }) }
}

const named = ({ alg, temperature, topP, topK, algTemp }: Settings): string =>
  Object.entries({ temperature, topP, topK, algTemp })
    .flatMap(([name, value]) => (value ? [` ${name} ${value}`] : []))
    .reduce((sofar, part) => sofar + part, alg)

describe.each([
  [12, 12],
  [64, 16],
  [16, 4],
  [8, 512],
])('%i masks in %i steps', (slots, steps) => {
  const these = cases.filter((one) => one.slots === slots && one.steps === steps)

  test.each(these.map((one) => [named(one), one] as const))('%s', async (_, one) => {
    expect(one.margin).toBeGreaterThan(1e-6)
    const engine = new CounterEngine(one.seed)
    const wanted = rowsByStep(
      header,
      slots,
      one.commits.map(([, ...picks]) => picks),
    )
    const [final] = await fillRows([wanted[0]!], scheduleOf(one), engine)
    expect([...engine.passes.map(([row]) => row), final]).toEqual(wanted)
  })

  test('steps that commit nothing need no pass, where the reference makes one all the same', () => {
    for (const { alg, commits } of these) {
      if (alg !== 'origin') expect(commits).toHaveLength(Math.min(slots - 1, steps))
      else expect(commits.length).toBeLessThanOrEqual(Math.min(slots, steps))
    }
  })
})

describe('without one of its settings another text comes out', () => {
  const some = cases.filter(({ alg, steps, temperature }) => steps < 512 && !(alg === 'origin' && temperature === 0))
  test.each(['topP', 'topK', 'algTemp'] as const)('%s', async (setting) => {
    const having = some.filter((one) => one[setting] !== undefined)
    expect(having.length).toBeGreaterThan(30)
    for (const one of having) {
      const { [setting]: _, ...rest } = one
      const rows = rowsByStep(
        header,
        one.slots,
        one.commits.map(([, ...picks]) => picks),
      )
      const found = await fillRows([rows[0]!], scheduleOf(rest), new CounterEngine(one.seed))
      expect(found[0], named(one)).not.toEqual(rows.at(-1))
    }
  })
})

test('all algorithms, settings and sizes are there', () => expect(cases.length).toBe(4 * (1 + 3 * 2) * 6))

describe('in each step as many slots are committed', () => {
  test.each(counts)('%i masks, %i steps, eps %d', (masks, steps, eps, runs) => {
    const wanted = runs.flatMap(([count, times]) => Array<number>(times).fill(count))
    let open = masks
    const found = wanted.map((_, step) => {
      const count = countOf(open, step, { steps, eps })
      open -= count
      return count
    })
    expect(found).toEqual(wanted)
  })
})

describe('a batch of two', () => {
  const countMasks = (row: TokenIds) => row.filter((id) => id === maskId).length
  const isEqual = ({ rows }: Batch) => countMasks(rows[0]!) === countMasks(rows[1]!)
  const equal = batches.filter(isEqual)
  const unequal = batches.filter((batch) => !isEqual(batch))

  test.each(equal.map((batch) => [named(batch), batch] as const))('of as many masks: %s', async (_, batch) => {
    expect(batch.final).toEqual(batch.alone)
    expect(await fillRows(batch.rows, scheduleOf(batch), new CounterEngine(batch.seed))).toEqual(batch.final)
  })

  test('of more and fewer masks: each row is as it is alone', async () => {
    const [batch] = unequal
    const engine = new CounterEngine(batch!.seed)
    expect(await fillRows(batch!.rows, scheduleOf(batch!), engine)).toEqual(batch!.alone)
    expect(engine.passes[0], 'rows of the first pass').toHaveLength(2)
  })

  test('where the reference counts the mean: masks are left, and known tokens are overwritten', () => {
    const { rows, final, alone } = unequal[0]!
    expect(final.map(countMasks)).toEqual([4, 4])
    const known = rows.map((row) => [...row.keys()].filter((position) => row[position] !== maskId))
    const overwritten = known.map((positions, i) => positions.filter((at) => final[i]![at] !== rows[i]![at]))
    expect(overwritten.map(({ length }) => length)).toEqual([0, 6])
    expect(alone.map(countMasks)).toEqual([0, 0])
  })
})

test('where the mask itself is predicted, the reference leaves masks behind, and here a token is committed', async () => {
  const [run] = masksLeft
  expect(run!.final[0]).toContain(maskId)
  const [filled] = await fillRows(run!.rows, scheduleOf(run!), new CounterEngine(run!.seed, vocab + 1))
  expect(filled).not.toContain(maskId)
})
