/**
 * A session over a model: newest wins, one job per document, budgets, debounce, type-through.
 *
 * Both methods' requests at one snapshot share a job. A job outlives the requests whose budget it missed, so that the
 * next one finds it done; it ends when a newer snapshot of its document asks, or when all who wait for it have cancelled.
 */
import type { Clock } from '../base/clock.ts'
import { Aborted, abortReason, detailsOf, messageOf, rejected } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { TextEdit } from '../base/spans.ts'
import { CompletionCache, type KeptCompletion, type KeptText, type Place } from '../cache/completionCache.ts'
import { isBlockPlace } from '../infill/blockPlace.ts'
import { contextWindow } from '../infill/contextWindow.ts'
import { textWindowSize, windowSize } from '../infill/plan.ts'
import { fillText } from './askedTasks.ts'
import { type Candidates, fillCandidates } from './candidates.ts'
import { fillGap, type Rooms } from './fillGap.ts'
import { askedFor, type Filled, unasked } from './gaps.ts'
import { isWorthALook } from './gate.ts'
import { answerOf, keptOf, keptText, samePlace, serves, type Virtual, withSelection } from './keptAnswers.ts'
import { Pause } from './pause.ts'
import { type Ahead, readAhead } from './readAhead.ts'
import type { Answer, InfillRequest, Session, Whereabouts } from './session.ts'
import { mostBegun } from './sessionModel.ts'
import { scoreTokens } from './unlikely.ts'

/** Times in milliseconds, from the arrival of a request. */
export interface SessionSettings {
  readonly completionBudgetMs: number
  readonly inlineBudgetMs: number
  readonly invokedBudgetMs: number
  readonly debounceMs?: number | undefined // default: 0 where passes can be stopped, else what `pause.ts` says
  readonly clientDelayMs?: number // what the client rests by itself; counts as part of it (default 0)
  readonly maxTokens: number
  readonly showAbove: number // probability that what nobody asked for is right
}

export interface LiveSessionOptions {
  /** In force at the moment of the call. */
  readonly settings: () => SessionSettings
  readonly clock: Clock
  readonly log: Log
  /** Frees the engine. */
  readonly close: () => Promise<void>
  /** Told of every gap that the model filled; for benches. */
  readonly onFilled?: (filled: Filled) => void
}

interface Job {
  readonly place: Place
  readonly controller: AbortController
  readonly result: Promise<KeptCompletion>
  readonly invoked: boolean
  shown: KeptText | undefined // best so far
  waiting: number // requests that will hear what becomes of it
  wantedLater: boolean // a request whose budget it missed will ask again
}

/** The newest request of a document that needs the model. */
interface Newest {
  readonly arrival: number
  readonly place: Place
}

interface Waiting {
  readonly supersede: () => void
}

const completionCacheBytes = 8 * 1024 * 1024
/** Until an answer has gone out: what is read while it is looked at must not hold it up. */
const answerMs = 5

export class LiveSession implements Session {
  private readonly rooms: Rooms
  private readonly completions = new CompletionCache(completionCacheBytes)
  private readonly jobs = new Map<string, Job>() // by document
  private readonly newest = new Map<string, Newest>() // by document
  private readonly waiting = new Map<string, Waiting>() // by method and document
  private readonly readers = new Map<string, AbortController>() // ahead of requests, by document
  private readonly options: LiveSessionOptions
  private readonly pause = new Pause()
  private arrivals = 0
  private closed = false

  constructor(rooms: Rooms, options: LiveSessionOptions) {
    this.rooms = rooms
    this.options = options
  }

  async request(request: InfillRequest, signal: AbortSignal): Promise<Answer> {
    const { method, snapshot } = request
    const key = `${method} ${snapshot.uri}`
    const controller = new AbortController()
    const mine: Waiting = { supersede: () => controller.abort(new Aborted('superseded')) }
    const cancel = () => controller.abort(new Aborted('cancelled'))
    if (signal.aborted) throw new Aborted('cancelled')
    signal.addEventListener('abort', cancel, { once: true })
    this.waiting.get(key)?.supersede()
    this.waiting.set(key, mine)
    try {
      return await this.answer(request, controller.signal)
    } finally {
      signal.removeEventListener('abort', cancel)
      if (this.waiting.get(key) === mine) this.waiting.delete(key)
    }
  }

  prepare({ snapshot, offset, typing }: Whereabouts): void {
    const virtual = { text: snapshot.text, offset }
    const place = this.placeOf(snapshot.uri, virtual)
    const newest = this.newest.get(place.uri)
    // What is known is answered without the model; what was asked for here reads for itself.
    if (this.completions.get(place) || (newest && samePlace(newest.place, place))) return
    this.readAhead(snapshot.uri, virtual, typing ? 'both' : 'prefix')
  }

  fill(...task: Parameters<Session['fill']>) {
    return fillText(this.rooms, ...task)
  }

  scoreTokens(...task: Parameters<Session['scoreTokens']>) {
    return scoreTokens(this.rooms, ...task)
  }

  forget(uri: string): void {
    for (const method of ['completion', 'inline']) this.waiting.get(`${method} ${uri}`)?.supersede()
    this.jobs.get(uri)?.controller.abort(new Aborted('superseded'))
    this.readers.get(uri)?.abort(new Aborted('superseded'))
    this.newest.delete(uri)
    this.completions.forget(uri)
  }

  async close(): Promise<void> {
    this.closed = true // what fails from now on fails for that
    for (const { supersede } of this.waiting.values()) supersede()
    for (const { controller } of this.jobs.values()) controller.abort(new Aborted('closed'))
    for (const reader of this.readers.values()) reader.abort(new Aborted('closed'))
    this.newest.clear()
    await this.options.close()
  }

  private async answer(request: InfillRequest, signal: AbortSignal): Promise<Answer> {
    const { clock, settings } = this.options
    const { completionBudgetMs, inlineBudgetMs, invokedBudgetMs, showAbove } = settings()
    const virtual = withSelection(request)
    const { offset } = virtual
    const place = this.placeOf(request.snapshot.uri, virtual)
    const found = this.completions.get(place)
    if (found && serves(found, request.invoked)) {
      this.readNext(place.uri, virtual)
      return answerOf(found.kept, offset, request)
    }
    const budget = request.invoked ? invokedBudgetMs : request.method === 'inline' ? inlineBudgetMs : completionBudgetMs
    const timeout = new AbortController()
    const budgetReached = clock.sleep(Math.max(0, budget - (request.waitedMs ?? 0)), timeout.signal).then(
      () => 'budget' as const,
      () => 'budget' as const,
    )
    const filled = this.work(request, virtual, place, budgetReached, signal)
    filled.catch(() => {}) // told to those who still wait
    try {
      const first = await Promise.race([filled, budgetReached, rejected(signal)])
      if (first !== 'budget') {
        this.readNext(place.uri, virtual)
        return answerOf(first, offset, request)
      }
      const running = this.jobs.get(place.uri)
      const shown = running && samePlace(running.place, place) ? running.shown : undefined
      const hides = !request.invoked && showAbove > 0
      if (!shown || (hides && !isWorthALook(shown.text))) return { kind: 'pending' }
      const partial: KeptCompletion = { ...shown, kind: 'partial' }
      this.completions.set(place, partial)
      return answerOf(partial, offset, request)
    } finally {
      timeout.abort()
    }
  }

  /** All that the answer depends on. */
  private placeOf(uri: string, { text, offset }: Virtual): Place {
    const { maxTokens, showAbove } = this.options.settings()
    const { start, end } = contextWindow(text, offset, this.rooms.elsewhere ? textWindowSize : windowSize)
    const scope = `line of ${maxTokens} above ${showAbove}`
    return { uri, scope, before: text.slice(start, offset), after: text.slice(offset, end) }
  }

  /** What the document's job at this place comes to within the budget; after the pause where a new one must begin. */
  private async work(
    request: InfillRequest,
    virtual: Virtual,
    place: Place,
    budgetReached: Promise<'budget'>,
    signal: AbortSignal,
  ): Promise<KeptCompletion | 'budget'> {
    const { clock, settings } = this.options
    const arrival = ++this.arrivals
    this.newest.set(place.uri, { arrival, place })
    if (!this.joinable(place, request.invoked)) {
      // What runs for an older snapshot is of no use to anyone now.
      this.jobs.get(place.uri)?.controller.abort(new Aborted('superseded'))
      const { debounceMs, clientDelayMs = 0 } = settings()
      const restMs = (debounceMs ?? (this.isFilledElsewhere() ? this.pause.ms : 0)) - clientDelayMs
      if (!request.invoked && restMs > 0) {
        this.readAhead(place.uri, virtual, 'both') // only the steps wait for the pause
        await clock.sleep(restMs, signal)
      }
      const newest = this.newest.get(place.uri)
      if (!newest) throw new Aborted('superseded') // the document was closed, or the session
      if (newest.arrival > arrival && !samePlace(newest.place, place)) throw new Aborted('superseded')
    }
    const job = this.joinable(place, request.invoked) ?? this.begin(place, virtual, request)
    job.waiting++
    try {
      // A job that ends is told at once, not after the pass in hand.
      const first = await Promise.race([job.result, rejected(job.controller.signal), budgetReached, rejected(signal)])
      if (first === 'budget') job.wantedLater = true
      return first
    } finally {
      job.waiting--
      const cancelled = signal.aborted && abortReason(signal).why === 'cancelled'
      if (cancelled && job.waiting === 0 && !job.wantedLater) job.controller.abort(new Aborted('cancelled'))
    }
  }

  private isFilledElsewhere(): boolean {
    const { elsewhere, loop } = this.rooms
    return elsewhere !== undefined || (loop?.available ?? false)
  }

  /** The running job at this place. One that stops when unsure is of no use to a request by hand. */
  private joinable(place: Place, invoked: boolean): Job | undefined {
    const job = this.jobs.get(place.uri)
    const fits = job && !job.controller.signal.aborted && samePlace(job.place, place) && (job.invoked || !invoked)
    return fits ? job : undefined
  }

  /** Behind an answer; of use only where the next token may begin the canvas anew. */
  private readNext(uri: string, virtual: Virtual): void {
    if (mostBegun(this.rooms.model) > 0) this.readAhead(uri, virtual, 'next')
  }

  /** In place of what was read ahead in the document before. */
  private readAhead(uri: string, virtual: Virtual, ahead: Ahead): void {
    this.readers.get(uri)?.abort(new Aborted('superseded'))
    const reader = new AbortController()
    this.readers.set(uri, reader)
    const read = () => readAhead(this.rooms, virtual, ahead, reader.signal)
    const reading = ahead === 'next' ? this.options.clock.sleep(answerMs, reader.signal).then(read) : read()
    reading
      .catch((error: unknown) => {
        // Nobody waits for it: the next request meets the same, and tells.
        if (!(error instanceof Aborted || this.closed))
          this.options.log('warn', `reading ahead failed: ${messageOf(error)}`)
      })
      .finally(() => {
        if (this.readers.get(uri) === reader) this.readers.delete(uri)
      })
  }

  private begin(place: Place, { text, offset }: Virtual, { invoked, snapshot, nearby = [] }: InfillRequest): Job {
    this.jobs.get(place.uri)?.controller.abort(new Aborted('superseded'))
    this.readers.get(place.uri)?.abort(new Aborted('superseded')) // it goes on as what is waited for
    const controller = new AbortController()
    const { maxTokens, showAbove } = this.options.settings()
    const gap = {
      ...{ text, nearby, offset },
      languageId: snapshot.languageId,
      scope: invoked && isBlockPlace(text, offset) ? ('block' as const) : ('line' as const),
      maxTokens,
      certainty: invoked ? askedFor : unasked(showAbove),
    }
    const onProgress = (edit: TextEdit) => {
      job.shown = keptText(edit, offset)
    }
    const fill = invoked ? fillCandidates : fillGap
    const filling: Promise<Filled | Candidates> = fill(this.rooms, gap, controller.signal, onProgress)
    const result = filling.then((filled) => this.finished(place, offset, filled))
    const job: Job = {
      place,
      controller,
      result,
      invoked,
      shown: undefined,
      waiting: 0,
      wantedLater: false,
    }
    this.jobs.set(place.uri, job)
    result
      .catch((error: unknown) => {
        if (error instanceof Aborted || this.closed) return
        // Whoever waits is told, and tells; of what nobody waits for any more this is the only word.
        if (job.waiting === 0) this.options.log('error', `a completion failed: ${detailsOf(error)}`)
      })
      .finally(() => {
        if (this.jobs.get(place.uri) === job) this.jobs.delete(place.uri)
      })
    return job
  }

  private finished(place: Place, offset: number, filled: Filled | Candidates): KeptCompletion {
    const completion = keptOf(filled, offset, this.options.settings().showAbove)
    this.completions.set(place, completion)
    this.pause.took(filled.ms.total)
    this.options.onFilled?.(filled)
    const { kind, tokens, steps, encodedRows, ms } = filled
    const took = `${tokens} tokens, ${steps} steps, ${encodedRows} rows encoded, ${Math.round(ms.total)} ms`
    this.options.log('debug', `${kind}: ${took}`)
    return completion
  }
}
