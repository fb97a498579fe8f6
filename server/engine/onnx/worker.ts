/**
 * The worker thread of the `onnx` engine: opens the graph, keeps encodings, runs passes one after the other.
 *
 * A pass is the unit of cancellation and of fairness: steps go before encoding, both go in passes of at most `passRows`
 * rows (a job of a step is never cut), and messages are read between passes.
 */
import { parentPort, workerData } from 'node:worker_threads'
import * as ort from 'onnxruntime-node'
import { messageOf } from '../../base/errors.ts'
import type { ContextPiece, Encoding, Piece, RowSpan, StepJob } from '../engine.ts'
import { EncodingStore, type Run, rowsOf, runsOf, type Segment } from './encodings.ts'
import { type GroupResult, type KeptRows, PassRunner, type RowGroup } from './pass.ts'
import type { EngineOptions, FromWorker, OpenReport, ToWorker } from './protocol.ts'

const passRows = 64

const port = parentPort!
const options = workerData as EngineOptions
const rowBytes = options.layers * options.kvHeads * options.headDim * 2 * Float32Array.BYTES_PER_ELEMENT
const say = (message: FromWorker) => port.postMessage(message)

type Task =
  | {
      readonly kind: 'encode'
      readonly request: number
      readonly pieces: readonly Piece[]
      readonly done: Encoding[]
      begun?: Begun
    }
  | {
      readonly kind: 'step'
      readonly request: number
      readonly jobs: readonly StepJob[]
      readonly done: GroupResult[] // of the first jobs
    }

/** A piece of which some rows are encoded. */
interface Begun {
  readonly parent: Segment | undefined
  readonly parentRows: number
  readonly parts: Segment[]
}

class Worker {
  private readonly store = new EncodingStore()
  private readonly tasks: Task[] = []
  private running = false
  private closing = false
  private readonly session: ort.InferenceSession
  private readonly runner: PassRunner

  constructor(session: ort.InferenceSession) {
    this.session = session
    this.runner = new PassRunner(session, options)
  }

  receive(message: ToWorker): void {
    switch (message.kind) {
      case 'encode':
      case 'step':
        this.tasks.push({ ...message, done: [] })
        return this.wake()
      case 'abort': {
        const at = this.tasks.findIndex(({ request }) => request === message.request)
        if (at >= 0) this.drop(this.tasks.splice(at, 1)[0]!)
        return
      }
      case 'release':
        return this.store.release(message.ids)
      case 'close':
        this.closing = true
        return this.wake()
    }
  }

  private drop(task: Task): void {
    if (task.kind === 'encode') this.store.release(task.done.map(({ id }) => id))
  }

  private wake(): void {
    if (this.running) return
    this.running = true
    void this.loop()
  }

  private async loop(): Promise<void> {
    while (!this.closing) {
      const task = this.tasks.find(({ kind }) => kind === 'step') ?? this.tasks[0]
      if (!task) break
      try {
        if (task.kind === 'step') await this.stepSome(task)
        else await this.encodeSome(task)
      } catch (error) {
        this.finish(task)
        this.drop(task)
        say({ kind: 'failed', request: task.request, message: messageOf(error), badInput: error instanceof RangeError })
      }
      await new Promise((resolve) => setImmediate(resolve)) // lets messages in
    }
    this.running = false
    if (!this.closing) return
    this.closing = false
    await this.session.release()
    say({ kind: 'closed' })
    port.close()
  }

  /** False when the task was aborted while its pass ran. */
  private finish(task: Task): boolean {
    const at = this.tasks.indexOf(task)
    if (at >= 0) this.tasks.splice(at, 1)
    return at >= 0
  }

  /** One pass of a step task: as many of its next jobs as go together. */
  private async stepSome(task: Task & { kind: 'step' }): Promise<void> {
    const jobs = nextBatch(task.jobs.slice(task.done.length))
    if (jobs.length > 0) {
      const groups = jobs.map(
        (job): RowGroup => ({
          ids: checkedIds(job.ids),
          positions: checkedPositions(job.positions),
          ...this.context(job.context),
          kind: 'canvas',
          askedRows: job.asked.map((position) => askedRow(job, position)),
          keep: checkedSpans(job),
        }),
      )
      task.done.push(...(await this.runner.run(groups, checkedIds(jobs[0]!.setIds, options.vocab))))
    }
    if (task.done.length < task.jobs.length) return
    if (!this.finish(task)) return // nothing is stored of what nobody waits for
    const predictions = task.done.map(({ prediction, kept }) => ({
      ...prediction,
      kept: kept.map((rows) => this.keep(rows)),
    }))
    say({ kind: 'stepped', request: task.request, predictions })
  }

  private keep({ count, keys, values }: KeptRows): Encoding {
    const id = this.store.add({ parent: undefined, parentRows: 0, ownRows: count, keys, values })
    return { id, rows: count, bytes: count * rowBytes }
  }

  private context(pieces: readonly ContextPiece[]): { runs: Run[]; firstPositions: number[] } {
    const runs: Run[] = []
    const firstPositions: number[] = []
    for (const { id, rows, firstPosition } of pieces) {
      const segment = this.store.get(id)
      if (rows > rowsOf(segment)) throw new RangeError(`encoding ${id} has ${rowsOf(segment)} rows, asked were ${rows}`)
      checkedPositions(rows > 0 ? [firstPosition, firstPosition + rows - 1] : [])
      let position = firstPosition
      for (const run of runsOf(segment, rows)) {
        runs.push(run)
        firstPositions.push(position)
        position += run.count
      }
    }
    return { runs, firstPositions }
  }

  /** One pass of an encode task: up to `passRows` rows of its next pieces. */
  private async encodeSome(task: Task & { kind: 'encode' }): Promise<void> {
    const piece = task.pieces[task.done.length]
    if (!piece) {
      if (this.finish(task)) say({ kind: 'encoded', request: task.request, encodings: task.done })
      return
    }
    const begun = (task.begun ??= this.begin(piece))
    const doneRows = begun.parts.reduce((sum, part) => sum + part.ownRows, 0)
    const ids = checkedIds(piece.ids.slice(doneRows, doneRows + passRows))
    if (ids.length > 0) {
      const last = begun.parts.at(-1) ?? begun.parent
      const seenRows = begun.parentRows + doneRows
      const runs = last ? runsOf(last, seenRows) : []
      let position = 0
      const firstPositions = runs.map((run) => {
        position += run.count
        return position - run.count
      })
      const group: RowGroup = {
        ids,
        positions: checkedPositions(ids.map((_, i) => seenRows + i)),
        runs,
        firstPositions,
        kind: 'context',
        askedRows: [],
        keep: [{ first: 0, count: ids.length }],
      }
      const [result] = await this.runner.run([group], [])
      const { keys, values } = result!.kept[0]!
      begun.parts.push({ parent: last, parentRows: seenRows, ownRows: ids.length, keys, values })
    }
    const aborted = !this.tasks.includes(task) // while the pass ran; what was done is dropped already
    if (aborted || doneRows + ids.length < piece.ids.length) return
    const segment = begun.parts.at(-1) ?? {
      parent: begun.parent,
      parentRows: begun.parentRows,
      ownRows: 0,
      keys: [],
      values: [],
    }
    task.done.push({ id: this.store.add(segment), rows: rowsOf(segment), bytes: piece.ids.length * rowBytes })
    delete task.begun
    if (task.done.length === task.pieces.length && this.finish(task)) {
      say({ kind: 'encoded', request: task.request, encodings: task.done })
    }
  }

  private begin(piece: Piece): Begun {
    if (piece.after === undefined) return { parent: undefined, parentRows: 0, parts: [] }
    const parent = this.store.get(piece.after)
    const rows = piece.rows ?? rowsOf(parent)
    if (rows > rowsOf(parent))
      throw new RangeError(`encoding ${piece.after} has ${rowsOf(parent)} rows, asked were ${rows}`)
    return { parent: holderOf(parent, rows), parentRows: rows, parts: [] }
  }
}

/** The ancestor that holds row `rows - 1`: what comes after it is of no use to a branch, and must not be kept alive by it. */
function holderOf(segment: Segment, rows: number): Segment | undefined {
  let holder: Segment | undefined = segment
  while (holder && rows <= holder.parentRows) holder = holder.parent
  return holder
}

/** The first jobs that share a set of ids and fit into one pass together; a job alone always fits. */
function nextBatch(jobs: readonly StepJob[]): StepJob[] {
  const batch: StepJob[] = []
  let rows = 0
  for (const job of jobs) {
    rows += job.ids.length
    if (batch.length > 0 && (rows > passRows || batch[0]!.setIds.join() !== job.setIds.join())) break
    batch.push(job)
  }
  return batch
}

function askedRow(job: StepJob, position: number): number {
  const row = job.positions.indexOf(position - options.logitsShift)
  if (row < 0)
    throw new RangeError(`position ${position} was asked, but the row that scores it is not among the job's rows`)
  return row
}

function checkedIds<Ids extends readonly number[]>(ids: Ids, limit = options.inputIds): Ids {
  const bad = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= limit)
  if (bad !== undefined) throw new RangeError(`token id ${bad} is out of range; ids are 0 to ${limit - 1}`)
  return ids
}

function checkedPositions<Positions extends readonly number[]>(positions: Positions): Positions {
  const limit = options.maxPositions
  const bad = positions.find((position) => !Number.isInteger(position) || position < 0 || position >= limit)
  if (bad !== undefined)
    throw new RangeError(
      `position ${bad} is out of range; the model's positions are 0 to ${limit - 1}, give it less text`,
    )
  return positions
}

function checkedSpans({ ids, keep = [] }: StepJob): readonly RowSpan[] {
  const isCount = (value: number) => Number.isInteger(value) && value >= 0
  const bad = keep.find(({ first, count }) => !isCount(first) || !isCount(count) || first + count > ids.length)
  if (bad !== undefined)
    throw new RangeError(`${bad.count} rows from row ${bad.first} on were to be kept, the job has ${ids.length} rows`)
  return keep
}

/** Providers are tried one at a time: a list with one that is missing throws instead of falling back. */
async function open(): Promise<{ session: ort.InferenceSession; report: OpenReport }> {
  const passedOver: { provider: string; reason: string }[] = []
  const started = performance.now()
  for (const provider of options.providers) {
    try {
      const session = await ort.InferenceSession.create(options.graphPath, {
        executionProviders: [provider],
        intraOpNumThreads: options.deterministic ? 1 : options.threads,
        executionMode: 'sequential',
        graphOptimizationLevel: 'all',
        logSeverityLevel: 3,
        // Shapes vary from pass to pass: a pattern would be kept for each, and an arena grows to the sum of their peaks.
        enableMemPattern: false,
        enableCpuMemArena: false,
        extra: {
          session: { intra_op: { allow_spinning: options.deterministic ? '0' : '1' }, force_spinning_stop: '1' },
        },
      })
      return { session, report: { provider, passedOver, loadMs: performance.now() - started } }
    } catch (error) {
      passedOver.push({ provider, reason: messageOf(error) })
    }
  }
  throw new Error(passedOver.map(({ provider, reason }) => `${provider}: ${reason}`).join('; '))
}

open().then(
  ({ session, report }) => {
    const worker = new Worker(session)
    port.on('message', (message: ToWorker) => worker.receive(message))
    say({ kind: 'opened', report })
  },
  (error) => {
    say({ kind: 'openFailed', message: messageOf(error) })
    port.close()
  },
)
