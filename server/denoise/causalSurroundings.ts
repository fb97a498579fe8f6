/**
 * Surroundings of `causal-context` models: prefix and suffix are encodings, causal each by itself, and exact for as long
 * as the text stays. A pass computes the last prefix token and the slots.
 */
import type { EncodingId, Engine, StepJob, TokenIds } from '../engine/engine.ts'
import type { Asked } from './filling.ts'
import type { Surroundings } from './surroundings.ts'

export interface CausalContext {
  readonly kind: 'causal'
  /** Of `prefixIds` without the last; `undefined` when there is only one. */
  readonly prefix: EncodingId | undefined
  /** Of the suffix; `undefined` when it is empty. */
  readonly suffix: EncodingId | undefined
}

export class CausalSurroundings implements Surroundings {
  private readonly engine: Engine
  private readonly suffix: EncodingId | undefined
  private readonly suffixRows: number
  private prefix: EncodingId | undefined
  private prefixIds: TokenIds
  private readonly folded: EncodingId[] = []

  constructor(engine: Engine, prefixIds: TokenIds, suffixIds: TokenIds, context: CausalContext) {
    this.engine = engine
    this.prefixIds = prefixIds
    this.suffixRows = suffixIds.length
    this.prefix = context.prefix
    this.suffix = context.suffix
  }

  stepJob({ canvas, slots }: Asked, setIds: TokenIds): StepJob {
    const { prefix, suffix } = this
    const firstSlot = this.prefixIds.length
    const context = []
    // Suffix first: the prefix grows while the user types, and what lies before it in a buffer need not move.
    if (suffix !== undefined)
      context.push({ id: suffix, rows: this.suffixRows, firstPosition: firstSlot + canvas.slots.length })
    if (prefix !== undefined) context.push({ id: prefix, rows: firstSlot - 1, firstPosition: 0 })
    const ids = [this.prefixIds.at(-1)!, ...canvas.slots]
    return {
      ids,
      positions: ids.map((_, i) => firstSlot - 1 + i),
      context,
      asked: slots.map((slot) => firstSlot + slot),
      setIds,
    }
  }

  probeJob(asked: Asked, setIds: TokenIds): StepJob {
    return this.stepJob(asked, setIds)
  }

  took(): void {}

  /** Reads it causally, unadapted. */
  async fold(middle: TokenIds, signal: AbortSignal): Promise<void> {
    const after = this.prefix
    const ids = [this.prefixIds.at(-1)!, ...middle.slice(0, -1)]
    const [encoding] = await this.engine.encode(
      [after === undefined ? { ids } : { ids, after, rows: this.prefixIds.length - 1 }],
      signal,
    )
    this.folded.push(encoding!.id)
    this.prefix = encoding!.id
    this.prefixIds = [...this.prefixIds, ...middle]
  }

  end(): void {
    this.engine.release(this.folded)
  }
}
