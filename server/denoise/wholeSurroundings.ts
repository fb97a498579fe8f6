/**
 * Surroundings of bidirectional models: every row sees every other one, so each pass computes texts and slots anew. That
 * is the reference.
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
  private readonly texts: TokenIds[]
  private prefix: Encoding | undefined
  private suffix: Encoding | undefined
  private age = 0 // steps since the kept rows were computed, that one included

  constructor(engine: Engine, texts: readonly TokenIds[], context: WholeContext) {
    if (!(context.refreshEvery >= 1)) throw new RangeError('rows can be refreshed every step at most')
    this.engine = engine
    this.texts = [...texts]
    this.context = context
  }

  stepJob(holes: readonly Asked[], setIds: TokenIds): StepJob {
    if (this.age >= this.context.refreshEvery) this.forget()
    const job = this.job(holes, setIds, this.prefix, this.suffix)
    if (this.prefix || this.suffix) {
      this.age++
      return job
    }
    this.age = 1
    const keep = this.spansToKeep(job.ids.length)
    return keep.length > 0 ? { ...job, keep } : job
  }

  probeJob(holes: readonly Asked[], setIds: TokenIds): StepJob {
    return this.job(holes, setIds, undefined, undefined)
  }

  took({ kept }: Prediction): void {
    if (kept.length === 0) return
    const encodings = [...kept]
    if (this.keepsPrefix()) this.prefix = encodings.shift()
    if (this.keepsSuffix()) this.suffix = encodings.shift()
  }

  readJob(): never {
    throw new RangeError('rows that all see each other cannot be read left to right')
  }

  tookRead(): void {}

  async fold(hole: number, middle: TokenIds): Promise<void> {
    this.forget()
    this.texts[hole] = [...this.texts[hole]!, ...middle]
  }

  end(): void {
    this.forget()
  }

  /** What is not kept is among the rows: always the last prefix token, the slots, and what stands between holes. */
  private job(
    holes: readonly Asked[],
    setIds: TokenIds,
    prefix: Encoding | undefined,
    suffix: Encoding | undefined,
  ): StepJob {
    const whole: number[] = []
    const asked: number[] = []
    for (const [i, text] of this.texts.entries()) {
      whole.push(...text)
      const hole = holes[i]
      if (!hole) break
      asked.push(...hole.slots.map((slot) => whole.length + slot))
      whole.push(...hole.canvas.slots)
    }
    const firstRow = prefix?.rows ?? 0
    const afterFresh = whole.length - (suffix?.rows ?? 0)
    const context: ContextPiece[] = []
    if (suffix) context.push({ id: suffix.id, rows: suffix.rows, firstPosition: afterFresh })
    if (prefix) context.push({ id: prefix.id, rows: prefix.rows, firstPosition: 0 })
    const ids = whole.slice(firstRow, afterFresh)
    return { ids, positions: ids.map((_, i) => firstRow + i), context, asked, setIds }
  }

  /** Of a whole pass. */
  private spansToKeep(rowCount: number): RowSpan[] {
    const spans: RowSpan[] = []
    const suffixRows = this.keptSuffixRows()
    if (this.keepsPrefix()) spans.push({ first: 0, count: this.keptPrefixRows() })
    if (this.keepsSuffix()) spans.push({ first: rowCount - suffixRows, count: suffixRows })
    return spans
  }

  private keptPrefixRows(): number {
    return this.texts[0]!.length - 1 - this.context.freshRows
  }

  private keptSuffixRows(): number {
    return this.texts.at(-1)!.length - this.context.freshRows
  }

  private keepsPrefix(): boolean {
    const { keep, refreshEvery } = this.context
    return keep !== 'nothing' && refreshEvery > 1 && this.keptPrefixRows() > 0
  }

  private keepsSuffix(): boolean {
    const { keep, refreshEvery } = this.context
    return keep === 'both' && refreshEvery > 1 && this.keptSuffixRows() > 0
  }

  private forget(): void {
    this.engine.release([this.prefix, this.suffix].flatMap((encoding) => (encoding ? [encoding.id] : [])))
    this.prefix = undefined
    this.suffix = undefined
  }
}
