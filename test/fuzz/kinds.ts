/**
 * What a fuzzed client says: one row for each kind of message, how often it comes, when it may, and what must be so of the
 * answer. A new method is a new row; rows that need a capability look for it in what the server said of itself.
 */
import type { CodeAction, Command, InlineCompletionItem, TextEdit } from 'vscode-languageserver'
import { splitsSurrogates } from '../../server/base/spans.ts'
import { changed, offsetOf, positionOf } from './clientText.ts'
import type { FuzzClient, FuzzDocument } from './fuzzClient.ts'
import { codes, editFault, type Pending, type Reply, type Taking } from './ledger.ts'
import { nonsense, randomChange, randomFile, randomPosition, randomRange, randomText } from './randomText.ts'
import type { Asking, Said } from './script.ts'

/** One fuzzed session: the client, and what is known of what it should be told. */
export interface Fuzzed {
  readonly client: FuzzClient
  /** What the session says there; undefined where that is not known. */
  readonly saidAt: (asking: Asking) => Said | undefined
  /** The session has failed or ended, so that errors are to be expected. */
  readonly mayFail: () => boolean
  readonly taking: Taking // of the menu
  /** What `workspace/configuration` is answered with. */
  configuration: unknown
  isProbing: boolean // the configuration is told, whatever happens
  isMuted: boolean // by a command: nothing may be asked of the session any more
  /** Commands that actions came with. */
  readonly commands: Command[]
  opened: number
}

export interface Kind {
  readonly name: string
  readonly weight: number
  readonly may?: (fuzzed: Fuzzed) => boolean
  readonly send: (fuzzed: Fuzzed) => void
}

const languages = ['python', 'typescript', 'go', 'c', 'plaintext']
const mostDocuments = 4

const hasDocument = ({ client }: Fuzzed) => client.documents.size > 0
const anyDocument = ({ client }: Fuzzed): FuzzDocument => client.random.pick([...client.documents.values()])

export const kinds: readonly Kind[] = [
  { name: 'open', weight: 3, may: ({ client }) => client.documents.size < mostDocuments, send: open },
  { name: 'open again', weight: 0.5, may: hasDocument, send: openAgain },
  { name: 'close', weight: 1, may: hasDocument, send: (fuzzed) => fuzzed.client.close(anyDocument(fuzzed)) },
  { name: 'change', weight: 30, may: hasDocument, send: change },
  { name: 'type along', weight: 12, may: hasDocument, send: typeAlong },
  { name: 'malformed change', weight: 0.5, may: hasDocument, send: malformedChange },
  { name: 'completion', weight: 20, may: hasDocument, send: completion },
  { name: 'inline', weight: 20, may: hasDocument, send: inline },
  { name: 'both at one place', weight: 4, may: hasDocument, send: both },
  { name: 'unknown document', weight: 1, send: unknownDocument },
  { name: 'cancel', weight: 6, may: ({ client }) => client.ledger.pending.size > 0, send: cancelOne },
  { name: 'ask and cancel at once', weight: 3, may: hasDocument, send: askAndCancel },
  {
    name: 'cancel what is not there',
    weight: 0.5,
    send: ({ client }) => client.notify('$/cancelRequest', { id: 987654 }),
  },
  {
    name: 'code actions',
    weight: 4,
    may: (fuzzed) => hasDocument(fuzzed) && Boolean(provided(fuzzed).codeActionProvider),
    send: codeActions,
  },
  {
    name: 'highlights',
    weight: 3,
    may: (fuzzed) => hasDocument(fuzzed) && Boolean(provided(fuzzed).documentHighlightProvider),
    send: highlights,
  },
  { name: 'command', weight: 3, may: (fuzzed) => provided(fuzzed).executeCommandProvider !== undefined, send: command },
  { name: 'settings', weight: 2, send: settings },
  { name: 'malformed request', weight: 2, send: malformedRequest },
  { name: 'unknown method', weight: 1, send: unknownMethod },
  { name: 'notifications', weight: 2, send: notifications },
  {
    name: 'initialize again',
    weight: 0.2,
    send: ({ client }) => void client.request('initialize', { capabilities: {} }, refusedWith(codes.invalidRequest)),
  },
]

const provided = ({ client }: Fuzzed) => client.capabilities

function open(fuzzed: Fuzzed): void {
  const { client } = fuzzed
  // A uri that was closed comes back now and then, with whatever version its editor counts from.
  const uri = `untitled:${client.random.below(fuzzed.opened++ + 1)}.py`
  const known = client.documents.get(uri)
  const version = (known?.version ?? 1000 * fuzzed.opened) + 1
  client.open({ uri, languageId: client.random.pick(languages), version, text: randomFile(client.random) })
}

/** Without a close before it: no editor should, and the newest text counts. */
function openAgain(fuzzed: Fuzzed): void {
  const { uri, languageId, version } = anyDocument(fuzzed)
  fuzzed.client.open({ uri, languageId, version: version + 1, text: randomFile(fuzzed.client.random) })
}

function change(fuzzed: Fuzzed): void {
  const { client } = fuzzed
  const document = anyDocument(fuzzed)
  const changes = []
  let { text } = document
  for (let count = client.random.chance(0.75) ? 1 : client.random.below(4); count > 0; count--) {
    const one = randomChange(client.random, text)
    changes.push(one)
    text = changed(text, one)
  }
  if (!document.lost) client.change(document, changes)
}

/** A person: a character, then the editor asks. */
function typeAlong(fuzzed: Fuzzed): void {
  const { client } = fuzzed
  const document = anyDocument(fuzzed)
  if (document.lost) return
  const at = randomPosition(client.random, document.text)
  const text = randomText(client.random, 1) || 'q'
  const offset = offsetOf(document.text, at) + text.length
  client.change(document, [{ range: { start: at, end: at }, text }])
  // Between CR and LF there is no place.
  if (document.text[offset - 1] === '\r' && document.text[offset] === '\n') return
  askInline(fuzzed, document, positionOf(document.text, offset))
}

function malformedChange(fuzzed: Fuzzed): void {
  const { client } = fuzzed
  const document = anyDocument(fuzzed)
  if (document.lost) return
  const contentChanges = client.random.pick<unknown>([
    [{ text: 7 }],
    [null],
    undefined,
    'text',
    [{ text: 'a' }, { range: { start: null, end: null }, text: 'x' }],
    [{ range: {}, text: 'x' }],
  ])
  document.lost = true
  document.version++
  const { uri, version } = document
  client.notify('textDocument/didChange', { textDocument: { uri, version }, contentChanges })
  client.ledger.closed(uri)
}

function completion(fuzzed: Fuzzed): void {
  const document = anyDocument(fuzzed)
  askCompletion(fuzzed, document, randomPosition(fuzzed.client.random, document.text))
}

function inline(fuzzed: Fuzzed): void {
  const document = anyDocument(fuzzed)
  askInline(fuzzed, document, randomPosition(fuzzed.client.random, document.text))
}

function both(fuzzed: Fuzzed): void {
  const document = anyDocument(fuzzed)
  const position = randomPosition(fuzzed.client.random, document.text)
  askCompletion(fuzzed, document, position)
  askInline(fuzzed, document, position)
}

function cancelOne({ client }: Fuzzed): void {
  client.cancel(client.random.pick([...client.ledger.pending.keys()]))
}

function askAndCancel(fuzzed: Fuzzed): void {
  const document = anyDocument(fuzzed)
  const position = randomPosition(fuzzed.client.random, document.text)
  const ask = fuzzed.client.random.pick([askCompletion, askInline])
  const id = ask(fuzzed, document, position)
  fuzzed.client.cancel(id)
  fuzzed.client.ledger.mustNotServe(id)
}

type Position = ReturnType<typeof randomPosition>

export function askCompletion(fuzzed: Fuzzed, document: FuzzDocument, position: Position): string | number {
  const { client, taking } = fuzzed
  const asking: Asking = { ...placeAt(document, position), selected: undefined }
  const context = client.random.pick<unknown>([
    undefined,
    null,
    { triggerKind: 1 },
    { triggerKind: 2, triggerCharacter: '.' },
    { triggerKind: 3 },
  ])
  const params = { textDocument: { uri: document.uri }, position, context }
  const refusal = client.isShutDown
  return client.request(
    'textDocument/completion',
    params,
    (reply, pending) => {
      const fault = errorFault(fuzzed, reply, refusal, pending.cancelled, asking)
      if (reply.error) return fault
      const { items } = reply.result as {
        items: { textEdit: TextEdit; insertTextFormat?: number; filterText?: string }[]
      }
      if (items.length > 0 && client.ledger.isStale(pending)) return 'an edit for a text that was changed before'
      for (const {
        textEdit: { range, newText },
        insertTextFormat,
        filterText,
      } of items) {
        const isSnippet = insertTextFormat === 2
        const wrong = editFault(asking, fuzzed.saidAt(asking), { range, text: newText, isSnippet }, taking)
        if (wrong) return wrong
        const typed = asking.text.slice(offsetOf(asking.text, range.start), asking.offset)
        if (!filterText?.startsWith(typed)) return `an editor that filters by ${JSON.stringify(typed)} drops it`
      }
      return undefined
    },
    document,
  )
}

export function askInline(fuzzed: Fuzzed, document: FuzzDocument, position: Position): string | number {
  const { client } = fuzzed
  const selected = client.random.chance(0.1) ? selection(fuzzed, document, position) : undefined
  const asking: Asking = { ...placeAt(document, position), selected: selected?.asking }
  const triggerKind = client.random.chance(0.2) ? 1 : 2
  const context = client.random.chance(0.05)
    ? client.random.pick([undefined, null, {}])
    : { triggerKind, selectedCompletionInfo: selected?.sent }
  const isSelected = context !== undefined && context !== null && 'selectedCompletionInfo' in context
  const asked = isSelected ? asking : { ...asking, selected: undefined }
  const params = { textDocument: { uri: document.uri }, position, context }
  const refusal = client.isShutDown
  return client.request(
    'textDocument/inlineCompletion',
    params,
    (reply, pending) => {
      if (reply.error) return errorFault(fuzzed, reply, refusal, true, asked)
      const { items } = reply.result as { items: InlineCompletionItem[] }
      if (items.length > 0 && client.ledger.isStale(pending)) return 'an edit for a text that was changed before'
      for (const { range, insertText } of items) {
        if (!range) return 'an inline item without a range'
        const edit = { range, text: insertText as string, isSnippet: false }
        const wrong = editFault(asked, fuzzed.saidAt(asked), edit, { relative: false, keepsAfterCursor: false })
        if (wrong) return wrong
      }
      return undefined
    },
    document,
  )
}

/** The menu's chosen item: from somewhere before the cursor to the cursor. */
function selection({ client }: Fuzzed, { text }: FuzzDocument, position: Position) {
  const end = placeAt({ text }, position).offset
  const line = text
    .slice(0, end)
    .split(/\r\n|\r|\n/)
    .at(-1)!
  let start = end - client.random.below(Math.min(line.length, 6) + 1)
  if (splitsSurrogates(text, start)) start--
  const insert = client.random.pick(['length', 'größe', 'x', '$1', '🦊'])
  return {
    asking: { span: { start, end }, text: insert },
    sent: { range: { start: positionOf(text, start), end: positionOf(text, end) }, text: insert },
  }
}

function placeAt({ text }: Pick<FuzzDocument, 'text'>, position: Position): { text: string; offset: number } {
  const offset = offsetOf(text, position)
  return { text, offset: splitsSurrogates(text, offset) ? offset - 1 : offset }
}

/** An error that this method may not answer here. */
function errorFault(
  fuzzed: Fuzzed,
  { error }: Reply,
  isRefused: boolean,
  mayBeCancelled: boolean,
  asking: Asking,
): string | undefined {
  if (isRefused) return error?.code === codes.invalidRequest ? undefined : 'wanted InvalidRequest after shutdown'
  switch (error?.code) {
    case undefined:
      return undefined
    case codes.cancelled:
      return mayBeCancelled ? undefined : 'RequestCancelled, though nobody cancelled it'
    case codes.internal: {
      const said = fuzzed.saidAt(asking)?.kind
      return said === 'failed' || said === 'gone' || fuzzed.mayFail() ? undefined : 'a failure of the server'
    }
    default:
      return 'no error of this method'
  }
}

function refusedWith(...wanted: readonly number[]): Pending['check'] {
  return ({ error }) => (error && wanted.includes(error.code) ? undefined : `wanted error ${wanted.join(' or ')}`)
}

/** Whatever it answers, it must not break; where the script does, all is well. */
const noFailure: Pending['check'] = ({ error }) =>
  error?.code === codes.internal && !error.message.includes('the script') ? 'a failure of the server' : undefined

function unknownDocument({ client }: Fuzzed): void {
  const params = { textDocument: { uri: 'untitled:never-opened' }, position: { line: 0, character: 0 } }
  const method = client.random.pick(['textDocument/completion', 'textDocument/inlineCompletion'])
  const refusal = client.isShutDown
  client.request(method, params, (reply, { cancelled }) => {
    if (refusal) return client.refused(reply)
    if (reply.error) return cancelled && reply.error.code === codes.cancelled ? undefined : 'wanted an empty answer'
    return (reply.result as { items: unknown[] }).items.length === 0 ? undefined : 'items for a document nobody opened'
  })
}

function codeActions(fuzzed: Fuzzed): void {
  const { client, commands } = fuzzed
  const { uri, version, text } = anyDocument(fuzzed)
  const range = randomRange(client.random, text)
  const diagnostics = client.random.chance(0.3) ? [{ range, message: 'expected 🦊', severity: 1 }] : []
  const only = client.random.chance(0.2) ? [client.random.pick(['refactor', 'quickfix', 'source.fixAll'])] : undefined
  const context = { diagnostics, only, triggerKind: client.random.pick([undefined, 1, 2]) }
  client.request(
    'textDocument/codeAction',
    { textDocument: { uri }, range, context },
    ({ result, error }) => {
      if (error) return error.code === codes.internal ? 'a failure of the server' : undefined
      for (const action of (result ?? []) as (CodeAction | Command)[]) {
        const offered = typeof action.command === 'string' ? (action as Command) : action.command
        if (offered) commands.push(offered)
      }
      return undefined
    },
    { uri, version },
  )
}

function highlights(fuzzed: Fuzzed): void {
  const { uri, version, text } = anyDocument(fuzzed)
  const position = randomPosition(fuzzed.client.random, text)
  const params = { textDocument: { uri }, position }
  fuzzed.client.request('textDocument/documentHighlight', params, noFailure, { uri, version })
}

/** What an action offered, or anything at all under the name of a command. */
function command(fuzzed: Fuzzed): void {
  const { client, commands } = fuzzed
  const { random } = client
  const names = client.capabilities.executeCommandProvider?.commands ?? []
  const offered = commands.length > 0 && random.chance(0.8) ? random.pick(commands) : undefined
  const name = offered?.command ?? random.pick([...names, 'lacuna.nothing'])
  const params = {
    command: name,
    arguments:
      offered?.arguments ?? random.pick([undefined, [], [nonsense(random)], [{ mode: 'auto' }], [{ minutes: 1 }]]),
  }
  if (/setMode|snooze/.test(name)) fuzzed.isMuted = true
  client.request('workspace/executeCommand', params, noFailure)
}

function settings(fuzzed: Fuzzed): void {
  const { client } = fuzzed
  const lacuna = client.random.pick<unknown>([
    {},
    { completion: false },
    { inline: false },
    { completionBudgetMs: 20, inlineBudgetMs: 60 },
    { debounceMs: 50 },
    { debounceMs: 'soon', inlne: false },
    { maxTokens: 1, showAbove: 0 },
    { logLevel: 'debug' },
    'nonsense',
    null,
    [],
  ])
  fuzzed.configuration = lacuna
  client.notify('workspace/didChangeConfiguration', {
    settings: client.random.pick<unknown>([{ lacuna }, lacuna, null]),
  })
}

function malformedRequest({ client }: Fuzzed): void {
  const { random } = client
  const methods = [
    'textDocument/completion',
    'textDocument/inlineCompletion',
    'textDocument/codeAction',
    'textDocument/documentHighlight',
    'workspace/executeCommand',
    'completionItem/resolve',
    'codeAction/resolve',
  ]
  const document = client.documents.size > 0 ? random.pick([...client.documents.values()]) : undefined
  const params = random.pick<unknown>([
    nonsense(random),
    { textDocument: nonsense(random), position: nonsense(random), range: nonsense(random), command: nonsense(random) },
    {
      textDocument: { uri: document?.uri },
      position: nonsense(random),
      range: nonsense(random),
      context: nonsense(random),
    },
    {
      textDocument: { uri: document?.uri },
      position: { line: -3, character: 1.5 },
      range: { start: nonsense(random) },
    },
    {
      textDocument: { uri: document?.uri },
      position: { line: 1e9, character: 1e9 },
      context: { selectedCompletionInfo: nonsense(random) },
    },
  ])
  // The library itself looks for a token in the params: without any it fails, before we are asked.
  const isObject = typeof params === 'object' && params !== null
  client.request(random.pick(methods), params, isObject ? noFailure : () => undefined, document)
}

function unknownMethod({ client }: Fuzzed): void {
  const method = client.random.pick(['textDocument/nothing', '$/nothing', 'lacuna/nothing'])
  client.request(method, {}, refusedWith(codes.methodNotFound, codes.cancelled))
}

function notifications({ client }: Fuzzed): void {
  const { random } = client
  const methods = [
    '$/setTrace',
    '$/nothing',
    'textDocument/didSave',
    'workspace/didChangeWatchedFiles',
    'window/workDoneProgress/cancel',
    'textDocument/didShowCompletion',
    'textDocument/didPartiallyAcceptCompletion',
    'textDocument/didFocus',
    'lacuna/nothing',
  ]
  const params = random.pick<unknown>([
    {},
    { value: 'verbose' },
    { token: 1 },
    { textDocument: { uri: 'untitled:0.py' } },
    nonsense(random),
  ])
  client.notify(random.pick(methods), params)
}
