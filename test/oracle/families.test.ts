/**
 * Graphs of every family against the public modelling code (`makeFamilies.py`): small random models in the exact layout
 * of public ones, converted as theirs would be. Where a model's own code could not be run, `of` says what stands in.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as ort from 'onnxruntime-node'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { engineOptions } from '../../server/cli/openRooms.ts'
import type { Prediction } from '../../server/engine/engine.ts'
import { openOnnxEngine } from '../../server/engine/onnx/onnxEngine.ts'
import { convertModel } from '../../server/model/convert.ts'
import { type Bundle, openBundle } from '../../server/model/openBundle.ts'
import { type FamilyPass, wholePass, windowPass } from './familyGraph.ts'
import {
  type FamilyModel,
  type FamilyRow,
  type FamilySequence,
  readFamilies,
  rowsOf,
  writeFamilyFolder,
} from './familyModels.ts'

const families = readFamilies()
const tolerance = 1e-3 // logits, of size 10
const open = new AbortController().signal

for (const model of families.models) {
  describe(`${model.name} (${model.of}; numbers by ${model.code})`, () => {
    const cases = families.cases.filter((one) => one.model === model.name)
    let root: string
    let bundle: Bundle
    let session: ort.InferenceSession
    let weightSum: number
    const largest = new Map<string, number>()
    const check = (what: string, difference: number): void => {
      largest.set(what, Math.max(largest.get(what) ?? 0, difference))
      expect(difference, what).toBeLessThan(tolerance)
    }

    beforeAll(async () => {
      root = await mkdtemp(join(tmpdir(), 'lacuna-family-'))
      weightSum = await writeFamilyFolder(join(root, 'source'), model)
      const options = { quant: 'f32', name: model.name, facts: model.facts } as const
      await convertModel(join(root, 'source'), join(root, 'bundle'), options)
      bundle = await openBundle(join(root, 'bundle'))
      session = await ort.InferenceSession.create(bundle.graphPath, {
        intraOpNumThreads: 1,
        executionMode: 'sequential',
        logSeverityLevel: 3,
      })
    })
    afterAll(async () => {
      await session?.release()
      await rm(root, { recursive: true, force: true })
      const figures = Array.from(largest, ([what, difference]) => `${what} ${difference.toExponential(1)}`)
      process.stderr.write(`${model.name}: largest difference ${figures.join(', ')}\n`)
    })

    test('has the weights of the reference', () => {
      expect(weightSum).toBe(model.checksum)
    })

    for (const { name, window, sequences } of cases) {
      test(`gives the reference's logits: ${name}`, async () => {
        const whole = await wholePass(session, bundle.manifest, model, families, sequences)
        const topIds = Array.from(whole.outputs.top_ids!.data as BigInt64Array, Number)
        const topLogProbs = whole.outputs.top_logprobs!.data as Float32Array
        let at = 0
        for (const row of sequences.flatMap(({ rows }) => rows)) {
          const top = [8 * at, 8 * at + 8] as const
          check('logit', compareRow(rowAt(whole, at++), row))
          check('log-probability', compareTop(topIds.slice(...top), topLogProbs.slice(...top), row))
        }
        if (!window) return
        const [sequence] = sequences
        const part = await windowPass(session, bundle.manifest, model, families, sequence!, window, whole)
        for (const [i, row] of sequence!.rows.entries()) check('logit with a past', compareRow(rowAt(part, i), row))
      })
    }

    test('takes a padded sequence in a batch as it takes it alone', async () => {
      const batch = cases.find(({ sequences }) => sequences.length > 1)!.sequences
      for (const sequence of batch) {
        const alone = await wholePass(session, bundle.manifest, model, families, [{ ...sequence, pad: 0 }])
        for (const [i, row] of sequence.rows.entries()) check('logit unpadded', compareRow(rowAt(alone, i), row))
      }
    })

    test.each([0, 1] as const)('engine with shift %i: position p is answered by row p − shift', async (shift) => {
      const manifest = { ...bundle.manifest, logitsShift: shift }
      const engine = await openOnnxEngine(engineOptions({ ...bundle, manifest }, { deterministic: true }))
      try {
        for (const { sequences } of cases.filter((one) => one.sequences.length === 1)) {
          const { rows, prediction } = await stepOver(engine, model, sequences[0]!, shift)
          expect(rows.length).toBeGreaterThanOrEqual(2)
          for (const [i, row] of rows.entries())
            check('engine', compareTop(prediction.topIds[i]!, prediction.topLogProbs[i]!, row))
        }
      } finally {
        await engine.close()
      }
    })
  })
}

/**
 * Through the engine: a causal-context model reads prefix and suffix first, a bidirectional one has all rows in the
 * canvas. Asked are the positions that the reference's rows score.
 */
async function stepOver(
  engine: Awaited<ReturnType<typeof openOnnxEngine>>,
  model: FamilyModel,
  sequence: FamilySequence,
  shift: 0 | 1,
): Promise<{ rows: FamilyRow[]; prediction: Prediction }> {
  const { ids, canvasEnd, count } = rowsOf(families, sequence)
  const { prefix, firstPosition } = sequence
  const causal = model.facts.attention === 'causal-context'
  const [from, to] = causal ? [prefix, canvasEnd] : [0, count]
  const pieces = causal ? [{ ids: ids.slice(0, prefix) }, { ids: ids.slice(canvasEnd) }] : []
  const rows = sequence.rows.filter(({ row }) => row >= from && row < to)
  const encodings = await engine.encode(pieces, open)
  const [prediction] = await engine.step(
    [
      {
        ids: ids.slice(from, to),
        positions: Array.from({ length: to - from }, (_, i) => firstPosition + from + i),
        context: encodings.map((piece, i) => ({ ...piece, firstPosition: firstPosition + (i === 0 ? 0 : canvasEnd) })),
        asked: rows.map(({ row }) => firstPosition + row + shift),
        setIds: [],
      },
    ],
    open,
  )
  engine.release(encodings.map(({ id }) => id))
  return { rows, prediction: prediction! }
}

/** The largest difference of what the reference has of a row: its best ids, the sampled ones, the log of the sum. */
function compareRow(logits: Float32Array, row: FamilyRow): number {
  const most = logits.reduce((best, logit) => Math.max(best, logit), Number.NEGATIVE_INFINITY)
  const lse = most + Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - most), 0))
  const differences = [
    lse - row.lse,
    ...row.top.map((id, i) => logits[id]! - row.logits[i]!),
    ...families.header.sampledIds.map((id, i) => logits[id]! - row.sampled[i]!),
  ]
  return differences.reduce((largest, difference) => Math.max(largest, Math.abs(difference)), 0)
}

/** As `compareRow`, of best ids and their log-probabilities. */
function compareTop(topIds: readonly number[], topLogProbs: ArrayLike<number>, row: FamilyRow): number {
  let largest = 0
  for (const [k, id] of row.top.entries()) {
    const at = topIds.indexOf(id)
    // The eighth may change places with the ninth when they are as good as equal.
    const found = topLogProbs[at < 0 ? topLogProbs.length - 1 : at]!
    largest = Math.max(largest, Math.abs(found - (row.logits[k]! - row.lse)))
  }
  return largest
}

/** The logits of the asked row number `index` of a pass. */
function rowAt({ logits, outputs }: FamilyPass, index: number): Float32Array {
  const vocab = outputs.logits!.dims[2]!
  return logits.subarray(index * vocab, (index + 1) * vocab)
}
