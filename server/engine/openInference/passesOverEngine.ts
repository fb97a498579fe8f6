/**
 * The step contract over an engine of this process: what goes on when the server elsewhere is gone, and what a server of
 * the contract is made of in tests. Encodings under handles, the least recently used dropped when there are too many.
 */
import type { EncodingId, Engine, StepJob } from '../engine.ts'
import type { Handle, PassAnswer, Passes, PassFacts, PassJob, PassRequest } from './passes.ts'

interface Held {
  readonly id: EncodingId
  readonly rows: number
}

export class PassesOverEngine implements Passes {
  readonly facts: PassFacts
  private readonly engine: Engine
  private readonly mostRows: number
  private readonly held = new Map<Handle, Held>() // the least recently used first
  private rows = 0

  /** @param mostRows kept, all handles together. */
  constructor(engine: Engine, facts: PassFacts, mostRows = Number.POSITIVE_INFINITY) {
    this.engine = engine
    this.facts = facts
    this.mostRows = mostRows
  }

  get heldCount(): number {
    return this.held.size
  }

  async run({ jobs, release }: PassRequest, signal: AbortSignal): Promise<PassAnswer> {
    this.drop(release)
    const missing = new Set(
      jobs.flatMap(({ context }) => context.map(({ handle }) => handle).filter((handle) => !this.use(handle))),
    )
    if (missing.size > 0) return { kind: 'missing', handles: [...missing] }
    if (jobs.length === 0) return { kind: 'predictions', predictions: [] }
    const predictions = await this.engine.step(
      jobs.map((job) => this.stepJob(job)),
      signal,
    )
    for (const [i, { kept }] of predictions.entries()) {
      for (const [k, { id, rows }] of kept.entries()) this.hold(jobs[i]!.keep[k]!.handle, { id, rows })
    }
    this.evict()
    return { kind: 'predictions', predictions: predictions.map(({ kept: _, ...rest }) => rest) }
  }

  /** Forgets everything, as a server does that starts anew. */
  clear(): void {
    this.drop([...this.held.keys()])
  }

  async close(): Promise<void> {
    this.clear()
    await this.engine.close()
  }

  private stepJob({ kind, ids, positions, context, sees, scoreIds, setIds, logits, ...job }: PassJob): StepJob {
    const { logitsShift } = this.facts
    const asked =
      logitsShift === 1 && new Set(positions).size < positions.length
        ? { asked: [], askedRows: job.askedRows }
        : { asked: job.askedRows.map((row) => positions[row]! + logitsShift) }
    return {
      ...{ kind, ids, positions, setIds, logits, ...asked },
      context: context.map(({ handle, ...place }) => ({ id: this.held.get(handle)!.id, ...place })),
      keep: job.keep.map(({ first, count }) => ({ first, count })),
      ...(sees ? { sees } : {}),
      ...(scoreIds ? { scoreIds } : {}),
    }
  }

  private use(handle: Handle): boolean {
    const held = this.held.get(handle)
    if (!held) return false
    this.held.delete(handle)
    this.held.set(handle, held)
    return true
  }

  /** What is kept twice is the same: the first stays, since another pass may be about to use it. */
  private hold(handle: Handle, held: Held): void {
    if (this.held.has(handle)) return this.engine.release([held.id])
    this.held.set(handle, held)
    this.rows += held.rows
  }

  private evict(): void {
    for (const [handle] of this.held) {
      if (this.rows <= this.mostRows || this.held.size === 1) return
      this.drop([handle])
    }
  }

  private drop(handles: readonly Handle[]): void {
    for (const handle of handles) {
      const held = this.held.get(handle)
      if (!held) continue
      this.held.delete(handle)
      this.rows -= held.rows
      this.engine.release([held.id])
    }
  }
}
