/**
 * The graph against PyTorch: the float32 graph, rebuilt from the shipped bundle's own weights, must give the reference's
 * numbers; the shipped 4-bit graph must agree in what it would commit.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { engineOptions } from '../../server/cli/openRooms.ts'
import { noClamp } from '../../server/denoise/commitRules.ts'
import { Denoiser } from '../../server/denoise/denoiser.ts'
import type { OnnxEngine } from '../../server/engine/onnx/onnxEngine.ts'
import { floatBundle } from '../../server/model/dequantize.ts'
import { openBundle } from '../../server/model/openBundle.ts'
import { resolveModel } from '../../server/model/store.ts'
import { fillOne } from '../denoise/oneHole.ts'
import { openUnderTest, providerUnderTest } from '../engine/providerUnderTest.ts'
import { distance, encodeCase, type Oracle, predictCase, predictTree, readOracle } from './oracle.ts'

const longTest = providerUnderTest === 'cpu' ? 300_000 : 7_200_000 // milliseconds; half a minute each on two quiet cores

const oracle = readOracle()
const tolerance = 1e-3 // log-probability
const nearTie = 1e-3 // probability: below that margin two correct ways may commit differently

const rules = ({ header }: Oracle) => ({
  endIds: new Set([header.padId, ...header.lineBreakIds]),
  forbiddenIds: new Set([header.maskId]),
  clamp: noClamp,
})

async function open(dir: string): Promise<OnnxEngine> {
  const bundle = await openBundle(dir)
  return openUnderTest(engineOptions(bundle, { deterministic: true }))
}

describe('float32 graph', () => {
  let dir: string
  let engine: OnnxEngine
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'lacuna-float-'))
    await floatBundle(await resolveModel(), dir)
    engine = await open(dir)
  })
  afterAll(async () => {
    await engine?.close()
    await rm(dir, { recursive: true })
  })

  test('gives the top-1 of every row, and log-probabilities within 1e-3', { timeout: longTest }, async () => {
    let largest = 0
    let largestEntropy = 0
    for (const { name, rows, prediction } of await allRows(engine)) {
      for (const [i, row] of rows.entries()) {
        expect(prediction.topIds[i]![0], `${name}, row ${i}`).toBe(row.top[0])
        for (const [k, id] of row.top.entries()) {
          const at = prediction.topIds[i]!.indexOf(id)
          // The eighth may change places with the ninth when they are as good as equal.
          const found = at < 0 ? prediction.topLogProbs[i]!.at(-1)! : prediction.topLogProbs[i]![at]!
          largest = Math.max(largest, Math.abs(found - row.logprobs[k]!))
        }
        largest = Math.max(largest, Math.abs(prediction.setLogProbs[i]! - row.end))
        largestEntropy = Math.max(largestEntropy, Math.abs(prediction.entropy[i]! - row.entropy))
      }
    }
    process.stderr.write(
      `largest difference: log-probability ${largest.toExponential(1)}, entropy ${largestEntropy.toExponential(1)}\n`,
    )
    expect(largest).toBeLessThan(tolerance)
    expect(largestEntropy).toBeLessThan(tolerance)
  })

  test('writes the tokens of the reference in fewer steps than tokens, guessing ahead', {
    timeout: longTest,
  }, async () => {
    const denoiser = new Denoiser(engine)
    let [nearTies, steps, tokens] = [0, 0, 0]
    for (const { one, begun, written } of oracle.cases.map((one, i) =>
      // Half of them each way: a pass in float32 takes its time.
      i % 2 ? { one, begun: 0, written: one.written } : { one, begun: one.begun.count, written: one.begun },
    )) {
      const [prefix, suffix] = await encodeCase(engine, one, begun)
      const result = await fillOne(
        denoiser,
        {
          ...{
            prefixIds: one.prefixIds,
            suffixIds: one.suffixIds,
            maxTokens: Math.min(16, 23 - begun), // one canvas
            floor: 0,
            maskId: oracle.header.maskId,
          },
          context: { kind: 'drafted', encodings: [prefix!.id, suffix!.id], distance, begun, keeps: true },
          length: { kind: 'drafted', slots: 23 - begun, drafts: 2, threshold: 0.2, open: 3 },
          schedule: { kind: 'leftmost-first', threshold: 0.9, window: 4 }, // of no meaning here
          rules: rules(oracle),
        },
        new AbortController().signal,
      )
      engine.release([prefix!.id, suffix!.id])
      steps += result.steps
      tokens += result.ids.length + (result.finish === 'ended' ? 1 : 0)
      if (result.ids.join() !== written.ids.join() && written.margin < nearTie) nearTies++
      else expect({ name: one.name, begun, ids: result.ids }).toEqual({ name: one.name, begun, ids: written.ids })
    }
    process.stderr.write(`${steps} steps for ${tokens} tokens; near-ties decided otherwise: ${nearTies}\n`)
    expect(steps).toBeLessThan(tokens)
    expect(nearTies).toBeLessThanOrEqual(2)
  })

  test('denoises to the tokens of the reference in as many steps, where all rows see each other', {
    timeout: longTest,
  }, async () => {
    const denoiser = new Denoiser(engine)
    let nearTies = 0
    for (const one of oracle.cases) {
      const [prefix, suffix] = await encodeCase(engine, one)
      const result = await fillOne(
        denoiser,
        {
          prefixIds: one.prefixIds,
          suffixIds: one.suffixIds,
          context: { kind: 'causal', encodings: [prefix!.id, suffix!.id] },
          length: { kind: 'end-token', slots: 16 },
          maxTokens: 16,
          floor: 0,
          maskId: oracle.header.maskId,
          schedule: { kind: 'leftmost-first', threshold: 0.9, window: 4 },
          rules: rules(oracle),
        },
        new AbortController().signal,
      )
      engine.release([prefix!.id, suffix!.id])
      const same = result.steps === one.infill.steps && result.ids.join() === one.infill.ids.join()
      if (!same && one.infill.margin < nearTie) nearTies++
      else
        expect({ name: one.name, ids: result.ids, steps: result.steps }).toEqual({
          name: one.name,
          ids: one.infill.ids,
          steps: one.infill.steps,
        })
    }
    process.stderr.write(`near-ties decided otherwise: ${nearTies} of ${oracle.cases.length}\n`)
    expect(nearTies).toBeLessThanOrEqual(1)
  })
})

// Seen: 482 of 509, and 464 on a processor that adds pairs of products in 16 bits, where weights have 7 bits (`int8Session.ts`).
test('the shipped graph agrees with float32 in at least 90 % of top-1 rows, and 99 % of those that are sure', {
  timeout: longTest,
}, async () => {
  const engine = await open(await resolveModel())
  const found = (await allRows(engine)).flatMap(({ rows, prediction, committed }) =>
    rows.map((row, i) => ({
      same: prediction.topIds[i]![0] === row.top[0],
      sure: row.logprobs[0]! > Math.log(0.5),
      committed: i < committed,
    })),
  )
  await engine.close()
  const share = (of: typeof found) => `${of.filter(({ same }) => same).length} of ${of.length}`
  const sure = found.filter(({ sure }) => sure)
  const committed = found.filter(({ committed }) => committed)
  process.stderr.write(
    `shipped graph: same top-1 in ${share(found)} rows, in ${share(committed)} of committed tokens, in ${share(sure)} where float32 is above 0.5\n`,
  )
  expect(sure.filter(({ same }) => same).length / sure.length).toBeGreaterThanOrEqual(0.99)
  expect(found.filter(({ same }) => same).length / found.length).toBeGreaterThanOrEqual(0.9)
})

/** What the engine says of each case: rows that all see each other, and the tree of committed, guessed and open rows. */
async function allRows(engine: OnnxEngine) {
  const found = []
  for (const one of oracle.cases) {
    found.push({ name: one.name, committed: 0, rows: one.rows, prediction: await predictCase(engine, oracle, one) })
    const committed = one.tree.ids.length - 6 // the others are open
    found.push({
      name: `${one.name}, tree`,
      committed,
      rows: one.tree.rows,
      prediction: await predictTree(engine, oracle, one),
    })
  }
  return found
}
