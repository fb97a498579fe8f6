/** The server's side of the infill contract, one gap a request: tensors → what a loop is asked, and back. */
import type { GapJob, WrittenGap } from '../../server/engine/gapLoop.ts'
import { infillInputs, infillOutputs } from '../../server/engine/openInference/infillTensors.ts'
import { checked, type Slot, top } from '../../server/engine/openInference/stepTensors.ts'
import type { Tensors } from '../../server/engine/openInference/tensors.ts'

export const asksToInfill = (tensors: Tensors) => 'infill_ids' in tensors

/** @throws {RangeError} when there is no one span of masks. */
export function readGap(tensors: Tensors, maskId: number): GapJob {
  const read = (name: keyof typeof infillInputs) => [...(checked(tensors, name, infillInputs[name]) as number[])]
  const ids = read('infill_ids')
  const [first, last] = [ids.indexOf(maskId), ids.lastIndexOf(maskId)]
  const most = last - first + 1
  if (first < 1 || ids.slice(first, last + 1).some((id) => id !== maskId))
    throw new RangeError(`infill_ids: wanted one span of the mask id ${maskId}, found ${first < 0 ? 0 : most}`)
  const shares = read('infill_hint_shares')
  const hints = read('infill_hint_ids').map((id, i) => ({ id: id < 0 ? ('end' as const) : id, weight: shares[i]! }))
  const [now, later] = read('infill_slots') as [number, number]
  return {
    ...{ prefixIds: ids.slice(0, first), suffixIds: ids.slice(last + 1), known: read('infill_known')[0]!, most },
    ...{ slots: { now, later }, endIds: read('infill_end_ids') },
    ...{ threshold: read('infill_threshold')[0]!, floor: read('infill_floor')[0]!, hints },
  }
}

export function writtenTensors({ ids, rows, passes }: WrittenGap): Tensors {
  const values = {
    ...{ infill_written: [ids.length], infill_tokens: ids, infill_finish: [rows.topIds.length > ids.length ? 0 : 1] },
    ...{ infill_steps: [passes], infill_top_ids: rows.topIds.flat(), infill_top_logprobs: rows.topLogProbs.flat() },
    ...{ infill_end_logprobs: rows.setLogProbs, infill_partials: Array.from({ length: passes }, (_, i) => i + 1) },
  }
  return Object.fromEntries(
    Object.entries<Slot>(infillOutputs).map(([name, { datatype, shape }]) => {
      const data = values[name as keyof typeof infillOutputs]
      return [name, { datatype, shape: shape.length > 1 ? [data.length / top, top] : [data.length], data }]
    }),
  )
}
