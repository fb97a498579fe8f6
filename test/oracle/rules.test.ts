/**
 * Three other rules against public code (`makeRules.py`), driven with the same logits and uniforms: whole runs through the
 * real denoiser, token for token and pass by pass, and single steps where the reference has a fault of its own.
 */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { Canvas } from '../../server/denoise/canvas.ts'
import { noClamp } from '../../server/denoise/commitRules.ts'
import { openSampler, type Schedule } from '../../server/denoise/schedule.ts'
import type { TokenIds } from '../../server/engine/engine.ts'
import { CounterEngine, counterLogits, maskId, predictionOf } from './counterLogits.ts'
import { fillRows, rowsByStep } from './recordedRun.ts'

interface Run {
  readonly seed: number
  readonly commits: readonly (readonly number[])[] // slot, id, slot, id, … of each step
}

interface Rules {
  readonly header: { readonly prefix: TokenIds; readonly slots: number }
  readonly threshold: readonly (Run & { readonly block: number; readonly threshold?: number })[]
  readonly entropyBound: readonly (Run & { bound: number; temperature: number; margin: number })[]
  readonly factor: readonly { factor: number; seed: number; row: TokenIds; slots: readonly number[] }[]
}

const recorded = JSON.parse(readFileSync(new URL('rules.json', import.meta.url), 'utf8')) as Rules
const { header } = recorded

async function checkRun({ seed, commits }: Run, schedule: Schedule): Promise<void> {
  const engine = new CounterEngine(seed)
  const wanted = rowsByStep(header, header.slots, commits)
  const [final] = await fillRows([wanted[0]!], schedule, engine)
  expect([...engine.passes.map(([row]) => row), final]).toEqual(wanted)
}

describe('threshold, over the whole canvas and in blocks (Fast-dLLM)', () => {
  test.each(recorded.threshold)('blocks of $block, threshold $threshold', async (run) => {
    const inner = { kind: 'surest-first', threshold: run.threshold ?? 1 } as const // without one: one slot a step
    await checkRun(run, run.block === header.slots ? inner : { kind: 'blocks', slots: run.block, inner })
  })
})

describe('entropy bound (diffusers)', () => {
  test.each(recorded.entropyBound)('bound $bound, temperature $temperature', async (run) => {
    expect(run.margin).toBeGreaterThan(1e-6)
    await checkRun(run, { kind: 'entropy-bound', ...run })
  })
})

describe('factor (dInfer)', () => {
  const steps = recorded.factor.map((step) => ({ ...step, ours: pickedSlots(step) }))
  const openOf = ({ row }: { row: TokenIds }) => row.filter((id) => id === maskId).length
  const differ = steps.filter(({ slots, ours }) => slots.join() !== ours.join())

  test('the same slots', () => {
    expect(steps.length - differ.length).toBeGreaterThan(30)
    const several = steps.filter((step) => step.ours.length > 1 && step.ours.length < openOf(step))
    expect(several.length, 'steps that commit some').toBeGreaterThan(10)
  })

  test('but where only the last one is not sure enough: there the reference commits it all the same', () => {
    expect(differ.length).toBeGreaterThan(0)
    for (const step of differ) {
      expect(step.slots).toHaveLength(openOf(step))
      expect(step.ours).toHaveLength(openOf(step) - 1)
    }
  })
})

function pickedSlots({ factor, seed, row }: Rules['factor'][number]): number[] {
  const before = header.prefix.length
  const canvas = new Canvas(row.length - before, maskId)
  for (const [slot, id] of row.slice(before).entries()) if (id !== maskId) canvas.commit(slot, id, 1)
  const sampler = openSampler({ kind: 'factor', factor, temperature: 0, seed }, 0)
  const asked = sampler.ask(canvas.openSlots())
  const prediction = predictionOf(
    asked.map((slot) => counterLogits(seed, row, before + slot).map((logit) => logit * 4)),
  )
  const rules = { endIds: new Set<number>(), ends: 'last', forbiddenIds: new Set<number>(), clamp: noClamp } as const
  return sampler.pick(canvas, asked, prediction, rules).map(({ slot }) => slot)
}
