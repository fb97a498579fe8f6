/**
 * What must hold of a conversation, whatever was said: each request answered exactly once and in a way its method allows,
 * an edit fits the text it was asked for and says what the script said, the server's text is the client's.
 */
import type { Range } from 'vscode-languageserver'
import { applyEdit, splitsSurrogates } from '../../server/base/spans.ts'
import type { InfillRequest, Snapshot } from '../../server/session/session.ts'
import { expandSnippet } from '../e2e/clients/snippetEngine.ts'
import { fits, linesOf, offsetOf, positionOf, replaced } from './clientText.ts'
import type { Asking, Said } from './script.ts'

export interface Reply {
  readonly id: string | number | null
  readonly result?: unknown
  readonly error?: { readonly code: number; readonly message: string }
}

export const codes = {
  methodNotFound: -32601,
  invalidRequest: -32600,
  invalidParams: -32602,
  internal: -32603,
  notInitialized: -32002,
  requestFailed: -32803,
  contentModified: -32801,
  serverCancelled: -32802,
  cancelled: -32800,
} as const

/** A request on its way. */
export interface Pending {
  readonly method: string
  readonly sentAt: number // how many messages were sent before
  /** What must be so of the reply; a sentence where it is not. */
  readonly check: (reply: Reply, pending: Pending) => string | undefined
  readonly uri?: string
  readonly version?: number
  cancelled: boolean
  /** Cancelled in the same breath: no work is to be begun for it. */
  cancelledAtOnce: boolean
}

export class Ledger {
  readonly pending = new Map<string | number, Pending>()
  readonly breaches: string[] = []
  readonly replies = new Map<string, number>() // how often each outcome came, by method
  compared = 0 // texts of the server, with those of the client
  /** Texts by document and version, as the client sent them. */
  private readonly texts = new Map<string, string>()
  /** How many messages were sent when a document last changed or was closed. */
  private readonly lastChange = new Map<string, number>()
  private readonly answered = new Set<string | number>()
  private readonly seen = new Set<string>()
  private sent = 0
  private readSoFar = 0 // of the messages sent, the server has read at least so many

  get messages(): number {
    return this.sent
  }

  breach(sentence: string): void {
    this.breaches.push(sentence)
  }

  isSent(): number {
    return this.sent++
  }

  changed(uri: string, version: number, text: string): void {
    this.texts.set(`${version} ${uri}`, text)
    this.lastChange.set(uri, this.sent)
  }

  closed(uri: string): void {
    this.lastChange.set(uri, this.sent)
  }

  asked(id: string | number, pending: Omit<Pending, 'sentAt' | 'cancelled' | 'cancelledAtOnce'>): void {
    this.pending.set(id, { ...pending, sentAt: this.sent, cancelled: false, cancelledAtOnce: false })
  }

  mustNotServe(id: string | number): void {
    const pending = this.pending.get(id)
    if (pending) pending.cancelledAtOnce = true
  }

  /** The session was told of a document. */
  saw({ uri, version, text }: Snapshot): void {
    const known = this.texts.get(`${version} ${uri}`)
    this.compared++
    this.seen.add(`${version} ${uri}`)
    if (known === undefined) this.breach(`the session sees version ${version} of ${uri}, which was never sent`)
    else if (known !== text)
      this.breach(`version ${version} of ${uri}: the server has ${JSON.stringify(text)}, not ${JSON.stringify(known)}`)
  }

  hasSeen(uri: string, version: number): boolean {
    return this.seen.has(`${version} ${uri}`)
  }

  /** The session was asked: somebody must have. */
  sawRequest({ method, snapshot, offset }: InfillRequest): void {
    this.saw(snapshot)
    if (offset < 0 || offset > snapshot.text.length || splitsSurrogates(snapshot.text, offset))
      this.breach(`the session is asked at ${offset} of ${JSON.stringify(snapshot.text)}`)
    const name = method === 'inline' ? 'textDocument/inlineCompletion' : 'textDocument/completion'
    const someone = [...this.pending.values()].some(
      (one) =>
        one.method === name && one.uri === snapshot.uri && one.version === snapshot.version && !one.cancelledAtOnce,
    )
    if (!someone) this.breach(`the session is asked for ${method} of ${snapshot.uri}, and nobody did`)
  }

  reply(reply: Reply): void {
    const { id } = reply
    const pending = id === null ? undefined : this.pending.get(id)
    if (!pending || id === null) {
      const twice = id !== null && this.answered.has(id)
      this.breach(`${twice ? 'answered twice' : 'an answer nobody asked for'}: ${JSON.stringify(reply)}`)
      return
    }
    this.pending.delete(id)
    this.answered.add(id)
    this.readSoFar = Math.max(this.readSoFar, pending.sentAt)
    const outcome = `${pending.method}: ${outcomeOf(reply)}`
    this.replies.set(outcome, (this.replies.get(outcome) ?? 0) + 1)
    const fault = pending.check(reply, pending)
    if (fault) this.breach(`${pending.method} ${JSON.stringify(id)}: ${fault}: ${JSON.stringify(reply)}`)
  }

  /** Whether the server had read a newer text of the document, or its end, when it sent this: then no edit may come. */
  isStale({ uri, sentAt }: Pending): boolean {
    const changedAt = this.lastChange.get(uri!)
    return changedAt !== undefined && changedAt > sentAt && changedAt < this.readSoFar
  }
}

function outcomeOf({ result, error }: Reply): string {
  if (error) return `error ${error.code}`
  const items = (result as { items?: unknown[]; isIncomplete?: boolean } | null)?.items
  if (!items)
    return result === null ? 'null' : Array.isArray(result) ? `list of ${Math.min(result.length, 1)}` : 'result'
  return `${items.length === 0 ? 'empty' : 'items'}${(result as { isIncomplete?: boolean }).isIncomplete ? ', incomplete' : ''}`
}

/** How a client takes what it is given. */
export interface Taking {
  readonly relative: boolean // its snippet engine adds the line's indentation to the lines that follow
  readonly keepsAfterCursor: boolean
}

export interface Offered {
  readonly range: Range
  readonly text: string
  readonly isSnippet: boolean
}

/** What an edit does to the text it was asked for, against what was said. Undefined where all is well. */
export function editFault(asking: Asking, said: Said | undefined, edit: Offered, taking: Taking): string | undefined {
  const { text, offset } = asking
  const { range } = edit
  if (!fits(text, range)) return 'its range lies outside of the text it was asked for'
  const cursor = positionOf(text, offset)
  if (range.start.line !== cursor.line || range.end.line !== cursor.line)
    return 'its range leaves the line of the cursor'
  if (range.start.character > cursor.character || range.end.character < cursor.character)
    return 'its range leaves the cursor out'
  const [start, end] = [offsetOf(text, range.start), offsetOf(text, range.end)]
  if (splitsSurrogates(text, start) || splitsSurrogates(text, end)) return 'its range cuts a character in two'
  if (!said) return undefined
  if (said.kind !== 'completion') return `the session said ${said.kind}`
  const faults = [said.edit, ...said.others].map((one) => resultFault(asking, applyEdit(text, one), edit, taking))
  return faults.includes(undefined) ? undefined : faults[0]
}

function resultFault(asking: Asking, wanted: string, edit: Offered, taking: Taking): string | undefined {
  const { text, offset } = asking
  const { range } = edit
  const [start, end] = [offsetOf(text, range.start), offsetOf(text, range.end)]
  if (!edit.isSnippet && !taking.relative && !taking.keepsAfterCursor) {
    const got = replaced(text, range, edit.text)
    return got === wanted ? undefined : `it makes ${JSON.stringify(got)}, wanted ${JSON.stringify(wanted)}`
  }
  // Such clients are given as much of the text as they can insert: a beginning of it, and nothing but it.
  const expanded = edit.isSnippet ? expandSnippet(edit.text) : edit.text
  const indent = /^[ \t]*/.exec(text.slice(linesOf(text)[positionOf(text, offset).line]!.start, offset))![0]
  const inserted = taking.relative ? expanded.replace(/(?<=\n)(?=[^\r\n])/g, indent) : expanded
  const lineFeeds = (whole: string) => whole.replaceAll('\r\n', '\n').replace(/[ \t]+(?=\n|$)/g, '')
  const written = lineFeeds(text.slice(0, start) + inserted)
  const kept = taking.keepsAfterCursor ? offset : end
  const whole = lineFeeds(wanted)
  const isAll = written + lineFeeds(text.slice(kept)) === whole
  const isBeginning = whole.startsWith(written) && (taking.relative || taking.keepsAfterCursor)
  return isAll || isBeginning ? undefined : `it makes ${JSON.stringify(written)}, wanted ${JSON.stringify(whole)}`
}
