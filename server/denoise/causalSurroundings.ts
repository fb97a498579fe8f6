/**
 * Surroundings of `causal-context` models: each text is an encoding, causal by itself, and exact for as long as it stays.
 * A pass computes the slots and, before those of each hole, the last token of the text left of it.
 *
 * Where the base reads along, rows of another kind ride in the same pass: the tokens committed since the last one, seen
 * causally behind the texts left of them, each of which tells what the base would write next.
 */
import type { ContextPiece, Encoding, EncodingId, Engine, Prediction, StepJob, TokenIds } from '../engine/engine.ts'
import type { Asked } from './filling.ts'
import { type KeptRows, ReadRows } from './readRows.ts'
import type { Surroundings } from './surroundings.ts'

export interface CausalContext {
  readonly kind: 'causal'
  /** Of each text, of all but the last without its last token; `undefined` where nothing is left to encode. */
  readonly encodings: readonly (EncodingId | undefined)[]
}

export class CausalSurroundings implements Surroundings {
  private readonly engine: Engine
  private readonly texts: TokenIds[]
  private readonly pieces: KeptRows[][] // of each text
  private readonly read: readonly ReadRows[] // of each hole: the last token left of it, and its middle
  private readonly own = new Set<EncodingId>() // released at the end, or before

  constructor(engine: Engine, texts: readonly TokenIds[], { encodings }: CausalContext) {
    this.engine = engine
    this.texts = [...texts]
    const rows = texts.map(({ length }, i) => (i < texts.length - 1 ? length - 1 : length))
    this.pieces = encodings.map((id, i) => (id === undefined ? [] : [{ id, rows: rows[i]! }]))
    this.read = texts.slice(1).map(() => new ReadRows())
  }

  stepJob(holes: readonly Asked[], setIds: TokenIds): StepJob {
    const ids: number[] = []
    const positions: number[] = []
    const asked: number[] = []
    const starts = this.starts(holes)
    // From the right: the prefix grows while the user types, and what lies before it in a buffer need not move.
    const context = this.pieces.flatMap((pieces, i) => placed(pieces, starts[i]!)).reverse()
    for (const [i, { canvas, slots }] of holes.entries()) {
      const position = starts[i]! + this.texts[i]!.length - 1
      const row = [this.texts[i]!.at(-1)!, ...canvas.slots]
      ids.push(...row)
      positions.push(...row.map((_, j) => position + j))
      asked.push(...slots.map((slot) => position + 1 + slot))
    }
    return { ids, positions, context, asked, setIds }
  }

  probeJob(holes: readonly Asked[], setIds: TokenIds): StepJob {
    return this.stepJob(holes, setIds)
  }

  readJob(hole: number, holes: readonly Asked[], setIds: TokenIds): StepJob | undefined {
    const job = this.textJob(hole, holes[hole]!.canvas.leadingRun(), this.starts(holes)[hole]!)
    return job && { ...job, asked: job.positions.map((position) => position + 1), setIds }
  }

  took(): void {}

  tookRead(hole: number, { ids }: StepJob, { kept }: Prediction): void {
    this.own.add(kept[0]!.id)
    this.read[hole]!.took(ids, kept[0]!)
  }

  /** Reads it as rows of text; what the base read along the way is not read again. */
  async fold(hole: number, middle: TokenIds, signal: AbortSignal): Promise<void> {
    const [text, pieces, read] = [this.texts[hole]!, this.pieces[hole]!, this.read[hole]!]
    if (read.pieces.length === 0 && pieces.length <= 1) {
      const ids = [text.at(-1)!, ...middle.slice(0, -1)]
      const piece = pieces[0] ? { ids, after: pieces[0].id, rows: text.length - 1 } : { ids }
      const [{ id, rows }] = (await this.engine.encode([piece], signal)) as [Encoding]
      this.own.add(id)
      this.pieces[hole] = [{ id, rows }]
    } else {
      const job = this.textJob(hole, middle.slice(0, -1), 0)
      if (job) this.tookRead(hole, job, (await this.engine.step([job], signal))[0]!)
      pieces.push(...read.empty())
    }
    this.texts[hole] = [...text, ...middle]
  }

  end(): void {
    this.engine.release([...this.own])
  }

  /** Reads what is unread of the last token left of the hole and of `middle` after it, causally, as the texts are. */
  private textJob(hole: number, middle: TokenIds, start: number): StepJob | undefined {
    const [text, read] = [this.texts[hole]!, this.read[hole]!]
    const { unread, forgotten } = read.goOnWith([text.at(-1)!, ...middle])
    this.engine.release(forgotten)
    for (const id of forgotten) this.own.delete(id)
    if (unread.length === 0) return undefined
    const first = start + text.length + middle.length - unread.length
    return {
      kind: 'text',
      ids: unread,
      positions: unread.map((_, i) => first + i),
      context: placed([...this.pieces[hole]!, ...read.pieces], start),
      asked: [],
      setIds: [],
      keep: [{ first: 0, count: unread.length }],
    }
  }

  /** The position of each text's first token. */
  private starts(holes: readonly Asked[]): number[] {
    let position = 0
    return this.texts.map((text, i) => {
      const start = position
      position += text.length + (holes[i]?.canvas.slots.length ?? 0)
      return start
    })
  }
}

function placed(pieces: readonly KeptRows[], start: number): ContextPiece[] {
  let firstPosition = start
  return pieces.map(({ id, rows }) => {
    const piece = { id, rows, firstPosition }
    firstPosition += rows
    return piece
  })
}
