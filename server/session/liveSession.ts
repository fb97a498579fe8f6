/**
 * A session over a model: newest wins, one job per document, budgets, debounce, type-through.
 *
 * Both methods' requests at one snapshot share a job. A job outlives the requests whose budget it missed, so that the
 * next one finds it done; it ends when a newer snapshot of its document asks, or when all who wait for it have cancelled.
 */
import type { Clock } from '../base/clock.ts'
import { Aborted, abortReason, messageOf, rejected } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { applyEdit, type TextEdit } from '../base/spans.ts'
import {
  CompletionCache,
  type Found,
  type KeptCompletion,
  type KeptText,
  type Place,
} from '../cache/completionCache.ts'
import { isBlockPlace } from '../infill/blockPlace.ts'
import { contextWindow } from '../infill/contextWindow.ts'
import { textWindowSize, windowSize } from '../infill/plan.ts'
import { fillText } from './askedTasks.ts'
import { type Candidates, fillCandidates } from './candidates.ts'
import { askedFor, type Filled, fillGap, type Rooms, unasked } from './fillGap.ts'
import { isWorthALook } from './gate.ts'
import { type Ahead, readAhead } from './readAhead.ts'
import type { Answer, InfillRequest, Session, Whereabouts } from './session.ts'
import { mostBegun } from './sessionModel.ts'
import { scoreTokens } from './unlikely.ts'

/** Times in milliseconds, from the arrival of a request. */
export interface SessionSettings {
  readonly completionBudgetMs: number
  readonly inlineBudgetMs: number
  readonly invokedBudgetMs: number
  readonly debounceMs: number
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

/** Candidates are known of what was asked for by hand. */
type Result = Filled & Partial<Pick<Candidates, 'others'>>

interface Job {
  readonly place: Place
  readonly controller: AbortController
  readonly result: Promise<Result>
  readonly invoked: boolean
  shown: TextEdit | undefined // best so far
  waiting: number // requests
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
  private arrivals = 0

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
    for (const { supersede } of this.waiting.values()) supersede()
    for (const { controller } of this.jobs.values()) controller.abort(new Aborted('closed'))
    for (const reader of this.readers.values()) reader.abort(new Aborted('closed'))
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
    const filled = this.work(request, virtual, place, signal)
    filled.catch(() => {}) // told to those who still wait
    try {
      const first = await Promise.race([filled, budgetReached, rejected(signal)])
      if (first !== 'budget') {
        this.readNext(place.uri, virtual)
        return answerOf(keptOf(first, offset, showAbove), offset, request)
      }
      const job = this.jobs.get(place.uri)
      if (!job || !samePlace(job.place, place)) return { kind: 'pending' }
      job.wantedLater = true
      const hides = !request.invoked && showAbove > 0
      if (!job.shown || (hides && !isWorthALook(job.shown.text))) return { kind: 'pending' }
      const partial: KeptCompletion = { ...keptText(job.shown, offset), kind: 'partial' }
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

  /** The document's job at this place, after the pause where a new one must begin. */
  private async work(request: InfillRequest, virtual: Virtual, place: Place, signal: AbortSignal): Promise<Result> {
    const { clock, settings } = this.options
    const arrival = ++this.arrivals
    this.newest.set(place.uri, { arrival, place })
    if (!this.joinable(place, request.invoked)) {
      // What runs for an older snapshot is of no use to anyone now.
      this.jobs.get(place.uri)?.controller.abort(new Aborted('superseded'))
      const { debounceMs } = settings()
      if (!request.invoked && debounceMs > 0) {
        this.readAhead(place.uri, virtual, 'both') // only the steps wait for the pause
        await clock.sleep(debounceMs, signal)
      }
      const newest = this.newest.get(place.uri)
      if (newest && newest.arrival > arrival && !samePlace(newest.place, place)) throw new Aborted('superseded')
    }
    const job = this.joinable(place, request.invoked) ?? this.begin(place, virtual, request)
    job.waiting++
    try {
      // A job that ends is told at once, not after the pass in hand.
      return await Promise.race([job.result, rejected(job.controller.signal), rejected(signal)])
    } finally {
      job.waiting--
      const cancelled = signal.aborted && abortReason(signal).why === 'cancelled'
      if (cancelled && job.waiting === 0 && !job.wantedLater) job.controller.abort(new Aborted('cancelled'))
    }
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
        if (!(error instanceof Aborted)) this.options.log('warn', `reading ahead failed: ${messageOf(error)}`)
      })
      .finally(() => {
        if (this.readers.get(uri) === reader) this.readers.delete(uri)
      })
  }

  private begin(place: Place, { text, offset }: Virtual, { invoked, snapshot }: InfillRequest): Job {
    this.jobs.get(place.uri)?.controller.abort(new Aborted('superseded'))
    this.readers.get(place.uri)?.abort(new Aborted('superseded')) // it goes on as what is waited for
    const controller = new AbortController()
    const { maxTokens, showAbove } = this.options.settings()
    const gap = {
      text,
      offset,
      languageId: snapshot.languageId,
      scope: invoked && isBlockPlace(text, offset) ? ('block' as const) : ('line' as const),
      maxTokens,
      certainty: invoked ? askedFor : unasked(showAbove),
    }
    const onProgress = (edit: TextEdit) => {
      job.shown = edit
    }
    const fill = invoked ? fillCandidates : fillGap
    const result: Promise<Result> = fill(this.rooms, gap, controller.signal, onProgress)
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
      .then(
        (filled) => this.finished(place, offset, filled),
        (error: unknown) => {
          if (!(error instanceof Aborted)) this.options.log('error', `a completion failed: ${String(error)}`)
        },
      )
      .finally(() => {
        if (this.jobs.get(place.uri) === job) this.jobs.delete(place.uri)
      })
    return job
  }

  private finished(place: Place, offset: number, filled: Result): void {
    this.completions.set(place, keptOf(filled, offset, this.options.settings().showAbove))
    this.options.onFilled?.(filled)
    const { kind, tokens, steps, encodedRows, ms } = filled
    const took = `${tokens} tokens, ${steps} steps, ${encodedRows} rows encoded, ${Math.round(ms.total)} ms`
    this.options.log('debug', `${kind}: ${took}`)
  }
}

/** The document as it would be with the editor's chosen menu item in it. */
interface Virtual {
  readonly text: string
  readonly offset: number
}

function withSelection({ snapshot, offset, selected }: InfillRequest): Virtual {
  if (!selected) return { text: snapshot.text, offset }
  return { text: applyEdit(snapshot.text, selected), offset: selected.span.start + selected.text.length }
}

/** Whether what is kept answers a request, or the model must be asked. */
function serves({ kept, typed }: Found, invoked: boolean): boolean {
  if (invoked) return kept.others !== undefined
  return kept.kind !== 'partial' || typed > 0
}

function samePlace(a: Place, b: Place): boolean {
  return a.uri === b.uri && a.scope === b.scope && a.before === b.before && a.after === b.after
}

function keptText({ span, text }: TextEdit, offset: number): KeptText {
  return { text, replaceAfter: span.end - offset }
}

function keptOf(filled: Result, offset: number, showAbove: number): KeptCompletion {
  const kind: KeptCompletion['kind'] = filled.finish === 'unsure' ? 'unsure' : 'whole'
  const others = filled.others?.map((edit) => keptText(edit, offset))
  const asked = others ? { others } : {}
  if (filled.kind === 'nothing') return { text: '', replaceAfter: 0, reason: filled.reason, kind, ...asked }
  const kept: KeptCompletion = { ...keptText(filled.edit, offset), kind, ...asked }
  return kind === 'unsure' && showAbove > 0 && !isWorthALook(kept.text) ? { ...kept, hidden: true } : kept
}

/** Back from the virtual document: a chosen item is part of the edit. */
function answerOf(kept: KeptCompletion, offset: number, { selected }: InfillRequest): Answer {
  const partial = kept.kind === 'partial'
  if (kept.hidden) return { kind: 'nothing', reason: 'too little is sure to be worth a look' }
  if (kept.text === '') return { kind: 'nothing', reason: kept.reason ?? 'nothing was left to add' }
  const editOf = ({ text, replaceAfter }: KeptText): TextEdit => {
    if (!selected) return { span: { start: offset, end: offset + replaceAfter }, text }
    return { span: { start: selected.span.start, end: selected.span.end + replaceAfter }, text: selected.text + text }
  }
  const others = kept.others?.map(editOf) ?? []
  return { kind: 'completion', partial, edit: editOf(kept), ...(others.length > 0 ? { others } : {}) }
}
