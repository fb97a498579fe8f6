/**
 * An engine without a network: what it predicts is a function of the ids it sees and where they stand. Otherwise it has
 * a real engine's manners: encodings that others continue, checked arguments, a turn of the event loop per call, one
 * call at a time.
 */
import { abortReason, EngineError, throwIfAborted } from '../../server/base/errors.ts'
import type { Encoding, EncodingId, Engine, Piece, Prediction, StepJob, TokenIds } from '../../server/engine/engine.ts'

export interface Guess {
  readonly id: number
  readonly probability: number
}

/** All that may be looked at to predict the token at `position`: ids by position, those of the canvas among them. */
export interface Question {
  readonly position: number
  readonly canvas: ReadonlyMap<number, number>
  readonly context: ReadonlyMap<number, number>
}

/** Best first; what is left of the probability is spread evenly over all other ids. */
export type Script = (question: Question) => readonly Guess[]

export interface ScriptedEngineOptions {
  readonly vocab: number // ids that are predicted: 0 … vocab-1
  readonly inputIds: number // ids that may stand in a canvas: 0 … inputIds-1
  readonly maxPositions: number
  readonly logitsShift: 0 | 1
}

/** Ids are bytes, then an end, a mask and a document-start id. */
export const byteIds = { end: 256, mask: 257, documentStart: 258 } as const
export const byteEngine: ScriptedEngineOptions = { vocab: 257, inputIds: 259, maxPositions: 4096, logitsShift: 1 }

const topCount = 8
const range = (first: number, count: number) => Array.from({ length: count }, (_, i) => first + i)

function checkTree({ ids, sees }: StepJob): void {
  if (!sees) return
  if (sees.length !== ids.length)
    throw new RangeError(`${sees.length} rows are told whom they see, the job has ${ids.length}`)
  for (const [row, spans] of sees.entries()) {
    if (spans.some(({ first, count }) => first + count > ids.length)) throw new RangeError(`row ${row} sees too much`)
    if (!spans.some(({ first, count }) => first <= row && row < first + count))
      throw new RangeError(`row ${row} does not see itself`)
  }
}

export class ScriptedEngine implements Engine {
  script: Script
  /** Every step so far that was computed. */
  readonly steps: (readonly StepJob[])[] = []
  encodedRows = 0
  private readonly options: ScriptedEngineOptions
  private readonly encodings = new Map<EncodingId, TokenIds>()
  private readonly failures: Error[] = []
  private nextId = 1
  private held: Promise<void> | undefined
  private letGo = () => {}
  private closed = false

  constructor(script: Script = mixed(64), options: ScriptedEngineOptions = byteEngine) {
    this.script = script
    this.options = options
  }

  /** Encodings that were not released. */
  get liveCount(): number {
    return this.encodings.size
  }

  /** The next call fails with `error`. */
  failNext(error: Error): void {
    this.failures.push(error)
  }

  /** Calls wait from now on, until `resume`. */
  hold(): void {
    this.held ??= new Promise((resolve) => {
      this.letGo = resolve
    })
  }

  resume(): void {
    this.letGo()
    this.held = undefined
  }

  async encode(pieces: readonly Piece[], signal: AbortSignal): Promise<Encoding[]> {
    await this.turn(signal)
    const sequences = pieces.map(({ ids, after, rows }) => {
      this.check(ids, this.options.inputIds)
      const whole = [...(after === undefined ? [] : this.rowsOf(after, rows)), ...ids]
      if (whole.length > 0) this.checkPosition(whole.length - 1)
      return whole
    })
    return sequences.map((ids, i) => {
      const own = pieces[i]!.ids.length
      this.encodedRows += own
      return this.store(ids, own)
    })
  }

  async step(jobs: readonly StepJob[], signal: AbortSignal): Promise<Prediction[]> {
    await this.turn(signal)
    const predictions = jobs.map((job) => this.predict(job))
    this.steps.push(jobs)
    return predictions.map((prediction, i) => {
      const { ids, keep = [] } = jobs[i]!
      // What a kept row knows of the rest is nothing here: it is its id.
      return { ...prediction, kept: keep.map(({ first, count }) => this.store(ids.slice(first, first + count), count)) }
    })
  }

  release(ids: readonly EncodingId[]): void {
    for (const id of ids) this.encodings.delete(id)
  }

  async close(): Promise<void> {
    this.closed = true
    this.encodings.clear()
    this.resume()
  }

  private async turn(signal: AbortSignal): Promise<void> {
    throwIfAborted(signal)
    if (this.closed) throw new EngineError('the engine is closed')
    let abort = () => {}
    const aborted = new Promise<never>((_, reject) => {
      abort = () => reject(abortReason(signal))
      signal.addEventListener('abort', abort, { once: true })
    })
    const ready = async () => {
      while (this.held !== undefined) await this.held
      await new Promise((resolve) => setImmediate(resolve))
    }
    await Promise.race([ready(), aborted]).finally(() => signal.removeEventListener('abort', abort))
    if (this.closed) throw new EngineError('the engine is closed')
    const failure = this.failures.shift()
    if (failure) throw failure
  }

  private store(ids: TokenIds, own: number): Encoding {
    const id = this.nextId++
    this.encodings.set(id, ids)
    return { id, rows: ids.length, bytes: own }
  }

  private predict(job: StepJob): Omit<Prediction, 'kept'> {
    this.check(job.ids, this.options.inputIds)
    this.check(job.setIds, this.options.vocab)
    for (const position of job.positions) this.checkPosition(position)
    const { asked, scoreIds } = job
    const askedCount = asked.length + (job.askedRows?.length ?? 0)
    if (scoreIds && scoreIds.length !== askedCount)
      throw new RangeError(`${scoreIds.length} tokens to score for ${askedCount} asked positions; give one for each`)
    this.check(scoreIds ?? [], this.options.vocab)
    for (const { first, count } of job.keep ?? []) {
      if (!(first >= 0 && count >= 0 && first + count <= job.ids.length))
        throw new RangeError(`${count} rows from row ${first} on were to be kept, the job has ${job.ids.length} rows`)
    }
    const context = new Map<number, number>()
    for (const { id, rows, firstPosition } of job.context) {
      for (const [i, token] of this.rowsOf(id, rows).entries()) {
        this.checkPosition(firstPosition + i)
        context.set(firstPosition + i, token)
      }
    }
    checkTree(job)
    const answer = (row: number, position: number) => {
      const spans = job.sees?.[row] ?? [{ first: 0, count: job.ids.length }]
      const seen = spans.flatMap(({ first, count }) => range(first, count))
      const at = job.positions[row]!
      const visible = job.kind === 'text' && !job.sees ? seen.filter((i) => job.positions[i]! <= at) : seen
      const canvas = new Map(visible.map((i) => [job.positions[i]!, job.ids[i]!]))
      if (canvas.size < visible.length) throw new Error(`row ${row} sees two rows at one position`)
      return this.row(this.script({ position, canvas, context }), job.setIds)
    }
    const byPosition = asked.map((position) => {
      const row = job.positions.indexOf(position - this.options.logitsShift)
      if (row < 0)
        throw new RangeError(`position ${position} was asked, but the row that scores it is not among the job's rows`)
      return answer(row, position)
    })
    const byRow = (job.askedRows ?? []).map((row) => {
      if (this.options.logitsShift !== 1) throw new RangeError('rows can be asked only where logits are shifted')
      if (!(row < job.ids.length)) throw new RangeError(`row ${row} was asked, the job has ${job.ids.length} rows`)
      return answer(row, job.positions[row]! + 1)
    })
    const rows = [...byPosition, ...byRow]
    return {
      topIds: rows.map(({ ids }) => ids),
      topLogProbs: rows.map(({ logProbs }) => logProbs),
      entropy: rows.map(({ entropy }) => entropy),
      setLogProbs: rows.map(({ set }) => set),
      scoreLogProbs: (scoreIds ?? []).map((id, i) => Math.log(rows[i]!.probabilityOf(id))),
      ...(job.logits ? { logits: rows.map(({ logits }) => logits) } : {}),
    }
  }

  private row(guesses: readonly Guess[], setIds: TokenIds) {
    const { vocab } = this.options
    const told = new Map(guesses.map(({ id, probability }) => [id, probability]))
    const left = Math.max(0, 1 - guesses.reduce((sum, { probability }) => sum + probability, 0))
    const otherCount = vocab - told.size
    const other = otherCount > 0 ? left / otherCount : 0
    const ids = guesses.map(({ id }) => id)
    for (let id = 0; ids.length < topCount; id++) if (!told.has(id)) ids.push(id)
    const probabilityOf = (id: number) => told.get(id) ?? other
    const information = (p: number) => (p > 0 ? -p * Math.log(p) : 0)
    const set = setIds.reduce((sum, id) => sum + probabilityOf(id), 0)
    return {
      ids: ids.slice(0, topCount),
      logProbs: ids.slice(0, topCount).map((id) => Math.log(probabilityOf(id))),
      entropy: guesses.reduce(
        (sum, { probability }) => sum + information(probability),
        otherCount * information(other),
      ),
      set: Math.log(set),
      probabilityOf,
      logits: Float32Array.from({ length: vocab }, (_, id) => Math.max(-1e30, Math.log(probabilityOf(id)))),
    }
  }

  private rowsOf(id: EncodingId, rows?: number): TokenIds {
    const ids = this.encodings.get(id)
    if (!ids) throw new RangeError(`encoding ${id} is unknown or was released`)
    if (rows !== undefined && rows > ids.length)
      throw new RangeError(`encoding ${id} has ${ids.length} rows, asked were ${rows}`)
    return ids.slice(0, rows)
  }

  private checkPosition(position: number): void {
    if (position < 0 || position >= this.options.maxPositions)
      throw new RangeError(
        `position ${position} is out of range; the model's positions are 0 to ${this.options.maxPositions - 1}`,
      )
  }

  private check(ids: TokenIds, limit: number): void {
    const bad = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= limit)
    if (bad !== undefined) throw new RangeError(`token id ${bad} is out of range; ids are 0 to ${limit - 1}`)
  }
}

/**
 * Knows one document: at position `p` stands `ids[p]`, and past its last id the end.
 *
 * @param sure probability of the right id at a position.
 */
export function knows(
  ids: TokenIds,
  sure: (position: number) => number = () => 0.99,
  end: number = byteIds.end,
): Script {
  return ({ position }) => [{ id: ids[position] ?? end, probability: sure(position) }]
}

/** Depends on every id in sight and where it stands, and on nothing else. */
export function mixed(guessCount: number): Script {
  return ({ position, canvas, context }) => {
    const seen = [...context, ...canvas].sort(([a], [b]) => a - b)
    let state = position + 1
    for (const [at, id] of seen) state = mix(state ^ mix(at * 65_537 + id))
    const weights = Array.from({ length: guessCount }, (_, id) => Math.exp((6 * mix(state ^ mix(id + 1))) / 2 ** 32))
    const sum = weights.reduce((total, weight) => total + weight, 0)
    return weights
      .map((weight, id) => ({ id, probability: weight / sum }))
      .sort((a, b) => b.probability - a.probability)
  }
}

function mix(value: number): number {
  let mixed = Math.imul(value ^ (value >>> 16), 0x45d9f3b)
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x45d9f3b)
  return (mixed ^ (mixed >>> 16)) >>> 0
}
