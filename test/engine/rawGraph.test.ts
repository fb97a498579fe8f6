/**
 * The graph's own promises, with nothing of ours between it and the test: outputs come back under their names whatever
 * subset is fetched, and the batch dimension is a real one.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as ort from 'onnxruntime-node'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Manifest } from '../../server/model/manifest.ts'
import { openBundle } from '../../server/model/openBundle.ts'
import { randomBundle } from '../model/randomBundle.ts'
import { range, someIds } from './engine.case.ts'

/** One sequence: rows `ids` at `positions` after `past` rows of the cache, of which the first are masked. */
interface Sequence {
  readonly ids: number[]
  readonly positions: number[]
  readonly askedRows: number[]
  readonly past: number // rows that are seen, at positions 0 …
  readonly seed: number // of the past
}

const sequences: Sequence[] = [
  { ids: someIds(1, 6, 200), positions: range(5, 6), askedRows: [0, 2, 5], past: 5, seed: 11 },
  { ids: someIds(2, 4, 200), positions: range(2, 4), askedRows: [3, 1, 0], past: 2, seed: 12 },
]
const outputNames = ['top_ids', 'top_logprobs', 'entropy', 'score_logprobs', 'set_logprobs', 'logits'] as const

for (const [quant, adapterRank] of [
  ['f32', 4],
  ['f32', 0],
  ['q4', 4],
  ['q4', 0],
] as const) {
  describe(`${quant}, ${adapterRank ? 'adapter' : 'no adapter'}`, () => {
    let root: string
    let manifest: Manifest
    let session: ort.InferenceSession
    beforeAll(async () => {
      root = await mkdtemp(join(tmpdir(), 'lacuna-graph-'))
      const bundle = await openBundle((await randomBundle(root, { adapterRank }, 7))[quant])
      manifest = bundle.manifest
      session = await ort.InferenceSession.create(bundle.graphPath, {
        intraOpNumThreads: 1,
        executionMode: 'sequential',
        logSeverityLevel: 3,
      })
    })
    afterAll(async () => {
      await session?.release()
      await rm(root, { recursive: true, force: true })
    })

    test('has the outputs of the contract', () => {
      const present = range(0, manifest.layers).flatMap((layer) => [`present.${layer}.key`, `present.${layer}.value`])
      expect(session.outputNames.toSorted()).toEqual([...outputNames, ...present].toSorted())
    })

    test('gives a fetched subset under the right names, in any order', async () => {
      const inputs = feeds(manifest, sequences.slice(0, 1), 8)
      const all = await session.run(inputs)
      const subsets = [
        ['entropy', 'set_logprobs'],
        ['present.1.value', 'top_ids'],
        ['set_logprobs', 'present.0.key', 'entropy'],
        ['logits'],
        [...session.outputNames].reverse(),
      ]
      for (const names of subsets) {
        const some = await session.run(inputs, names)
        expect(Object.keys(some).toSorted()).toEqual(names.toSorted())
        for (const name of names) {
          expect(some[name]!.dims, name).toEqual(all[name]!.dims)
          expect(some[name]!.data, name).toEqual(all[name]!.data)
        }
      }
    })

    test('agrees with its own logits', async () => {
      const [one] = sequences as [Sequence, Sequence]
      const out = await session.run(feeds(manifest, [one], 8))
      const columns = manifest.vocab
      expect(out.logits!.dims).toEqual([1, 3, columns])
      for (const row of one.askedRows.keys()) {
        const logits = Array.from(floats(out.logits!).subarray(row * columns, (row + 1) * columns))
        const most = Math.max(...logits)
        const sum = logits.reduce((total, logit) => total + Math.exp(logit - most), 0)
        const logProbs = logits.map((logit) => logit - most - Math.log(sum))
        const best = range(0, columns)
          .sort((a, b) => logProbs[b]! - logProbs[a]!)
          .slice(0, 8)
        expect(Array.from(out.top_ids!.data as BigInt64Array, Number).slice(row * 8, row * 8 + 8)).toEqual(best)
        for (const [k, id] of best.entries())
          expect(floats(out.top_logprobs!)[row * 8 + k]).toBeCloseTo(logProbs[id]!, 4)
        const entropy = logProbs.reduce((total, logProb) => total - Math.exp(logProb) * logProb, 0)
        expect(floats(out.entropy!)[row]).toBeCloseTo(entropy, 4)
        expect(floats(out.score_logprobs!)[row]).toBeCloseTo(logProbs[scoreId(row)]!, 4)
        const set = Math.log(setIds.reduce((total, id) => total + Math.exp(logProbs[id]!), 0))
        expect(floats(out.set_logprobs!)[row]).toBeCloseTo(set, 4)
      }
    })

    test('takes a batch of two as two batches of one, padding masked', async () => {
      const together = await session.run(feeds(manifest, sequences, 8))
      const all = [...outputNames.filter((name) => name !== 'top_ids'), 'present.1.key', 'present.1.value']
      let largest = 0
      for (const [b, sequence] of sequences.entries()) {
        // Alone it has no padding: as many past rows and new rows as it needs.
        const alone = await session.run(feeds(manifest, [sequence], sequence.past))
        for (const name of all) {
          const [whole, own] = [together[name]!, alone[name]!]
          const [mine, size] = [floats(own), whole.data.length / 2]
          const half = floats(whole).subarray(b * size, (b + 1) * size)
          // Keys and values are [heads, Q, headDim] with one head here, so rows that are padding come last.
          for (const [i, value] of mine.entries()) largest = Math.max(largest, Math.abs(half[i]! - value))
        }
      }
      process.stderr.write(
        `${quant}, rank ${adapterRank}: batch of two, largest difference ${largest.toExponential(1)}\n`,
      )
      expect(largest).toBeLessThan(quant === 'f32' ? 1e-4 : 0.5)
    })
  })
}

const setIds = [4, 9, 30]
const scoreId = (row: number): number => 40 + row

/** Feeds of a batch, past and rows padded to the longest; the past lies at the end of its `pastCount` columns. */
function feeds(manifest: Manifest, batch: readonly Sequence[], pastCount: number): Record<string, ort.Tensor> {
  const { layers, kvHeads, headDim, adapter } = manifest
  const count = batch.length
  const rowCount = Math.max(...batch.map(({ ids }) => ids.length))
  const width = pastCount + rowCount
  const padded = (values: readonly number[], length: number) => [...values, ...Array(length - values.length).fill(0)]
  const int64 = (values: readonly number[], dims: number[]) =>
    new ort.Tensor('int64', BigInt64Array.from(values, BigInt), dims)
  const bias = new Float32Array(count * rowCount * width).fill(-1e9)
  const denoising = new Float32Array(count * rowCount)
  for (const [b, { ids, past }] of batch.entries()) {
    for (let row = 0; row < rowCount; row++) {
      const at = (b * rowCount + row) * width
      if (row < ids.length) {
        bias.fill(0, at + pastCount - past, at + pastCount + ids.length)
        denoising[b * rowCount + row] = 1
      }
    }
  }
  const result: Record<string, ort.Tensor> = {
    input_ids: int64(
      batch.flatMap(({ ids }) => padded(ids, rowCount)),
      [count, rowCount],
    ),
    position_ids: int64(
      batch.flatMap(({ positions }) => padded(positions, rowCount)),
      [count, rowCount],
    ),
    past_position_ids: int64(
      batch.flatMap(({ past }) => [...Array(pastCount - past).fill(0), ...range(0, past)]),
      [count, pastCount],
    ),
    attention_bias: new ort.Tensor('float32', bias, [count, 1, rowCount, width]),
    rows: int64(
      batch.flatMap(({ askedRows }) => askedRows),
      [count, 3],
    ),
    score_ids: int64(
      batch.flatMap(({ askedRows }) => askedRows.map((_, i) => scoreId(i))),
      [count, 3],
    ),
    set_ids: int64(setIds, [setIds.length]),
  }
  if (adapter) result.denoising = new ort.Tensor('float32', denoising, [count, rowCount])
  for (let layer = 0; layer < layers; layer++) {
    for (const [part, name] of ['key', 'value'].entries()) {
      const data = new Float32Array(count * kvHeads * pastCount * headDim)
      for (const [b, { past, seed }] of batch.entries()) {
        for (let head = 0; head < kvHeads; head++) {
          const numbers = someIds(seed + 10 * layer + 100 * part + head, past * headDim, 200)
          const end = ((b * kvHeads + head) * pastCount + pastCount) * headDim
          data.set(
            numbers.map((number) => number / 100 - 1),
            end - past * headDim,
          )
        }
      }
      result[`past.${layer}.${name}`] = new ort.Tensor('float32', data, [count, kvHeads, pastCount, headDim])
    }
  }
  return result
}

function floats(tensor: ort.Tensor): Float32Array {
  return tensor.data as Float32Array
}
