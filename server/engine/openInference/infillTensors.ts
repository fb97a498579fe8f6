/** The infill contract in tensors: one gap a request, `lacuna.infill/1`. Shapes, and what several gaps look like: `serving/README.md`. */
import type { GapJob, GapTexts, WrittenGap } from '../gapLoop.ts'
import { checked, checkIds, rows, slot, top } from './stepTensors.ts'
import { MalformedBody, type Tensors } from './tensors.ts'

/** J gaps, N ids, E ids of ends, H hints. */
export const infillInputs = {
  infill_counts: slot('INT32', -1), // [J]
  infill_ids: slot('INT32', -1), // [N] prefix, as many masks as tokens may be written, suffix
  infill_known: slot('INT32', -1), // [J]
  infill_slots: slot('INT32', -1, 2), // [J, 2] of this canvas, of the next ones; 0 of this one: texts are read, nothing is written
  infill_end_counts: slot('INT32', -1), // [J]
  infill_end_ids: slot('INT32', -1), // [E]
  infill_threshold: slot('FP32', -1), // [J]
  infill_floor: slot('FP32', -1), // [J]
  infill_hint_counts: slot('INT32', -1), // [J]
  infill_hint_ids: slot('INT32', -1), // [H] −1: the end
  infill_hint_shares: slot('FP32', -1), // [H]
  infill_seed: slot('INT64', -1), // [J] nothing is drawn yet
} as const

/** T tokens, R rows: one of each token, and of each end that was said; S passes. */
export const infillOutputs = {
  infill_written: slot('INT32', -1), // [J]
  infill_tokens: slot('INT32', -1), // [T]
  infill_finish: slot('UINT8', -1), // [J] 0 ended, 1 as many tokens as wanted, 2 less probable than wanted
  infill_steps: slot('INT32', -1), // [J]
  infill_top_ids: slot('INT32', -1, top), // [R, 8]
  infill_top_logprobs: slot('FP32', -1, top), // [R, 8]
  infill_end_logprobs: slot('FP32', -1), // [R]
  infill_partials: slot('INT32', -1), // [S]
} as const

export function infillTensors(job: GapJob, maskId: number): Tensors {
  const { prefixIds, suffixIds, most, known, slots, endIds, threshold, floor, hints } = job
  const ids = [...prefixIds, ...Array<number>(most).fill(maskId), ...suffixIds]
  const values: Readonly<Record<keyof typeof infillInputs, readonly number[]>> = {
    ...{ infill_counts: [ids.length], infill_ids: ids, infill_known: [known], infill_slots: [slots.now, slots.later] },
    ...{ infill_end_counts: [endIds.length], infill_end_ids: endIds },
    ...{ infill_threshold: [threshold], infill_floor: [floor], infill_hint_counts: [hints.length], infill_seed: [0] },
    infill_hint_ids: hints.map(({ id }) => (id === 'end' ? -1 : id)),
    infill_hint_shares: hints.map(({ weight }) => weight),
  }
  return Object.fromEntries(
    Object.entries(infillInputs).map(([name, { datatype, shape }]) => {
      const data = values[name as keyof typeof infillInputs]
      return [name, { datatype, shape: shape.length > 1 ? [1, 2] : [data.length], data }]
    }),
  )
}

/** That texts are read, and nothing is written between them. */
export function readingTensors({ startIds, suffixIds }: GapTexts, maskId: number): Tensors {
  // The token that opens the canvas is not read: any will do.
  const prefixIds = [...startIds, startIds.at(-1) ?? 0]
  const nothing = { slots: { now: 0, later: 0 }, endIds: [], threshold: 1, floor: 0, hints: [] }
  return infillTensors({ ...nothing, prefixIds, suffixIds, known: 1, most: 1 }, maskId)
}

/** @throws as `readAnswer`. */
export function readWritten(tensors: Tensors, { most }: GapJob, vocab: number): WrittenGap {
  const read = (name: keyof typeof infillOutputs) => checked(tensors, name, infillOutputs[name]) as readonly number[]
  const [ids, setLogProbs, steps] = [read('infill_tokens'), read('infill_end_logprobs'), read('infill_steps')]
  checkIds('infill_tokens', ids, vocab)
  checkIds('infill_top_ids', read('infill_top_ids'), vocab)
  const [topIds, topLogProbs] = [rows(read('infill_top_ids'), top), rows(read('infill_top_logprobs'), top)]
  const count = ids.length + (read('infill_finish')[0] === 0 ? 1 : 0)
  if (ids.length > most || count === 0)
    throw new MalformedBody(`infill_tokens: wanted 1 to ${most} tokens, or the end, found ${ids.length}`)
  for (const [name, { length }] of Object.entries({ topIds, topLogProbs, setLogProbs }))
    if (length !== count)
      throw new MalformedBody(`${name}: wanted ${count} rows of ${ids.length} tokens, found ${length}`)
  if (setLogProbs.some(Number.isNaN)) throw new MalformedBody('the network answers NaN')
  return { ids: [...ids], rows: { topIds, topLogProbs, setLogProbs: [...setLogProbs] }, passes: steps[0] ?? 0 }
}
