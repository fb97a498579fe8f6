/**
 * From request to reply, for both methods. The contract: every path answers exactly once, and what an outcome looks like on
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
import { Aborted, messageOf } from '../base/errors.ts'
import type { TextEdit } from '../base/spans.ts'
import type { ClientProfile } from './clientProfiles.ts'
import { completionItem } from './completionItem.ts'
import { inlineItem } from './inlineItem.ts'
import { type Answering, type Outcome, outcomeOf } from './outcomeOf.ts'

/** What replying needs to know of the client, and how it tells of failures. */
export interface Replying extends Answering {
  readonly profile: () => ClientProfile
  /** Why requests are refused now: before `initialize`, after `shutdown`. */
  readonly refusal: () => ResponseError<void> | undefined
  /** Told of each reply as it begins to be made. */
  readonly replying: (what: string, reply: Promise<unknown>) => void
  /** For an item of so many UTF-16 units: what the client is to run when it was taken, if it does that. */
  readonly acceptCommand: (units: number) => Command | undefined
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

export class CompletionRequests {
  private readonly parts: Replying
  private readonly closing = new AbortController()
  private readonly inHand = new Set<Promise<unknown>>()

  constructor(parts: Replying) {
    this.parts = parts
  }

  completion(params: CompletionAsked, token: CancellationToken): Promise<CompletionList> {
    return this.guard('completion', async () => {
      const { completion, completionBudgetMs: budgetMs } = this.parts.settings()
      if (!completion) return { isIncomplete: false, items: [] }
      const trigger = params?.context?.triggerKind
      const question = { method: 'completion', params, invoked: false, trigger, budgetMs } as const
      const { request, answer } = await outcomeOf(this.parts, question, token, this.closing.signal)
      switch (answer.kind) {
        case 'completion': {
          const { documents, profile } = this.parts
          const { snapshot, offset } = request
          const items = this.itemsOf('completion', answer, (edit, rank) =>
            completionItem(documents, snapshot.uri, offset, edit, profile(), rank),
          )
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
      const { inline, inlineBudgetMs, invokedBudgetMs } = this.parts.settings()
      if (!inline) return { items: [] }
      const invoked = params?.context?.triggerKind === InlineCompletionTriggerKind.Invoked
      const selected = params?.context?.selectedCompletionInfo ?? undefined
      const budgetMs = invoked ? invokedBudgetMs : inlineBudgetMs
      const question = { method: 'inline', params, invoked, selected, budgetMs } as const
      const { request, answer } = await outcomeOf(this.parts, question, token, this.closing.signal)
      switch (answer.kind) {
        case 'completion': {
          const { documents, acceptCommand } = this.parts
          const items = this.itemsOf('inline', answer, (edit) => {
            const item = inlineItem(documents, request.snapshot.uri, request.offset, edit)
            const command = item && acceptCommand(lengthOf(item))
            return item && { ...item, ...(command ? { command } : {}) }
          })
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

  /** The best first, without those that cannot be shown. */
  private itemsOf<Item>(
    method: string,
    { edit, others = [] }: Extract<Outcome['answer'], { kind: 'completion' }>,
    itemOf: (edit: TextEdit, rank: number) => Item | undefined,
  ): Item[] {
    const items = [edit, ...others].flatMap((one, rank) => itemOf(one, rank) ?? [])
    if (items.length === 0) this.parts.log('debug', `${method}: the edit does not fit on the line, or changes nothing`)
    return items
  }

  /** Whatever goes wrong inside, the client gets one reply and the next request is served. */
  private guard<Result>(what: string, work: () => Promise<Result>): Promise<Result> {
    const { refusal, failed, replying } = this.parts
    const refused = refusal()
    if (refused) return Promise.reject(refused)
    const reply = work().catch((error: unknown) => {
      if (error instanceof ResponseError) throw error
      failed(what, error)
      throw new ResponseError(ErrorCodes.InternalError, `${what} failed: ${messageOf(error)}`)
    })
    replying(what, reply)
    this.inHand.add(reply)
    const done = () => void this.inHand.delete(reply)
    reply.then(done, done)
    return reply
  }
}

function lengthOf({ insertText }: InlineCompletionItem): number {
  return typeof insertText === 'string' ? insertText.length : insertText.value.length
}
