/**
 * What `lsp/` and `cli/` see of a session: one request in, one answer out. Offsets and strings only, no LSP.
 */
import type { Span, TextEdit } from '../base/spans.ts'
import type { FilledText } from '../infill/actions/layOut.ts'
import type { FillRequest } from './askedTasks.ts'
import type { ScoredToken, UnlikelyRequest } from './unlikely.ts'

/** A document's text at one version; never changes. */
export interface Snapshot {
  readonly uri: string
  readonly languageId: string
  readonly version: number
  readonly text: string
}

export interface InfillRequest {
  /** The newest request of a (document, method) pair supersedes the one before. Both methods share one job. */
  readonly method: 'completion' | 'inline'
  readonly snapshot: Snapshot
  readonly offset: number // UTF-16 code units into `snapshot.text`
  /** Asked for by hand: no debounce, a longer budget, whatever the model has to say. */
  readonly invoked: boolean
  /** Texts of other documents that may say what comes next, the nearest first; LF line ends only (default: none). */
  readonly nearby?: readonly string[]
  /** What of the budget was spent before the session saw the request, in milliseconds. */
  readonly waitedMs?: number
  /** The chosen item of the editor's menu: it would replace `span`; the completion must begin with `text`. */
  readonly selected?: { readonly span: Span; readonly text: string }
}

export type Answer =
  /**
   * `edit` belongs to the request's snapshot, and so do the `others` to choose from, which are looked for when asked by hand;
   * `partial` when the budget cut it short and more is being made.
   */
  | {
      readonly kind: 'completion'
      readonly edit: TextEdit
      readonly others?: readonly TextEdit[]
      readonly partial: boolean
    }
  /** Nothing to offer, on purpose; `reason` is for the log. */
  | { readonly kind: 'nothing'; readonly reason: string }
  /** The budget was reached before anything could be shown; the work goes on, ask again. */
  | { readonly kind: 'pending' }

/** Where somebody is, who has not asked for anything. */
export interface Whereabouts {
  readonly snapshot: Snapshot
  readonly offset: number // UTF-16 code units into `snapshot.text`
  /** Typed there just now, and may ask next; otherwise the cursor merely rests. */
  readonly typing: boolean
}

export interface Session {
  /**
   * Resolves within the method's budget.
   *
   * @throws {Aborted} superseded by a newer request, or cancelled by `signal`.
   * @throws {EngineError} when the engine failed; the next request tries again.
   */
  request(request: InfillRequest, signal: AbortSignal): Promise<Answer>
  /**
   * Reads the context around a place, so that a request there finds it read. Returns at once and never fails; the model
   * predicts nothing. The newest of a document counts, and everything that is waited for goes first.
   */
  prepare(whereabouts: Whereabouts): void
  /**
   * Fills the holes of a text that is nobody's document yet, for a command.
   *
   * @param onProgress UTF-16 units written so far.
   * @returns one for each hole, `undefined` where there is nothing to put.
   * @throws {Aborted} when the signal fires.
   */
  fill(
    request: FillRequest,
    signal: AbortSignal,
    onProgress: (writtenUnits: number) => void,
  ): Promise<readonly (FilledText | undefined)[]>
  /**
   * How likely each token of a span is, with the true text on both sides of it.
   *
   * @throws {Aborted} when the signal fires.
   */
  scoreTokens(
    request: UnlikelyRequest,
    signal: AbortSignal,
    onProgress: (done: number, of: number) => void,
  ): Promise<readonly ScoredToken[]>
  /** The document was closed: drops what is kept for it. */
  forget(uri: string): void
  /** Supersedes all requests, waits for the pass in hand, frees the engine. */
  close(): Promise<void>
}
