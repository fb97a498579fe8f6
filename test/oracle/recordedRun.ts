/** Runs of the real denoiser over rows of known ids and masks, in the form in which runs of references are recorded. */
import { noClamp } from '../../server/denoise/commitRules.ts'
import { type DenoiseRequest, Denoiser } from '../../server/denoise/denoiser.ts'
import type { Schedule } from '../../server/denoise/schedule.ts'
import type { TokenIds } from '../../server/engine/engine.ts'
import { type CounterEngine, maskId } from './counterLogits.ts'

/** Fills all rows in one batch. @returns rows as they are in the end. */
export async function fillRows(
  rows: readonly TokenIds[],
  schedule: Schedule,
  engine: CounterEngine,
): Promise<TokenIds[]> {
  const denoiser = new Denoiser(engine)
  const { signal } = new AbortController()
  const requests = rows.map((row) => requestOf(row, schedule))
  const filled = await Promise.all(requests.map((request) => denoiser.denoise(request, signal)))
  return filled.map(({ middles }, i) => {
    const [before, after] = requests[i]!.texts
    return [...before!, ...middles[0]!.ids, ...after!]
  })
}

/** From the first mask to the last is the hole: what is known between them is forgotten. */
function requestOf(row: TokenIds, schedule: Schedule): DenoiseRequest {
  const from = row.indexOf(maskId)
  const to = row.lastIndexOf(maskId) + 1
  const length = { kind: 'end-token', slots: to - from } as const
  return {
    texts: [row.slice(0, from), row.slice(to)],
    holes: [{ length, maxTokens: to - from, floor: 0, clamp: noClamp }],
    context: { kind: 'whole', keep: 'nothing', refreshEvery: 1, freshRows: 0 },
    ...{ schedule, maskId, endIds: new Set<number>(), forbiddenIds: new Set<number>(), urgent: true },
  }
}

/**
 * The row before each step that commits, and after the last.
 *
 * @param commits slot, id, slot, id, … of each step.
 */
export function rowsByStep(
  around: { readonly prefix: TokenIds; readonly suffix?: TokenIds },
  slots: number,
  commits: readonly (readonly number[])[],
): TokenIds[] {
  const { prefix, suffix = [] } = around
  const row = [...prefix, ...Array<number>(slots).fill(maskId), ...suffix]
  const rows = [[...row]]
  for (const picks of commits) {
    for (let i = 0; i < picks.length; i += 2) row[prefix.length + picks[i]!] = picks[i + 1]!
    rows.push([...row])
  }
  return rows
}
