/**
 * Surroundings of `causal-context` models: each text is an encoding, causal by itself, and exact for as long as it stays.
 * A pass computes the slots and, before those of each hole, the last token of the text left of it.
 */
import type { ContextPiece, EncodingId, Engine, StepJob, TokenIds } from '../engine/engine.ts'
import type { Asked } from './filling.ts'
import type { Surroundings } from './surroundings.ts'

export interface CausalContext {
  readonly kind: 'causal'
  /** Of each text, of all but the last without its last token; `undefined` where nothing is left to encode. */
  readonly encodings: readonly (EncodingId | undefined)[]
}

export class CausalSurroundings implements Surroundings {
  private readonly engine: Engine
  private readonly texts: TokenIds[]
  private readonly encodings: (EncodingId | undefined)[]
  private readonly folded: EncodingId[] = []

  constructor(engine: Engine, texts: readonly TokenIds[], { encodings }: CausalContext) {
    this.engine = engine
    this.texts = [...texts]
    this.encodings = [...encodings]
  }

  stepJob(holes: readonly Asked[], setIds: TokenIds): StepJob {
    const ids: number[] = []
    const positions: number[] = []
    const asked: number[] = []
    const context: ContextPiece[] = []
    let position = 0
    for (const [i, text] of this.texts.entries()) {
      const hole = holes[i]
      const rows = hole ? text.length - 1 : text.length
      const id = this.encodings[i]
      if (id !== undefined) context.push({ id, rows, firstPosition: position })
      position += rows
      if (!hole) break
      const row = [text.at(-1)!, ...hole.canvas.slots]
      ids.push(...row)
      positions.push(...row.map((_, j) => position + j))
      asked.push(...hole.slots.map((slot) => position + 1 + slot))
      position += row.length
    }
    // From the right: the prefix grows while the user types, and what lies before it in a buffer need not move.
    return { ids, positions, context: context.reverse(), asked, setIds }
  }

  probeJob(holes: readonly Asked[], setIds: TokenIds): StepJob {
    return this.stepJob(holes, setIds)
  }

  took(): void {}

  /** Reads it causally, unadapted. */
  async fold(hole: number, middle: TokenIds, signal: AbortSignal): Promise<void> {
    const text = this.texts[hole]!
    const after = this.encodings[hole]
    const ids = [text.at(-1)!, ...middle.slice(0, -1)]
    const piece = after === undefined ? { ids } : { ids, after, rows: text.length - 1 }
    const [encoding] = await this.engine.encode([piece], signal)
    this.folded.push(encoding!.id)
    this.encodings[hole] = encoding!.id
    this.texts[hole] = [...text, ...middle]
  }

  end(): void {
    this.engine.release(this.folded)
  }
}
