/**
 * The batch loop: requests advance together, one forward pass a step; one joins or leaves between two steps. What a
 * person waits for goes first: as long as there is any, all else rests.
 *
 * All holes of a request are filled together, each row in sight of all texts and all slots. A canvas that fills up
 * without an end is folded into the text before it, and the next one opens with what follows still in sight.
 */
import { abortReason } from '../base/errors.ts'
import type { Engine, Prediction, StepJob, TokenIds } from '../engine/engine.ts'
import { type CanvasContext, surround } from './canvasContext.ts'
import type { Asked, FillingRules } from './filling.ts'
import { type Finish, type Hole, OpenHole, type Progress } from './hole.ts'
import { aheadOf, type HoleOrder, holesToAsk, holesToTake } from './holeOrder.ts'
import { checkLength } from './length.ts'
import { type Look, type LookRequest, lookAt } from './lookAt.ts'
import { checkSchedule, hybridOf, type Schedule } from './schedule.ts'
import type { Surroundings } from './surroundings.ts'

export interface DenoiseRequest {
  /** Known text before each hole, and after the last one. All but that have at least one token. */
  readonly texts: readonly TokenIds[]
  readonly holes: readonly Hole[] // from the left, at least one
  /** Of several holes (default: at once). */
  readonly order?: HoleOrder
  readonly context: CanvasContext
  readonly schedule: Schedule
  readonly maskId: number
  readonly endIds: ReadonlySet<number> // of every hole; their probabilities count as one
  readonly forbiddenIds: ReadonlySet<number> // never committed
  /** A person waits for it. */
  readonly urgent: boolean
}

export interface Denoised {
  readonly middles: readonly (Progress & { readonly finish: Finish })[] // one for each hole
  readonly steps: number
  readonly rows: number // computed over all steps
}

/** Called after each step, with the middle of each hole. */
export type OnStep = (progress: readonly Progress[]) => void

interface Job {
  readonly request: DenoiseRequest
  readonly signal: AbortSignal
  readonly onAbort: () => void
  readonly onStep: OnStep
  readonly endIds: TokenIds // sent to the engine as a set
  readonly resolve: (result: Denoised) => void
  readonly reject: (error: unknown) => void
  readonly surroundings: Surroundings
  readonly holes: readonly OpenHole[]
  full: readonly number[] // holes whose canvas is to be folded before the next step
  steps: number
  rows: number
}

/** What a job asks of one step. */
interface Turn {
  readonly job: Job
  readonly stepJobs: readonly StepJob[]
  /** Indices of the holes that are asked. */
  readonly asked: readonly number[]
  /** The predictions of `stepJobs` → those of each hole. */
  readonly byHole: (predictions: readonly Prediction[]) => readonly (readonly Prediction[])[]
  /** Hands what the pass kept to the surroundings. */
  readonly took: (predictions: readonly Prediction[]) => void
}

export class Denoiser {
  private readonly engine: Engine
  private readonly jobs: Job[] = []
  private expected = 0 // urgent requests whose context is still read
  private running = false

  constructor(engine: Engine) {
    this.engine = engine
  }

  /**
   * Fills all holes of a request.
   *
   * @throws {Aborted} when the signal fires, after the step in hand at the latest.
   * @throws {RangeError} for a request that cannot be filled.
   */
  denoise(request: DenoiseRequest, signal: AbortSignal, onStep: OnStep = () => {}): Promise<Denoised> {
    check(request)
    const { texts, endIds, context } = request
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(abortReason(signal))
      const holes = openHoles(request)
      const surroundings = surround(this.engine, texts, context)
      const onAbort = () => this.wake() // it may rest
      signal.addEventListener('abort', onAbort, { once: true })
      this.join({
        ...{ request, signal, onStep, endIds: [...endIds], resolve, reject, surroundings, holes },
        ...{ onAbort, full: [], steps: 0, rows: 0 },
      })
    })
  }

  /**
   * An urgent request comes as soon as its context is read. Until then nothing else advances: its passes and those that
   * read the context would take turns.
   *
   * @returns to be called once it has come, or never will. Further calls do nothing.
   */
  expect(): () => void {
    this.expected++
    let came = false
    return () => {
      if (came) return
      came = true
      this.expected--
      this.wake()
    }
  }

  /** Beside what is filled; @throws as `lookAt`. */
  look(request: LookRequest, signal: AbortSignal): Promise<Look[]> {
    return lookAt(this.engine, request, signal)
  }

  private join(job: Job): void {
    this.jobs.push(job)
    this.wake()
  }

  private wake(): void {
    if (this.running) return
    this.running = true
    void this.loop()
  }

  private async loop(): Promise<void> {
    // Requests that arrive in the same turn share the first pass.
    await Promise.resolve()
    for (;;) {
      for (const job of this.jobs.filter(({ signal }) => signal.aborted))
        this.leave(job, () => job.reject(abortReason(job.signal)))
      const urgent = this.jobs.filter(({ request }) => request.urgent)
      const advancing = urgent.length > 0 || this.expected > 0 ? urgent : [...this.jobs]
      if (advancing.length === 0) break
      const [folding, stepping] = [advancing.filter(isFull), advancing.filter((job) => !isFull(job))]
      for (const job of folding) void this.fold(job)
      if (stepping.length > 0) await this.step(stepping.map(nextTurn))
    }
    this.running = false
  }

  private async step(turns: readonly Turn[]): Promise<void> {
    try {
      const aborted = allAborted(turns.map(({ job }) => job.signal))
      const stepJobs = turns.flatMap(({ stepJobs }) => stepJobs)
      const predictions = await this.engine.step(stepJobs, aborted.signal).finally(aborted.end)
      let taken = 0
      for (const turn of turns) this.take(turn, predictions.slice(taken, (taken += turn.stepJobs.length)))
    } catch (error) {
      // A job that asks for what the model does not have must not take the others with it.
      if (error instanceof RangeError && turns.length > 1) {
        for (const turn of turns) await this.step([turn])
        return
      }
      for (const { job } of turns)
        this.leave(job, () => job.reject(job.signal.aborted ? abortReason(job.signal) : error))
    }
  }

  private take({ job, stepJobs, asked, byHole, took }: Turn, predictions: readonly Prediction[]): void {
    took(predictions)
    if (job.signal.aborted) return
    const { holes } = job
    job.steps++
    for (const { ids } of stepJobs) job.rows += ids.length
    try {
      const mine = byHole(predictions)
      const taking = holesToTake(orderOf(job.request), asked, mine)
      job.full = taking.filter((i) => holes[i]!.take(mine[i]!))
      job.onStep(holes.map((hole) => hole.progress()))
      if (!isFull(job) && holes.every(({ finish }) => finish)) this.leave(job, () => job.resolve(resultOf(job)))
    } catch (error) {
      this.leave(job, () => job.reject(error)) // its own listener failed; the others go on
    }
  }

  /** The job leaves the batch while its full canvases are taken into the text, and joins again with new ones. */
  private async fold(job: Job): Promise<void> {
    this.jobs.splice(this.jobs.indexOf(job), 1)
    try {
      for (const i of job.full) {
        const hole = job.holes[i]!
        await job.surroundings.fold(i, hole.middle(), job.signal)
        hole.folded()
      }
      job.full = []
      this.join(job)
    } catch (error) {
      this.leave(job, () => job.reject(error))
    }
  }

  private leave(job: Job, settle: () => void): void {
    const at = this.jobs.indexOf(job)
    if (at >= 0) this.jobs.splice(at, 1)
    job.signal.removeEventListener('abort', job.onAbort)
    job.surroundings.end()
    settle()
  }
}

function isFull({ full }: Job): boolean {
  return full.length > 0
}

function check({ texts, holes, schedule, context, order }: DenoiseRequest): void {
  if (holes.length === 0 || texts.length !== holes.length + 1)
    throw new RangeError(`${holes.length} holes need ${holes.length + 1} texts around them, there are ${texts.length}`)
  if (texts.slice(0, -1).some((text) => text.length === 0))
    throw new RangeError('a hole needs at least one token before it')
  checkSchedule(schedule)
  for (const { length } of holes) checkLength(length)
  const kinds = holes.map(({ length }) => length.kind)
  const hybrid = hybridOf(schedule) !== undefined && kinds.some((kind) => kind !== 'verified')
  const verified = kinds.includes('verified')
  if ((hybrid || verified) && context.kind !== 'causal')
    throw new RangeError('rows that all see each other cannot be read left to right: no hybrid, nothing is verified')
  if (hybrid && kinds.some((kind) => kind !== 'end-token' && kind !== 'verified'))
    throw new RangeError('a hybrid schedule needs the length mode end-token')
  const drafted = kinds.filter((kind) => kind === 'drafted').length
  if (drafted > 0 ? context.kind !== 'drafted' || drafted < kinds.length : context.kind === 'drafted')
    throw new RangeError(
      'the length mode drafted is for rows that see what is committed left of them, and these have no other',
    )
  if (drafted > 1 && order?.kind !== 'left-to-right')
    throw new RangeError('holes whose rows see what is committed left of them are filled from left to right')
  if (verified && holes.length > 1)
    throw new RangeError(
      'one hole can be verified at a time: the base reads on where it ends, and there is the next one',
    )
}

/** Nothing of them is committed yet. */
export function openHoles({ holes, schedule, maskId, endIds, ...request }: DenoiseRequest): OpenHole[] {
  // A committed mask would leave its slot open, for ever.
  const forbiddenIds = new Set([...request.forbiddenIds, maskId])
  const rulesOf = ({ clamp, ownEndIds, recall }: Hole, stream: number): FillingRules => {
    const ends = ownEndIds ? { endIds: new Set([...endIds, ...ownEndIds]), uncountedEndIds: ownEndIds } : { endIds }
    return { schedule, maskId, rules: { ...ends, forbiddenIds, clamp, ...(recall ? { recall } : {}) }, stream }
  }
  return holes.map((hole, i) => new OpenHole(hole, rulesOf(hole, i << 16)))
}

const orderOf = ({ order }: DenoiseRequest): HoleOrder => order ?? { kind: 'at-once' }

/** One pass for all holes; where one has several canvases to choose from, a pass for each canvas of each hole. */
function nextTurn(job: Job): Turn {
  const { surroundings, endIds, holes } = job
  const open = [...holes.keys()].filter((i) => !holes[i]!.finish)
  const order = orderOf(job.request)
  const asked = holesToAsk(order, open)
  const asks = holes.map((hole, i) => (asked.includes(i) ? hole.ask() : [hole.standing(aheadOf(order))]))
  const first = asks.map((candidates) => candidates[0]!)
  if (asks.every(({ length }) => length === 1)) {
    const reads = first.flatMap(({ read }, hole) => {
      const readJob = read ? surroundings.readJob(hole, first, endIds) : undefined
      return readJob ? [{ hole, readJob }] : []
    })
    const slotCounts = first.map(({ slots }) => slots.length)
    return {
      job,
      stepJobs: [withLogits(surroundings.stepJob(first, endIds), first), ...reads.map(({ readJob }) => readJob)],
      asked,
      byHole: ([prediction, ...read]) => {
        const byHole = sliced(prediction!, slotCounts)
        for (const [i, { hole }] of reads.entries()) byHole[hole]!.push(read[i]!)
        return byHole
      },
      took: ([prediction, ...read]) => {
        surroundings.took(prediction!)
        for (const [i, { hole, readJob }] of reads.entries()) surroundings.tookRead(hole, readJob, read[i]!)
      },
    }
  }
  const stepJobs = asks.flatMap((candidates, i) =>
    candidates.map((candidate) => {
      const others = first.map(({ canvas }): Asked => ({ canvas, slots: [] }))
      return withLogits(surroundings.probeJob(others.with(i, candidate), endIds), [candidate])
    }),
  )
  let taken = 0
  const bounds = asks.map(({ length }) => [taken, (taken += length)] as const)
  return {
    ...{ job, stepJobs, asked, took: () => {} },
    byHole: (predictions) => bounds.map(([from, to]) => predictions.slice(from, to)),
  }
}

function withLogits(job: StepJob, asked: readonly Asked[]): StepJob {
  return asked.some(({ logits }) => logits) ? { ...job, logits: true } : job
}

/** A prediction cut into runs of asked positions. */
function sliced(prediction: Prediction, counts: readonly number[]): Prediction[][] {
  let from = 0
  return counts.map((count) => {
    const of = <Value>(values: readonly Value[]): Value[] => values.slice(from, from + count)
    const { logits } = prediction
    const part: Prediction = {
      topIds: of(prediction.topIds),
      topLogProbs: of(prediction.topLogProbs),
      entropy: of(prediction.entropy),
      setLogProbs: of(prediction.setLogProbs),
      scoreLogProbs: of(prediction.scoreLogProbs),
      ...(logits ? { logits: of(logits) } : {}),
      kept: [],
    }
    from += count
    return [part]
  })
}

function resultOf({ holes, steps, rows }: Job): Denoised {
  return { middles: holes.map((hole) => ({ ...hole.progress(), finish: hole.finish! })), steps, rows }
}

/** A signal that fires when every one of the signals has fired; `end` when it is of no more use. */
function allAborted(signals: readonly AbortSignal[]): { signal: AbortSignal; end: () => void } {
  const controller = new AbortController()
  const check = () => {
    if (signals.every((signal) => signal.aborted)) controller.abort(signals[0]!.reason)
  }
  for (const signal of signals) signal.addEventListener('abort', check, { once: true })
  check()
  const end = () => {
    for (const signal of signals) signal.removeEventListener('abort', check)
  }
  return { signal: controller.signal, end }
}
