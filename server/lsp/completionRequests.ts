/**
 * From request to reply, for both methods. The contract: every path answers exactly once, and what a path looks like on
 * the wire is decided here alone.
 *
 * | outcome | textDocument/completion | textDocument/inlineCompletion |
 * |---|---|---|
 * | nothing | an empty list | an empty list |
 * | pending, superseded | empty and incomplete: the editor asks again | RequestCancelled: what is shown stays |
 * | cancelled by the client | RequestCancelled | RequestCancelled |
 * | error | InternalError | InternalError |
 *
 * (RequestCancelled would close Neovim's menu; an empty list would erase its ghost text.)
 */
import {
  type CancellationToken,
  type Command,
  type CompletionList,
  type CompletionTriggerKind,
  ErrorCodes,
  type InlineCompletionItem,
  type InlineCompletionList,
  InlineCompletionTriggerKind,
  LSPErrorCodes,
  ResponseError,
  type SelectedCompletionInfo,
  type TextDocumentPositionParams,
} from 'vscode-languageserver'
import { eitherSignal } from '../base/eitherSignal.ts'
import { Aborted, EngineGoneError, messageOf, rejected } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { TextEdit } from '../base/spans.ts'
import type { Settings } from '../config/settings.ts'
import type { Answer, InfillRequest, Snapshot } from '../session/session.ts'
import type { ClientProfile } from './clientProfiles.ts'
import { completionItem } from './completionItem.ts'
import type { Documents } from './documents.ts'
import { inlineItem } from './inlineItem.ts'
import type { LazySession } from './lazySession.ts'
import { isPosition, isRange } from './positions.ts'
import type { Asked } from './triggers.ts'

/** What answering needs to know of the client, and how it tells of failures. */
export interface Client {
  readonly settings: () => Settings
  readonly profile: () => ClientProfile
  /** Why requests are refused now: before `initialize`, after `shutdown`. */
  readonly refusal: () => ResponseError<void> | undefined
  readonly failed: (what: string, error: unknown) => void
  /** The answer in place of the model's, where modes or private files have it so. */
  readonly instead: (asked: Asked, budgetMs: number) => Answer | undefined | Promise<Answer | undefined>
  /** Told of each reply as it begins to be made. */
  readonly replying: (what: string, reply: Promise<unknown>) => void
  /** For an item of so many UTF-16 units: what the client is to run when it was taken, if it does that. */
  readonly acceptCommand: (units: number) => Command | undefined
  readonly log: Log
}

/** Neovim's menu and Helix ask as "invoked" when they ask again by themselves, so for the menu the word says nothing. */
type CompletionAsked = TextDocumentPositionParams & {
  readonly context?: { readonly triggerKind?: CompletionTriggerKind } | null
}

type InlineAsked = TextDocumentPositionParams & {
  readonly context?: {
    readonly triggerKind?: InlineCompletionTriggerKind
    readonly selectedCompletionInfo?: SelectedCompletionInfo | null
  } | null
}

interface How {
  readonly invoked: boolean
  readonly selected: SelectedCompletionInfo | undefined
  readonly trigger: CompletionTriggerKind | undefined
}

type Completed = Extract<Answer, { kind: 'completion' }>

/** The best first. */
function editsOf({ edit, others = [] }: Completed): readonly TextEdit[] {
  return [edit, ...others]
}

/** An answer that still fits the document. */
type Outcome = { readonly request: InfillRequest; readonly answer: Answer | { readonly kind: 'superseded' } }

const empty: Outcome['answer'] = { kind: 'nothing', reason: '' }

export class CompletionRequests {
  private readonly documents: Documents
  private readonly session: LazySession
  private readonly client: Client
  private readonly closing = new AbortController()
  private readonly inHand = new Set<Promise<unknown>>()

  constructor(documents: Documents, session: LazySession, client: Client) {
    this.documents = documents
    this.session = session
    this.client = client
  }

  completion(params: CompletionAsked, token: CancellationToken): Promise<CompletionList> {
    return this.guard('completion', async () => {
      const { completion, completionBudgetMs } = this.client.settings()
      if (!completion) return { isIncomplete: false, items: [] }
      const trigger = params.context?.triggerKind
      const how = { invoked: false, trigger, selected: undefined }
      const outcome = await this.ask('completion', params, how, completionBudgetMs, token)
      const { answer, request } = outcome
      switch (answer.kind) {
        case 'completion': {
          const { uri } = request.snapshot
          const items = editsOf(answer).flatMap((edit, i) => {
            const item = completionItem(this.documents, uri, request.offset, edit, this.client.profile(), i)
            return item ? [item] : []
          })
          if (items.length === 0)
            this.client.log('debug', 'completion: the edit does not fit on the line, or changes nothing')
          return { isIncomplete: answer.partial, items }
        }
        case 'nothing':
          return { isIncomplete: false, items: [] }
        case 'pending':
        case 'superseded':
          return { isIncomplete: true, items: [] }
      }
    })
  }

  inline(params: InlineAsked, token: CancellationToken): Promise<InlineCompletionList> {
    return this.guard('inlineCompletion', async () => {
      const { inline, inlineBudgetMs, invokedBudgetMs } = this.client.settings()
      if (!inline) return { items: [] }
      const invoked = params.context?.triggerKind === InlineCompletionTriggerKind.Invoked
      const budget = invoked ? invokedBudgetMs : inlineBudgetMs
      const selected = params.context?.selectedCompletionInfo ?? undefined
      const { answer, request } = await this.ask(
        'inline',
        params,
        { invoked, selected, trigger: undefined },
        budget,
        token,
      )
      switch (answer.kind) {
        case 'completion': {
          const items = editsOf(answer).flatMap((edit) => {
            const item = inlineItem(this.documents, request.snapshot.uri, request.offset, edit)
            const command = item && this.client.acceptCommand(lengthOf(item))
            return item ? [{ ...item, ...(command ? { command } : {}) }] : []
          })
          if (items.length === 0)
            this.client.log('debug', 'inline: the edit does not fit on the line, or changes nothing')
          return { items }
        }
        case 'nothing':
          return { items: [] }
        case 'pending':
        case 'superseded':
          throw new ResponseError(LSPErrorCodes.RequestCancelled, answer.kind)
      }
    })
  }

  /** Answers what is in hand as superseded, and resolves once that has happened. */
  async close(): Promise<void> {
    this.closing.abort(new Aborted('closed'))
    await Promise.allSettled(this.inHand)
  }

  private async ask(
    method: 'completion' | 'inline',
    params: TextDocumentPositionParams,
    { invoked, selected, trigger }: How,
    budgetMs: number,
    token: CancellationToken,
  ): Promise<Outcome> {
    const uri = params?.textDocument?.uri
    if (typeof uri !== 'string') throw invalid('wanted textDocument.uri')
    if (!isPosition(params.position)) throw invalid('wanted position: { line, character }')
    if (selected && !isSelection(selected)) throw invalid('wanted selectedCompletionInfo: { range, text }')
    const snapshot = this.documents.snapshot(uri)
    const request = {
      method,
      snapshot: snapshot ?? { uri, languageId: '', version: 0, text: '' },
      offset: snapshot ? this.documents.offsetAt(uri, params.position) : 0,
      invoked,
      ...(selected && snapshot
        ? { selected: { span: this.documents.spanAt(uri, selected.range), text: selected.text } }
        : {}),
    }
    if (!snapshot) {
      this.client.log('warn', `${method}: a document was asked about that is not open`)
      return { request, answer: empty }
    }
    const { signal, dispose } = signalOf(token, this.closing.signal)
    try {
      const answer = await Promise.race([this.answer(request, trigger, budgetMs, signal), rejected(signal)])
      if (answer.kind === 'nothing') this.client.log('debug', `${method}: nothing: ${answer.reason}`)
      if (answer.kind === 'completion' && this.client.settings().logText)
        this.client.log('debug', `${method}: ${JSON.stringify(editsOf(answer).map(({ text }) => text))}`)
      return { request, answer: this.isCurrent(snapshot) ? answer : { kind: 'superseded' } }
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

  private async answer(
    request: InfillRequest,
    trigger: CompletionTriggerKind | undefined,
    budgetMs: number,
    signal: AbortSignal,
  ): Promise<Outcome['answer']> {
    if (signal.aborted) throw signal.reason
    const began = performance.now()
    const instead = await this.client.instead({ ...request, trigger }, budgetMs)
    if (instead) return instead
    const session = await this.session.within(budgetMs - (performance.now() - began))
    if (signal.aborted) throw signal.reason
    if (!session) return { kind: 'pending' }
    if (!this.isCurrent(request.snapshot)) return { kind: 'superseded' }
    try {
      return await session.request({ ...request, waitedMs: performance.now() - began }, signal)
    } catch (error) {
      if (error instanceof EngineGoneError) {
        this.session.lost(session, error).catch((failure: unknown) => this.client.failed('closing the engine', failure))
      }
      throw error
    }
  }

  /** An edit belongs to its snapshot; a document that has moved on asks anew. */
  private isCurrent(snapshot: Snapshot): boolean {
    return this.documents.snapshot(snapshot.uri) === snapshot
  }

  /** Whatever goes wrong inside, the client gets one reply and the next request is served. */
  private guard<Result>(what: string, work: () => Promise<Result>): Promise<Result> {
    const refusal = this.client.refusal()
    if (refusal) return Promise.reject(refusal)
    const reply = work().catch((error: unknown) => {
      if (error instanceof ResponseError) throw error
      this.client.failed(what, error)
      throw new ResponseError(ErrorCodes.InternalError, `${what} failed: ${messageOf(error)}`)
    })
    this.client.replying(what, reply)
    this.inHand.add(reply)
    const done = () => void this.inHand.delete(reply)
    reply.then(done, done)
    return reply
  }
}

function lengthOf({ insertText }: InlineCompletionItem): number {
  return typeof insertText === 'string' ? insertText.length : insertText.value.length
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
