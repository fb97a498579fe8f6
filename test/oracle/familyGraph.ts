/** Passes of a raw graph over the sequences of a case: a batch, who sees whom, keys and values of an earlier pass. */
import * as ort from 'onnxruntime-node'
import type { Manifest } from '../../server/model/manifest.ts'
import { type Families, type FamilyModel, type FamilySequence, rowsOf, sees } from './familyModels.ts'

export interface FamilyPass {
  /** `[B, R, vocab]`, of the asked rows of each sequence in their order. */
  readonly logits: Float32Array
  readonly outputs: ort.InferenceSession.ReturnType
}

/** Rows of one sequence by their places, padding counted: what a pass computes, and what it finds in the cache. */
interface Split {
  readonly query: readonly number[]
  readonly past: readonly number[]
}

const masked = -1e9

/** All rows of a batch in one pass, nothing cached. Sequences are as long as each other, padding counted. */
export async function wholePass(
  session: ort.InferenceSession,
  manifest: Manifest,
  model: FamilyModel,
  families: Families,
  sequences: readonly FamilySequence[],
): Promise<FamilyPass> {
  const all = range(0, sequences[0]!.pad + rowsOf(families, sequences[0]!).count)
  return pass(session, manifest, model, families, sequences, { query: all, past: [] })
}

/** The rows of a window alone; keys and values of all others are taken from `whole`. */
export async function windowPass(
  session: ort.InferenceSession,
  manifest: Manifest,
  model: FamilyModel,
  families: Families,
  sequence: FamilySequence,
  [from, to]: readonly [number, number],
  whole: FamilyPass,
): Promise<FamilyPass> {
  const all = range(0, rowsOf(families, sequence).count)
  const split = { query: all.slice(from, to), past: [...all.slice(0, from), ...all.slice(to)] }
  return pass(session, manifest, model, families, [sequence], split, whole)
}

async function pass(
  session: ort.InferenceSession,
  { layers, kvHeads, headDim, vocab }: Manifest,
  model: FamilyModel,
  families: Families,
  batch: readonly FamilySequence[],
  { query, past }: Split,
  whole?: FamilyPass,
): Promise<FamilyPass> {
  const [count, queryCount, pastCount] = [batch.length, query.length, past.length]
  const keyRows = [...past, ...query]
  const bias = new Float32Array(count * queryCount * keyRows.length)
  const int64 = (values: readonly number[], dims: number[]) =>
    new ort.Tensor('int64', BigInt64Array.from(values, BigInt), dims)
  const placed = (sequence: FamilySequence, rows: readonly number[]) =>
    rows.map((row) => (row < sequence.pad ? 0 : sequence.firstPosition + row - sequence.pad))
  let at = 0
  for (const sequence of batch) {
    for (const row of query) {
      for (const column of keyRows) {
        const [own, other] = [row - sequence.pad, column - sequence.pad]
        // What a row of padding sees does not matter, as long as it is something finite.
        bias[at++] = other >= 0 && (own < 0 || sees(model, sequence, own, other)) ? 0 : masked
      }
    }
  }
  const asked = batch.map(({ rows, pad }) => rows.map(({ row }) => query.indexOf(pad + row)))
  const askedCount = asked[0]!.length
  const idsOf = (sequence: FamilySequence): number[] => {
    const { ids } = rowsOf(families, sequence)
    return query.map((row) => (row < sequence.pad ? 0 : ids[row - sequence.pad]!))
  }
  const feeds: Record<string, ort.Tensor> = {
    input_ids: int64(batch.flatMap(idsOf), [count, queryCount]),
    position_ids: int64(
      batch.flatMap((sequence) => placed(sequence, query)),
      [count, queryCount],
    ),
    past_position_ids: int64(
      batch.flatMap((sequence) => placed(sequence, past)),
      [count, pastCount],
    ),
    attention_bias: new ort.Tensor('float32', bias, [count, 1, queryCount, keyRows.length]),
    rows: int64(asked.flat(), [count, askedCount]),
    score_ids: int64(Array(count * askedCount).fill(0), [count, askedCount]),
    set_ids: int64([0], [1]),
  }
  for (let layer = 0; layer < layers; layer++) {
    for (const part of ['key', 'value']) {
      const data = new Float32Array(count * kvHeads * pastCount * headDim)
      const kept = whole?.outputs[`present.${layer}.${part}`]
      const keptRows = kept?.dims[2] ?? 0
      for (let head = 0; kept && head < count * kvHeads; head++) {
        for (const [i, row] of past.entries()) {
          const start = (head * keptRows + row) * headDim
          data.set((kept.data as Float32Array).subarray(start, start + headDim), (head * pastCount + i) * headDim)
        }
      }
      feeds[`past.${layer}.${part}`] = new ort.Tensor('float32', data, [count, kvHeads, pastCount, headDim])
    }
  }
  const outputs = await session.run(feeds)
  const logits = outputs.logits!
  if (logits.dims.join() !== [count, askedCount, vocab].join()) throw new Error(`logits are [${logits.dims}]`)
  return { logits: logits.data as Float32Array, outputs }
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i)
}
