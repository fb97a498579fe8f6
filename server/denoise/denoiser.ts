/**
 * The batch loop: jobs from all requests advance together, one forward pass a step; a job joins or leaves between two
 * steps. A canvas that fills up without an end is folded into the prefix, and the next one opens with the suffix still in
 * sight.
 */
import { abortReason } from '../base/errors.ts'
import type { Engine, Prediction, StepJob, TokenIds } from '../engine/engine.ts'
import { type CanvasContext, surround } from './canvasContext.ts'
import { clampAfter } from './commitRules.ts'
import type { Filling, FillingRules, Outcome } from './filling.ts'
import { checkLength, type Length, openFilling } from './length.ts'
import type { Schedule } from './schedule.ts'
import type { Surroundings } from './surroundings.ts'

export interface DenoiseRequest {
  readonly prefixIds: TokenIds // at least one
  readonly suffixIds: TokenIds
  readonly context: CanvasContext
  readonly length: Length
  readonly maxTokens: number
  /** The middle ends where the product of its tokens' probabilities falls below this. */
  readonly floor: number
  readonly maskId: number
  readonly schedule: Schedule
  readonly rules: FillingRules['rules']
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
  readonly rows: number // computed over all steps
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
  readonly rules: FillingRules
  readonly surroundings: Surroundings
  readonly done: number[] // middles of the canvases folded so far
  readonly doneProbabilities: number[]
  filling: Filling
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
    const { schedule, rules, maskId, length } = request
    if (schedule.kind === 'leftmost-first' && !(schedule.window >= 1))
      throw new RangeError('a schedule needs a window of at least one slot')
    checkLength(length)
    // A committed mask would leave its slot open, for ever.
    const forbiddenIds = new Set([...rules.forbiddenIds, maskId])
    const fillingRules: FillingRules = { schedule, maskId, rules: { ...rules, forbiddenIds } }
    return new Promise((resolve, reject) => {
      const job: Job = {
        request,
        signal,
        onStep,
        endIds: [...rules.endIds],
        resolve,
        reject,
        rules: fillingRules,
        surroundings: surround(this.engine, request.prefixIds, request.suffixIds, request.context),
        done: [],
        doneProbabilities: [],
        filling: openFilling(length, fillingRules),
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
    try {
      const stepJobs = jobs.map(nextStepJobs)
      const aborted = allAborted(jobs.map(({ signal }) => signal))
      const predictions = await this.engine.step(stepJobs.flat(), aborted.signal).finally(aborted.end)
      let taken = 0
      for (const [i, job] of jobs.entries()) {
        const mine = predictions.slice(taken, (taken += stepJobs[i]!.length))
        for (const prediction of mine) job.surroundings.took(prediction)
        if (job.signal.aborted) continue
        job.steps++
        for (const { ids } of stepJobs[i]!) job.rows += ids.length
        try {
          this.take(job, mine)
        } catch (error) {
          this.leave(job, () => job.reject(error)) // its own listener failed; the others go on
        }
      }
    } catch (error) {
      for (const job of jobs) this.leave(job, () => job.reject(job.signal.aborted ? abortReason(job.signal) : error))
    }
  }

  private take(job: Job, predictions: readonly Prediction[]): void {
    const { maxTokens, floor } = job.request
    const outcome: Outcome = job.filling.take(predictions)
    const { canvas } = job.filling
    const filled = [...job.done, ...canvas.leadingRun()]
    const ids = filled.slice(0, maxTokens)
    const probabilities = [...job.doneProbabilities, ...canvas.leadingProbabilities()].slice(0, maxTokens)
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

  /** The job leaves the batch while its middle is taken into the prefix, and joins again with a new canvas. */
  private async fold(job: Job): Promise<void> {
    this.jobs.splice(this.jobs.indexOf(job), 1)
    try {
      const { canvas } = job.filling
      await job.surroundings.fold(canvas.leadingRun(), job.signal)
      job.done.push(...canvas.leadingRun())
      job.doneProbabilities.push(...canvas.leadingProbabilities())
      const clamp = clampAfter(job.request.rules.clamp, [...job.done])
      job.filling = openFilling(job.request.length, { ...job.rules, rules: { ...job.rules.rules, clamp } })
      this.join(job)
    } catch (error) {
      this.leave(job, () => job.reject(error))
    }
  }

  private leave(job: Job, settle: () => void): void {
    const at = this.jobs.indexOf(job)
    if (at >= 0) this.jobs.splice(at, 1)
    job.surroundings.end()
    settle()
  }
}

function nextStepJobs({ filling, surroundings, endIds }: Job): StepJob[] {
  const asked = filling.ask()
  if (asked.length === 1) return [surroundings.stepJob(asked[0]!, endIds)]
  return asked.map((candidate) => surroundings.probeJob(candidate, endIds))
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
