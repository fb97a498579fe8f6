/**
 * The `open-inference` engine: an `Engine` over passes that are computed elsewhere. What was encoded is known here by its
 * ids alone; rows that were dropped there are computed again when they are needed. Knows nothing of HTTP.
 */
import { eitherSignal } from '../../base/eitherSignal.ts'
import { EngineError, EngineGoneError, throwIfAborted } from '../../base/errors.ts'
import {
  allAskedRows,
  checkedIds,
  checkedPositions,
  checkedScores,
  checkedSees,
  checkedSpans,
  type ModelLimits,
} from '../checks.ts'
import type { Encoding, EncodingId, Engine, Piece, Prediction, StepJob, TokenIds } from '../engine.ts'
import { type Handle, noPrediction, type Passes, type PassFacts, type PassJob, type PassPrediction } from './passes.ts'
import { type Chain, Chains, piecesOf, type Segment, type SegmentPiece } from './segments.ts'

/** A pass as it is known here: segments for handles. */
interface Work extends Omit<PassJob, 'context' | 'keep'> {
  readonly context: readonly SegmentPiece[]
  readonly keep: readonly { readonly segment: Segment; readonly first: number; readonly count: number }[]
}

type Facts = ModelLimits & Pick<PassFacts, 'rowBytes' | 'passRows'>

/** How often what one request needs may get lost while it is made again. */
const mostRounds = 40

export class OpenInferenceEngine implements Engine {
  private readonly passes: Passes
  private readonly facts: Facts
  private readonly chains = new Chains()
  private readonly closing = new AbortController()
  private closed: Promise<void> | undefined

  constructor(passes: Passes, facts: Facts) {
    this.passes = passes
    this.facts = facts
  }

  async encode(pieces: readonly Piece[], signal: AbortSignal): Promise<Encoding[]> {
    this.begin(signal)
    const wanted = pieces.map((piece) => this.checkedPiece(piece))
    const done: Encoding[] = []
    try {
      for (const { ids, before } of wanted) done.push(await this.read(ids, before, signal))
    } catch (error) {
      this.release(done.map(({ id }) => id))
      throw error
    }
    return done
  }

  async step(jobs: readonly StepJob[], signal: AbortSignal): Promise<Prediction[]> {
    this.begin(signal)
    const work = jobs.map((job) => this.workOf(job))
    const idle = (one: Work) => one.askedRows.length === 0 && one.keep.length === 0
    const predictions = await this.runAll(
      work.filter((one) => !idle(one)),
      signal,
    )
    return work.map((one) => {
      const prediction = idle(one) ? noPrediction : predictions.shift()!
      return { ...prediction, kept: one.keep.map(({ segment, count }) => this.encodingOf(segment, count)) }
    })
  }

  release(ids: readonly EncodingId[]): void {
    this.chains.release(ids)
  }

  close(): Promise<void> {
    this.closed ??= this.end()
    return this.closed
  }

  private async end(): Promise<void> {
    this.closing.abort()
    this.chains.clear()
    await this.passes.close()
  }

  private begin(signal: AbortSignal): void {
    throwIfAborted(signal)
    if (this.closing.signal.aborted) throw new EngineGoneError('the engine is closed')
  }

  private checkedPiece({ ids, after, rows }: Piece): { ids: TokenIds; before: Chain } {
    checkedIds(ids, this.facts.inputIds)
    const parent = after === undefined ? { last: undefined, rows: 0 } : this.chains.get(after, rows)
    const before = { last: parent.last, rows: rows ?? parent.rows }
    const last = before.rows + ids.length - 1
    if (last >= 0) checkedPositions([last], this.facts)
    return { ids, before }
  }

  /** Reads a text behind what a chain holds, some rows at a time. */
  private async read(ids: TokenIds, before: Chain, signal: AbortSignal): Promise<Encoding> {
    let chain = { last: holderOf(before), rows: before.rows }
    const segments: Segment[] = []
    try {
      for (let at = 0; at < ids.length; at += this.facts.passRows) {
        const own = ids.slice(at, at + this.facts.passRows)
        const segment = this.chains.segment(own.length, {
          ...{ kind: 'text', ids: own, parent: chain.last, parentRows: chain.rows },
        })
        segments.push(segment)
        await this.runAll([textWork(chain, own, [{ segment, first: 0, count: own.length }])], signal)
        chain = { last: segment, rows: chain.rows + own.length }
      }
    } catch (error) {
      for (const segment of segments) this.chains.dropUnused(segment)
      throw error
    }
    return { id: this.chains.add(chain), rows: chain.rows, bytes: ids.length * this.facts.rowBytes }
  }

  private workOf(job: StepJob): Work {
    const { facts } = this
    const [ids, sees] = [checkedIds(job.ids, facts.inputIds), checkedSees(job)]
    const positions = checkedPositions(job.positions, facts)
    const context = job.context.flatMap(({ id, rows, firstPosition }) => {
      checkedPositions(rows > 0 ? [firstPosition, firstPosition + rows - 1] : [], facts)
      return piecesOf(this.chains.get(id, rows), rows, firstPosition)
    })
    const kind = job.kind ?? 'canvas'
    const keep = checkedSpans(job).map((span) => ({
      ...span,
      segment: this.chains.segment(span.count, {
        ...{ kind: 'pass', job: { kind, ids, positions, context, sees }, span },
      }),
    }))
    return {
      ...{ kind, ids, positions, context, sees, keep },
      askedRows: allAskedRows(job, facts),
      scoreIds: checkedScores(job, facts),
      setIds: checkedIds(job.setIds, facts.vocab),
      logits: job.logits ?? false,
    }
  }

  private encodingOf(segment: Segment, count: number): Encoding {
    const chain = { last: count > 0 ? segment : undefined, rows: count }
    return { id: this.chains.add(chain), rows: count, bytes: count * this.facts.rowBytes }
  }

  /** In as few requests as the other side takes; a job is never cut. Of work that fails nothing is kept. */
  private async runAll(work: readonly Work[], signal: AbortSignal): Promise<PassPrediction[]> {
    const done: PassPrediction[] = []
    try {
      for (let at = 0; at < work.length; ) {
        let [end, rows] = [at, 0]
        while (end < work.length && (end === at || rows + work[end]!.ids.length <= this.facts.passRows))
          rows += work[end++]!.ids.length
        done.push(...(await this.run(work.slice(at, end), signal)))
        at = end
      }
      return done
    } catch (error) {
      // Of the requests that failed too: the answer may have been on its way.
      this.dropUnused(work)
      throw error
    }
  }

  private dropUnused(work: readonly Work[]): void {
    for (const { keep } of work) for (const { segment } of keep) this.chains.dropUnused(segment)
  }

  private async run(work: readonly Work[], signal: AbortSignal): Promise<PassPrediction[]> {
    const jobs = work.map((one): PassJob => {
      const { context, keep, ...rest } = one
      return {
        ...rest,
        context: context.map(({ segment, ...place }) => ({ handle: segment.handle, ...place })),
        keep: keep
          .filter(({ count }) => count > 0)
          .map(({ segment: { handle }, first, count }) => ({ handle, first, count })),
      }
    })
    for (let round = 0; round < mostRounds; round++) {
      const release = this.chains.takeUnused()
      const either = eitherSignal(signal, this.closing.signal)
      const running = this.passes.run({ jobs, release }, either.signal).finally(either.end)
      const answer = await running.catch((error: unknown) => {
        this.chains.giveBack(release)
        if (this.closing.signal.aborted) throw new EngineGoneError('the engine is closed')
        throw error
      })
      if (answer.kind === 'predictions') return [...answer.predictions]
      await this.restore(work, new Set(answer.handles), signal)
    }
    throw new EngineError('the server drops what a request needs before it is used; it keeps too few rows')
  }

  /** Computes the segments anew that are missing: text all at once, rows of a pass by the pass. */
  private async restore(work: readonly Work[], missing: ReadonlySet<Handle>, signal: AbortSignal): Promise<void> {
    const restored = new Set<Handle>()
    // From the right: a segment brings those with it that it continues.
    for (const { segment } of work.flatMap(({ context }) => context).reverse()) {
      while (missing.has(segment.handle) && !restored.has(segment.handle)) {
        const again = segment.origin.kind === 'text' ? this.textAgain(segment, missing, restored) : passAgain(segment)
        for (const { segment: one } of again.keep) restored.add(one.handle)
        await this.run([again], signal).finally(() => this.dropUnused([again]))
      }
    }
  }

  /** From the first missing segment of a chain on, as far as the other side takes it at once. */
  private textAgain(segment: Segment, missing: ReadonlySet<Handle>, restored: ReadonlySet<Handle>): Work {
    const all = piecesOf({ last: segment, rows: endOf(segment) }, endOf(segment), 0)
    const gone = ({ segment: { handle } }: SegmentPiece) => missing.has(handle) && !restored.has(handle)
    const from = all.findIndex(gone)
    if (all[from]!.segment.origin.kind === 'pass') return passAgain(all[from]!.segment)
    const ids: number[] = []
    const keep: Work['keep'][number][] = []
    for (const piece of all.slice(from)) {
      const { origin, rows } = piece.segment
      // Of a branch only the first rows are in this chain: it is made again by itself when it is needed.
      if (origin.kind !== 'text' || (piece.rows < rows && keep.length > 0)) break
      if (keep.length > 0 && ids.length + rows > this.facts.passRows) break
      keep.push({ segment: piece.segment, first: ids.length, count: rows })
      ids.push(...origin.ids)
      if (piece.rows < rows) break
    }
    const rows = all[from]!.firstPosition
    const before = { last: all[from - 1]?.segment, rows }
    return textWork(before, ids, keep)
  }
}

function textWork(before: Chain, ids: TokenIds, keep: Work['keep']): Work {
  return {
    ...{ kind: 'text', ids, keep, positions: ids.map((_, i) => before.rows + i), sees: undefined },
    context: piecesOf(before, before.rows, 0),
    ...{ askedRows: [], scoreIds: undefined, setIds: [], logits: false },
  }
}

function passAgain(segment: Segment): Work {
  const { origin } = segment
  if (origin.kind !== 'pass') throw new TypeError('wanted rows of a pass')
  const { job, span } = origin
  return { ...job, keep: [{ segment, ...span }], askedRows: [], scoreIds: undefined, setIds: [], logits: false }
}

/** Rows of the chain that ends in a segment. */
function endOf({ rows, origin }: Segment): number {
  return rows + (origin.kind === 'text' ? origin.parentRows : 0)
}

/** The segment that holds the last row: what comes after it is of no use to a branch. */
function holderOf({ last, rows }: Chain): Segment | undefined {
  let at = last
  while (at && at.origin.kind === 'text' && rows <= at.origin.parentRows) at = at.origin.parent
  return rows > 0 ? at : undefined
}
