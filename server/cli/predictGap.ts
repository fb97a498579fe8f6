/** One pass over a gap, outside any session: what the model says of its slots, both sides in sight as it wants them. */
import type { Engine, Prediction, StepJob, TokenIds } from '../engine/engine.ts'
import type { Manifest } from '../model/manifest.ts'

export interface Gap {
  readonly prefixIds: TokenIds // at least one
  readonly slotCount: number // all masked, all asked
  readonly suffixIds: TokenIds
}

/** @throws {EngineError} when the pass fails. */
export async function predictGap(
  engine: Engine,
  { attention, maskId, drafting }: Pick<Manifest, 'attention' | 'maskId' | 'drafting'>,
  { prefixIds, slotCount, suffixIds }: Gap,
  signal: AbortSignal,
): Promise<Prediction> {
  const first = prefixIds.length
  const slots = Array<number>(slotCount).fill(maskId)
  const asked = slots.map((_, i) => first + i)
  switch (attention) {
    case 'bidirectional': {
      const ids = [...prefixIds, ...slots, ...suffixIds]
      const job: StepJob = { ids, positions: ids.map((_, i) => i), context: [], asked, setIds: [] }
      return (await engine.step([job], signal))[0]!
    }
    case 'causal-context': {
      const encodings = await engine.encode([{ ids: suffixIds }, { ids: prefixIds.slice(0, -1) }], signal)
      const [suffix, prefix] = encodings
      const job: StepJob = {
        ids: [prefixIds.at(-1)!, ...slots],
        positions: Array.from({ length: slotCount + 1 }, (_, i) => first - 1 + i),
        context: [
          { id: suffix!.id, rows: suffix!.rows, firstPosition: first + (drafting?.distance ?? slotCount) },
          { id: prefix!.id, rows: prefix!.rows, firstPosition: 0 },
        ],
        asked,
        setIds: [],
      }
      const [prediction] = await engine.step([job], signal)
      engine.release(encodings.map(({ id }) => id))
      return prediction!
    }
  }
}
