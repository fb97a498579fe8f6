/** One step for all its jobs: in one pass where they have at most `stepRows` rows together; a job is never cut. */

import { allAskedRows, checkedIds, checkedPositions, checkedScores, checkedSees, checkedSpans } from '../checks.ts'
import type { ContextPiece, Encoding, StepJob } from '../engine.ts'
import { type Run, rowsOf, runsOf } from './encodings.ts'
import type { GroupResult, KeptRows, RowGroup } from './pass.ts'
import type { FromWorker } from './protocol.ts'
import { rowBytesOf, stepRows, type Task, type TaskParts } from './task.ts'

export class StepTask implements Task {
  readonly kind = 'step'
  readonly request: number
  private readonly jobs: readonly StepJob[]
  private readonly with: TaskParts
  private readonly done: GroupResult[] = [] // of the first jobs
  private dropped = false

  constructor(request: number, jobs: readonly StepJob[], parts: TaskParts) {
    this.request = request
    this.jobs = jobs
    this.with = parts
  }

  async advance(): Promise<FromWorker | undefined> {
    const { runner, options } = this.with
    const jobs = nextBatch(this.jobs.slice(this.done.length))
    if (jobs.length > 0) {
      const groups = jobs.map((job) => this.groupOf(job))
      this.done.push(...(await runner.run(groups, checkedIds(jobs[0]!.setIds, options.vocab))))
    }
    if (this.dropped || this.done.length < this.jobs.length) return undefined
    const predictions = this.done.map(({ prediction, kept }) => ({
      ...prediction,
      kept: kept.map((rows) => this.keep(rows)),
    }))
    return { kind: 'stepped', request: this.request, predictions }
  }

  /** Nothing is stored before the answer. */
  drop(): void {
    this.dropped = true
  }

  private groupOf(job: StepJob): RowGroup {
    const { options } = this.with
    return {
      ids: checkedIds(job.ids, options.inputIds),
      positions: checkedPositions(job.positions, options),
      ...this.context(job.context),
      kind: job.kind ?? 'canvas',
      sees: checkedSees(job),
      askedRows: allAskedRows(job, options),
      scoreIds: checkedScores(job, options),
      logits: job.logits ?? false,
      keep: checkedSpans(job),
    }
  }

  private context(pieces: readonly ContextPiece[]): { runs: Run[]; firstPositions: number[] } {
    const { store, options } = this.with
    const runs: Run[] = []
    const firstPositions: number[] = []
    for (const { id, rows, firstPosition } of pieces) {
      const segment = store.get(id)
      if (rows > rowsOf(segment)) throw new RangeError(`encoding ${id} has ${rowsOf(segment)} rows, asked were ${rows}`)
      checkedPositions(rows > 0 ? [firstPosition, firstPosition + rows - 1] : [], options)
      let position = firstPosition
      for (const run of runsOf(segment, rows)) {
        runs.push(run)
        firstPositions.push(position)
        position += run.count
      }
    }
    return { runs, firstPositions }
  }

  private keep({ count, keys, values }: KeptRows): Encoding {
    const { store, options } = this.with
    const id = store.add({ parent: undefined, parentRows: 0, ownRows: count, keys, values })
    return { id, rows: count, bytes: count * rowBytesOf(options) }
  }
}

/** The first jobs that share a set of ids and fit into one pass together; a job alone always fits. */
function nextBatch(jobs: readonly StepJob[]): StepJob[] {
  const batch: StepJob[] = []
  let rows = 0
  for (const job of jobs) {
    rows += job.ids.length
    if (batch.length > 0 && (rows > stepRows || batch[0]!.setIds.join() !== job.setIds.join())) break
    batch.push(job)
  }
  return batch
}
