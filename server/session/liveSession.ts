/**
 * A session over a model: newest wins, one job per document, budgets, debounce, type-through.
 *
 * Both methods' requests at one snapshot share a job. A job outlives the requests whose budget it missed, so that the
 * next one finds it done; it ends when a newer snapshot of its document asks.
 */

import type { Clock } from '../base/clock.ts'
import { Aborted, abortReason } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { applyEdit, type TextEdit } from '../base/spans.ts'
import { CompletionCache, type KeptCompletion, type Place } from '../cache/completionCache.ts'
import { askedFor, type Filled, fillGap, type Rooms, unasked } from './fillGap.ts'
import type { Answer, InfillRequest, Session } from './session.ts'

/** All in milliseconds, from the arrival of a request. */
export interface SessionSettings {
  readonly completionBudgetMs: number
  readonly inlineBudgetMs: number
  readonly invokedBudgetMs: number
  readonly debounceMs: number
  readonly maxTokens: number
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
  readonly uri: string
  readonly place: Place
  readonly controller: AbortController
  readonly result: Promise<Filled>
  newest: number // of the requests that share it, in the order of their arrival
  shown: TextEdit | undefined // best so far
}

interface Waiting {
  readonly supersede: () => void
}

const completionCacheBytes = 8 * 1024 * 1024

export class LiveSession implements Session {
  private readonly rooms: Rooms
  private readonly completions = new CompletionCache(completionCacheBytes)
  private readonly jobs = new Map<string, Job>() // by document
  private readonly waiting = new Map<string, Waiting>() // by document and method
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

  forget(uri: string): void {
    this.jobs.get(uri)?.controller.abort(new Aborted('superseded'))
    this.completions.forget(uri)
  }

  async close(): Promise<void> {
    for (const { supersede } of this.waiting.values()) supersede()
    for (const { controller } of this.jobs.values()) controller.abort(new Aborted('closed'))
    await this.options.close()
  }

  private async answer(request: InfillRequest, signal: AbortSignal): Promise<Answer> {
    const began = this.options.clock.now()
    const arrival = ++this.arrivals
    const virtual = withSelection(request)
    const place = placeOf(request.snapshot.uri, virtual.text, virtual.offset, request.invoked)
    const kept = this.completions.get(place)
    if (kept) return answerOf(kept, virtual.offset, request)
    const { completionBudgetMs, inlineBudgetMs, invokedBudgetMs, debounceMs } = this.options.settings()
    const budget = request.invoked ? invokedBudgetMs : request.method === 'inline' ? inlineBudgetMs : completionBudgetMs
    const running = this.jobs.get(request.snapshot.uri)
    if (!(running && samePlace(running.place, place))) {
      // What runs for an older snapshot is of no use to anyone now.
      running?.controller.abort(new Aborted('superseded'))
      if (!request.invoked && debounceMs > 0) await this.options.clock.sleep(debounceMs, signal)
    }
    const job = this.jobFor(place, virtual, request.snapshot.languageId, arrival)
    const timeout = new AbortController()
    const left = Math.max(0, budget - (this.options.clock.now() - began))
    const budgetReached = this.options.clock.sleep(left, timeout.signal).then(
      () => 'budget' as const,
      () => 'budget' as const,
    )
    try {
      const ended = rejected(job.controller.signal) // sooner than its result, which waits for the pass in hand
      const first = await Promise.race([job.result, budgetReached, rejected(signal), ended])
      if (first !== 'budget') return answerOf(keptOf(first, virtual.offset), virtual.offset, request)
      if (!job.shown) return { kind: 'pending' }
      return answerOf(keptEdit(job.shown, virtual.offset), virtual.offset, request, true)
    } finally {
      timeout.abort()
    }
  }

  /**
   * The job of the document when it is at this place, else a new one.
   *
   * @throws {Aborted} when a request that came later, and did not pause as long, has a job elsewhere in the document.
   */
  private jobFor(place: Place, { text, offset }: Virtual, languageId: string, arrival: number): Job {
    const running = this.jobs.get(place.uri)
    const goesOn = running !== undefined && !running.controller.signal.aborted
    if (goesOn && samePlace(running.place, place)) {
      running.newest = Math.max(running.newest, arrival)
      return running
    }
    if (goesOn && running.newest > arrival) throw new Aborted('superseded')
    running?.controller.abort(new Aborted('superseded'))
    const controller = new AbortController()
    const { maxTokens } = this.options.settings()
    const certainty = place.scope === 'line' ? unasked : askedFor
    const request = { text, offset, languageId, scope: 'line' as const, maxTokens, certainty }
    const result = fillGap(this.rooms, request, controller.signal, (edit) => {
      job.shown = edit
    })
    const job: Job = { uri: place.uri, place, controller, result, newest: arrival, shown: undefined }
    this.jobs.set(place.uri, job)
    result
      .then(
        (filled) => {
          this.completions.set(place, keptOf(filled, offset))
          this.options.onFilled?.(filled)
          const { tokens, steps, encodedRows, ms } = filled
          this.options.log(
            'debug',
            `${filled.kind}: ${tokens} tokens, ${steps} steps, ${encodedRows} rows encoded, ${Math.round(ms.total)} ms`,
          )
        },
        (error: unknown) => {
          if (!(error instanceof Aborted)) this.options.log('error', `a completion failed: ${String(error)}`)
        },
      )
      .finally(() => {
        if (this.jobs.get(place.uri) === job) this.jobs.delete(place.uri)
      })
    return job
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

function placeOf(uri: string, text: string, offset: number, invoked: boolean): Place {
  const reach = 1024
  return {
    uri,
    scope: invoked ? 'line asked for' : 'line',
    before: text.slice(Math.max(0, offset - reach), offset),
    after: text.slice(offset, offset + reach),
  }
}

function samePlace(a: Place, b: Place): boolean {
  return a.uri === b.uri && a.scope === b.scope && a.before === b.before && a.after === b.after
}

function keptEdit({ span, text }: TextEdit, offset: number): KeptCompletion {
  return { text, replaceAfter: span.end - offset }
}

function keptOf(filled: Filled, offset: number): KeptCompletion {
  return filled.kind === 'completion'
    ? keptEdit(filled.edit, offset)
    : { text: '', replaceAfter: 0, reason: filled.reason }
}

/** Back from the virtual document: a chosen item is part of the edit. */
function answerOf(kept: KeptCompletion, offset: number, { selected }: InfillRequest, partial = false): Answer {
  if (kept.text === '') return { kind: 'nothing', reason: kept.reason ?? 'nothing was left to add' }
  if (!selected)
    return {
      kind: 'completion',
      partial,
      edit: { span: { start: offset, end: offset + kept.replaceAfter }, text: kept.text },
    }
  const span = { start: selected.span.start, end: selected.span.end + kept.replaceAfter }
  return { kind: 'completion', partial, edit: { span, text: selected.text + kept.text } }
}

function rejected(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const abort = () => reject(abortReason(signal))
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
  })
}
