/**
 * Surroundings of bidirectional models: every row sees every other one, so each pass computes prefix, slots and suffix
 * anew. That is the reference.
 *
 * As an option, keys and values of the rows around the slots are kept from one pass to the next ones, though each commit
 * would change them: an approximation, made good by a whole pass every `refreshEvery` steps. The last prefix token is
 * always computed: with shifted logits its row scores slot 0. So are the rows next to the slots, which change most: with
 * 16 of them on either side 99.4 % of texts came out the same, without 88.0 % (`training/bidirectional`, k = 4).
 *
 * A model with shifted logits has no row for position 0, hence at least one prefix token.
 *
 * Source: Fast-dLLM (arXiv 2505.22618), prefix cache and dual cache.
 */
import type { ContextPiece, Encoding, Engine, Prediction, RowSpan, StepJob, TokenIds } from '../engine/engine.ts'
import type { Asked } from './filling.ts'
import type { Surroundings } from './surroundings.ts'

/** What is kept between steps: nothing, the prefix without its last token, or the suffix too. */
export type Keep = 'nothing' | 'prefix' | 'both'

export interface WholeContext {
  readonly kind: 'whole'
  readonly keep: Keep
  /** A whole pass, then `refreshEvery − 1` steps over what it kept; 1 is as good as keeping nothing. */
  readonly refreshEvery: number
  /** Rows next to the slots, on either side, that are computed in every step all the same. */
  readonly freshRows: number
}

export class WholeSurroundings implements Surroundings {
  private readonly engine: Engine
  private readonly context: WholeContext
  private readonly suffixIds: TokenIds
  private prefixIds: TokenIds
  private prefix: Encoding | undefined
  private suffix: Encoding | undefined
  private age = 0 // steps since the kept rows were computed, that one included

  constructor(engine: Engine, prefixIds: TokenIds, suffixIds: TokenIds, context: WholeContext) {
    if (!(context.refreshEvery >= 1)) throw new RangeError('rows can be refreshed every step at most')
    this.engine = engine
    this.prefixIds = prefixIds
    this.suffixIds = suffixIds
    this.context = context
  }

  stepJob(asked: Asked, setIds: TokenIds): StepJob {
    if (this.age >= this.context.refreshEvery) this.forget()
    const job = this.job(asked, setIds, this.prefix, this.suffix)
    if (this.prefix || this.suffix) {
      this.age++
      return job
    }
    this.age = 1
    const keep = this.spansToKeep(asked.canvas.slots.length)
    return keep.length > 0 ? { ...job, keep } : job
  }

  probeJob(asked: Asked, setIds: TokenIds): StepJob {
    return this.job(asked, setIds, undefined, undefined)
  }

  took({ kept }: Prediction): void {
    if (kept.length === 0) return
    const encodings = [...kept]
    if (this.keepsPrefix()) this.prefix = encodings.shift()
    if (this.keepsSuffix()) this.suffix = encodings.shift()
  }

  async fold(middle: TokenIds): Promise<void> {
    this.forget()
    this.prefixIds = [...this.prefixIds, ...middle]
  }

  end(): void {
    this.forget()
  }

  /** What is not kept is among the rows: always the last prefix token and the slots. */
  private job(
    { canvas, slots }: Asked,
    setIds: TokenIds,
    prefix: Encoding | undefined,
    suffix: Encoding | undefined,
  ): StepJob {
    const firstSlot = this.prefixIds.length
    const firstRow = prefix?.rows ?? 0
    const freshSuffix = this.suffixIds.length - (suffix?.rows ?? 0)
    const ids = [...this.prefixIds.slice(firstRow), ...canvas.slots, ...this.suffixIds.slice(0, freshSuffix)]
    const context: ContextPiece[] = []
    const afterFresh = firstSlot + canvas.slots.length + freshSuffix
    if (suffix) context.push({ id: suffix.id, rows: suffix.rows, firstPosition: afterFresh })
    if (prefix) context.push({ id: prefix.id, rows: prefix.rows, firstPosition: 0 })
    return {
      ids,
      positions: ids.map((_, i) => firstRow + i),
      context,
      asked: slots.map((slot) => firstSlot + slot),
      setIds,
    }
  }

  /** Of a whole pass. */
  private spansToKeep(slotCount: number): RowSpan[] {
    const spans: RowSpan[] = []
    const { freshRows } = this.context
    const suffixStart = this.prefixIds.length + slotCount + freshRows
    if (this.keepsPrefix()) spans.push({ first: 0, count: this.prefixIds.length - 1 - freshRows })
    if (this.keepsSuffix()) spans.push({ first: suffixStart, count: this.suffixIds.length - freshRows })
    return spans
  }

  private keepsPrefix(): boolean {
    const { keep, refreshEvery, freshRows } = this.context
    return keep !== 'nothing' && refreshEvery > 1 && this.prefixIds.length > 1 + freshRows
  }

  private keepsSuffix(): boolean {
    const { keep, refreshEvery, freshRows } = this.context
    return keep === 'both' && refreshEvery > 1 && this.suffixIds.length > freshRows
  }

  private forget(): void {
    this.engine.release([this.prefix, this.suffix].flatMap((encoding) => (encoding ? [encoding.id] : [])))
    this.prefix = undefined
    this.suffix = undefined
  }
}
