/**
 * The batch loop: jobs from all requests advance together, one forward pass a step; a job joins or leaves between two
 * steps. A canvas that fills up without an end is folded into the prefix (encoded causally), and the next one opens with
 * the suffix still in sight.
 */
import { abortReason } from '../base/errors.ts'
import type { EncodingId, Engine, TokenIds } from '../engine/engine.ts'
import { Canvas, type CanvasContext } from './canvas.ts'
import {
  type CommitOutcome,
  type CommitRules,
  clampAfter,
  commitLeftmostFirst,
  type LeftmostFirst,
  slotsToAsk,
} from './leftmostFirst.ts'

export interface DenoiseRequest {
  readonly prefixIds: TokenIds // at least one
  readonly suffixIds: TokenIds
  readonly context: CanvasContext
  readonly canvasSlots: number // of each canvas
  readonly maxTokens: number
  /** The middle ends where the product of its tokens' probabilities falls below this. */
  readonly floor: number
  readonly maskId: number
  readonly schedule: LeftmostFirst
  readonly rules: CommitRules
}

/** The middle from the left, as far as it is committed; ends are not included. */
export interface Progress {
  readonly ids: TokenIds
  /** What the model gave each of them when it was committed. */
  readonly probabilities: readonly number[]
}

export interface Denoised extends Progress {
  /** 'length': `maxTokens` were filled without an end; 'unsure': the floor was reached. */
  readonly finish: 'ended' | 'length' | 'stuck' | 'unsure'
  readonly steps: number
  readonly rows: number // canvas rows computed over all steps
}

/** Called after each step. */
export type OnStep = (progress: Progress) => void

interface Job {
  readonly request: DenoiseRequest
  readonly signal: AbortSignal
  readonly onStep: OnStep
  readonly endIds: TokenIds // sent to the engine as a set
  readonly resolve: (result: Denoised) => void
  readonly reject: (error: unknown) => void
  rules: CommitRules
  prefixIds: TokenIds
  context: CanvasContext
  canvas: Canvas
  done: number[] // middles of the canvases folded so far
  doneProbabilities: number[]
  folded: EncodingId[]
  steps: number
  rows: number
}

export class Denoiser {
  private readonly engine: Engine
  private readonly jobs: Job[] = []
  private running = false

  constructor(engine: Engine) {
    this.engine = engine
  }

  /**
   * Fills one gap.
   *
   * @throws {Aborted} when the signal fires, after the step in hand at the latest.
   */
  denoise(request: DenoiseRequest, signal: AbortSignal, onStep: OnStep = () => {}): Promise<Denoised> {
    if (request.prefixIds.length === 0) throw new RangeError('a canvas needs at least one prefix token')
    if (!(request.schedule.window >= 1)) throw new RangeError('a schedule needs a window of at least one slot')
    const { rules, maskId } = request
    return new Promise((resolve, reject) => {
      const job: Job = {
        request,
        signal,
        onStep,
        endIds: [...rules.endIds],
        resolve,
        reject,
        // A committed mask would leave its slot open, for ever.
        rules: { ...rules, forbiddenIds: new Set([...rules.forbiddenIds, maskId]) },
        prefixIds: request.prefixIds,
        context: request.context,
        canvas: openCanvas(request, request.prefixIds, request.context),
        done: [],
        doneProbabilities: [],
        folded: [],
        steps: 0,
        rows: 0,
      }
      if (signal.aborted) return reject(abortReason(signal))
      this.join(job)
    })
  }

  private join(job: Job): void {
    this.jobs.push(job)
    if (this.running) return
    this.running = true
    void this.loop()
  }

  private async loop(): Promise<void> {
    // Requests that arrive in the same turn share the first pass.
    await Promise.resolve()
    while (this.jobs.length > 0) {
      for (const job of this.jobs.filter(({ signal }) => signal.aborted))
        this.leave(job, () => job.reject(abortReason(job.signal)))
      if (this.jobs.length > 0) await this.step([...this.jobs])
    }
    this.running = false
  }

  private async step(jobs: readonly Job[]): Promise<void> {
    const asked = jobs.map(({ canvas, request }) => slotsToAsk(canvas, request.schedule))
    try {
      const stepJobs = jobs.map((job, i) => job.canvas.stepJob(asked[i]!, job.endIds))
      const aborted = allAborted(jobs.map(({ signal }) => signal))
      const predictions = await this.engine.step(stepJobs, aborted.signal).finally(aborted.end)
      for (const [i, job] of jobs.entries()) {
        if (job.signal.aborted) continue
        job.steps++
        job.rows += stepJobs[i]!.ids.length
        const outcome = commitLeftmostFirst(job.canvas, asked[i]!, predictions[i]!, job.request.schedule, job.rules)
        try {
          this.take(job, outcome)
        } catch (error) {
          this.leave(job, () => job.reject(error)) // its own listener failed; the others go on
        }
      }
    } catch (error) {
      for (const job of jobs) this.leave(job, () => job.reject(job.signal.aborted ? abortReason(job.signal) : error))
    }
  }

  private take(job: Job, outcome: CommitOutcome): void {
    const { maxTokens, floor } = job.request
    const filled = [...job.done, ...job.canvas.leadingRun()]
    const ids = filled.slice(0, maxTokens)
    const probabilities = [...job.doneProbabilities, ...job.canvas.leadingProbabilities()].slice(0, maxTokens)
    const { steps, rows } = job
    const finish = (how: Denoised['finish']) =>
      this.leave(job, () => job.resolve({ ids, probabilities, finish: how, steps, rows }))
    job.onStep({ ids, probabilities })
    if (product(probabilities) < floor) return finish('unsure')
    if (filled.length > maxTokens) return finish('length')
    if (outcome === 'ended' || outcome === 'stuck') return finish(outcome)
    if (filled.length === maxTokens) return finish('length')
    if (outcome === 'filled') void this.fold(job)
  }

  /** The job leaves the batch while its middle is encoded, and joins again with a new canvas. */
  private async fold(job: Job): Promise<void> {
    this.jobs.splice(this.jobs.indexOf(job), 1)
    try {
      const filled = job.canvas.leadingRun()
      const after = job.context.prefix
      const ids = [job.prefixIds.at(-1)!, ...filled.slice(0, -1)]
      const [encoding] = await this.engine.encode(
        [after === undefined ? { ids } : { ids, after, rows: job.prefixIds.length - 1 }],
        job.signal,
      )
      job.folded.push(encoding!.id)
      job.done.push(...filled)
      job.rules = { ...job.rules, clamp: clampAfter(job.request.rules.clamp, [...job.done]) }
      job.doneProbabilities.push(...job.canvas.leadingProbabilities())
      job.prefixIds = [...job.prefixIds, ...filled]
      job.context = { ...job.context, prefix: encoding!.id }
      job.canvas = openCanvas(job.request, job.prefixIds, job.context)
      this.join(job)
    } catch (error) {
      this.leave(job, () => job.reject(error))
    }
  }

  private leave(job: Job, settle: () => void): void {
    const at = this.jobs.indexOf(job)
    if (at >= 0) this.jobs.splice(at, 1)
    this.engine.release(job.folded)
    settle()
  }
}

function openCanvas(request: DenoiseRequest, prefixIds: TokenIds, context: CanvasContext): Canvas {
  return new Canvas(prefixIds, request.suffixIds.length, context, request.canvasSlots, request.maskId)
}

export function product(probabilities: readonly number[]): number {
  return probabilities.reduce((sofar, probability) => sofar * probability, 1)
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
