/**
 * From what a client asks to what becomes of it: the place in the document, the answer of modes and private files or the
 * session's, and whether that still fits the document when it comes. Knows nothing of items.
 */
import {
  type CancellationToken,
  type CompletionTriggerKind,
  ErrorCodes,
  LSPErrorCodes,
  ResponseError,
  type SelectedCompletionInfo,
  type TextDocumentPositionParams,
} from 'vscode-languageserver'
import { eitherSignal } from '../base/eitherSignal.ts'
import { Aborted, EngineGoneError, rejected } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { Settings } from '../config/settings.ts'
import type { Answer, InfillRequest, Snapshot } from '../session/session.ts'
import type { Documents } from './documents.ts'
import type { LazySession } from './lazySession.ts'
import { isPosition, isRange } from './positions.ts'
import type { Asked } from './triggers.ts'

export interface Answering {
  readonly documents: Documents
  readonly session: LazySession
  readonly settings: () => Settings
  readonly nearby: (snapshot: Snapshot) => readonly string[]
  /** The answer in place of the model's, where modes or private files have it so. */
  readonly instead: (asked: Asked, budgetMs: number) => Answer | undefined | Promise<Answer | undefined>
  readonly failed: (what: string, error: unknown) => void
  readonly log: Log
}

/** What a client asks. */
export interface Question extends Pick<InfillRequest, 'method' | 'invoked'> {
  readonly params: TextDocumentPositionParams
  readonly selected?: SelectedCompletionInfo | undefined
  readonly trigger?: CompletionTriggerKind | undefined
  readonly budgetMs: number
}

/** An answer that fits the document as it is. */
export interface Outcome {
  readonly request: InfillRequest
  readonly answer: Answer | { readonly kind: 'superseded' }
}

/**
 * @param closing fires when the server ends; then the outcome is superseded.
 * @throws {ResponseError} for a request that makes no sense, and where the client has cancelled.
 */
export async function outcomeOf(
  answering: Answering,
  question: Question,
  token: CancellationToken,
  closing: AbortSignal,
): Promise<Outcome> {
  const { documents, settings, log } = answering
  const { method, params, invoked, selected } = question
  const uri = params?.textDocument?.uri
  if (typeof uri !== 'string') throw invalid('wanted textDocument.uri')
  if (!isPosition(params.position)) throw invalid('wanted position: { line, character }')
  if (selected && !isSelection(selected)) throw invalid('wanted selectedCompletionInfo: { range, text }')
  const snapshot = documents.snapshot(uri)
  if (!snapshot) {
    log('warn', `${method}: a document was asked about that is not open`)
    const nowhere = { uri, languageId: '', version: 0, text: '' }
    return { request: { method, snapshot: nowhere, offset: 0, invoked }, answer: { kind: 'nothing', reason: '' } }
  }
  const request = {
    ...{ method, snapshot, offset: documents.offsetAt(uri, params.position), invoked },
    ...(selected ? { selected: { span: documents.spanAt(uri, selected.range), text: selected.text } } : {}),
  }
  const { signal, dispose } = signalOf(token, closing)
  try {
    const answer = await Promise.race([answerTo(answering, request, question, signal), rejected(signal)])
    if (answer.kind === 'nothing') log('debug', `${method}: nothing: ${answer.reason}`)
    if (answer.kind === 'completion' && settings().logText)
      log('debug', `${method}: ${JSON.stringify([answer.edit, ...(answer.others ?? [])].map(({ text }) => text))}`)
    return { request, answer: isCurrent(documents, snapshot) ? answer : { kind: 'superseded' } }
  } catch (error) {
    // Our own signal knows better than the session who gave up.
    const aborted = signal.aborted ? signal.reason : error
    if (!(aborted instanceof Aborted)) throw error
    if (aborted.why === 'cancelled') throw new ResponseError(LSPErrorCodes.RequestCancelled, 'cancelled')
    return { request, answer: { kind: 'superseded' } }
  } finally {
    dispose()
  }
}

async function answerTo(
  { documents, session: lazy, nearby, instead, failed }: Answering,
  request: InfillRequest,
  { trigger, budgetMs }: Question,
  signal: AbortSignal,
): Promise<Outcome['answer']> {
  if (signal.aborted) throw signal.reason
  const began = performance.now()
  const other = await instead({ ...request, trigger }, budgetMs)
  if (other) return other
  const spentMs = performance.now() - began
  // Editors hold up the menu for an answer; for ghost text nobody waits, and some ask once.
  const waits = request.method === 'inline'
  const session = await (waits ? lazy.whenOpen(request.snapshot.uri, signal) : lazy.within(budgetMs - spentMs))
  if (signal.aborted) throw signal.reason
  if (!session) return { kind: 'pending' }
  if (!isCurrent(documents, request.snapshot)) return { kind: 'superseded' }
  try {
    const beside = { nearby: nearby(request.snapshot) }
    return await session.request(
      { ...request, ...beside, waitedMs: waits ? spentMs : performance.now() - began },
      signal,
    )
  } catch (error) {
    if (error instanceof EngineGoneError)
      lazy.lost(session, error).catch((failure: unknown) => failed('closing the engine', failure))
    throw error
  }
}

/** An edit belongs to its snapshot; a document that has moved on asks anew. */
function isCurrent(documents: Documents, snapshot: Snapshot): boolean {
  return documents.snapshot(snapshot.uri) === snapshot
}

/** A token cancelled before its request was dispatched never fires its event, so its state is read first. */
function signalOf(token: CancellationToken, closing: AbortSignal): { signal: AbortSignal; dispose: () => void } {
  const controller = new AbortController()
  const cancel = () => controller.abort(new Aborted('cancelled'))
  const listening = token.onCancellationRequested(cancel)
  if (token.isCancellationRequested) cancel()
  const { signal, end } = eitherSignal(controller.signal, closing)
  return {
    signal,
    dispose() {
      listening.dispose()
      end()
    },
  }
}

function invalid(message: string): ResponseError<void> {
  return new ResponseError(ErrorCodes.InvalidParams, message)
}

function isSelection({ range, text }: SelectedCompletionInfo): boolean {
  return isRange(range) && typeof text === 'string'
}
