/**
 * Whole sessions between a client that says anything and the server, until so many messages were sent. Everything random
 * follows from a seed; a session can be played again by its number alone.
 */
import type { Session } from '../../server/session/session.ts'
import { answerServer } from './answerServer.ts'
import { FuzzClient, type Guise } from './fuzzClient.ts'
import { askCompletion, type Fuzzed, kinds } from './kinds.ts'
import { codes } from './ledger.ts'
import { hashOf, Random } from './random.ts'
import { said } from './script.ts'
import { type Fate, oneLetter, oneLetterAt, scripted } from './sessions.ts'
import { inProcess, ownProcess, type Target } from './target.ts'
import { turns } from './turns.ts'

export interface FuzzOptions {
  readonly seed: number
  /** Sent at least, by the client. */
  readonly messages: number
  /** This session alone. */
  readonly session?: number
  /** The built server as a process, with the embedded model. */
  readonly ownProcess?: boolean
  /** Something put wrong on purpose, to see that it is found. */
  readonly sabotage?: Sabotage
  readonly onSession?: (done: FuzzSummary) => void
}

export interface Sabotage {
  readonly session?: (session: Session) => Session
  readonly target?: (target: Target) => Target
}

export interface FuzzSummary {
  sessions: number
  messages: number
  texts: number // the server's, compared with the client's
  readonly sent: Map<string, number> // by kind
  readonly replies: Map<string, number> // by method and outcome
  readonly told: Map<string, number> // notifications of the server
  failure: FuzzFailure | undefined
}

export interface FuzzFailure {
  readonly session: number
  readonly breaches: readonly string[]
  readonly log: readonly string[]
  /** What the client sent, in JSON. */
  readonly history: readonly string[]
}

const guises: readonly Guise[] = [
  guise('Visual Studio Code', { insertTextModeSupport: { valueSet: [1, 2] }, snippetSupport: true }),
  guise('Neovim', { snippetSupport: true }),
  guise('helix', { snippetSupport: true }),
  guise('eglot', {}),
  guise('emacs', { insertTextModeSupport: { valueSet: [1, 2] } }),
  guise('kakoune-lsp', {}),
  guise('Sublime Text LSP', { snippetSupport: true }),
  guise(undefined, {}),
]
const [shortestSession, longestSession] = [30, 240] // messages
const patience = 3000 // rests

function guise(name: string | undefined, completionItem: object): Guise {
  return { name, capabilities: { textDocument: { completion: { completionItem } } }, initializationOptions: null }
}

export async function fuzz(options: FuzzOptions): Promise<FuzzSummary> {
  const summary: FuzzSummary = {
    ...{ sessions: 0, messages: 0, texts: 0, failure: undefined },
    ...{ sent: new Map(), replies: new Map(), told: new Map() },
  }
  const rejections: string[] = []
  const onRejection = (error: unknown) => void rejections.push(`nobody waited for: ${stackOf(error)}`)
  process.on('unhandledRejection', onRejection)
  try {
    for (let number = options.session ?? 0; summary.messages < options.messages && !summary.failure; number++) {
      await oneSession(options, number, summary, rejections)
      options.onSession?.(summary)
      if (options.session !== undefined) break
    }
  } finally {
    process.off('unhandledRejection', onRejection)
  }
  return summary
}

async function oneSession(
  options: FuzzOptions,
  number: number,
  summary: FuzzSummary,
  rejections: readonly string[],
): Promise<void> {
  const seed = hashOf(options.seed, number)
  const random = new Random(seed)
  const log: string[] = []
  const fate: Fate = { failures: 0 }
  const isLetter = random.chance(0.25)
  const openSession = async (): Promise<Session> => {
    await turns(random.below(5))
    if (random.chance(0.05)) {
      fate.failures++
      throw new Error('the script does not open')
    }
    const session = isLetter ? oneLetter(client.ledger) : scripted(seed, client.ledger, fate)
    return options.sabotage?.session?.(session) ?? session
  }
  const logged = (line: string) => void log.push(line)
  const chosen = options.ownProcess ? ownProcess(logged) : inProcess(openSession, logged)
  const target = options.sabotage?.target?.(chosen) ?? chosen
  const client = new FuzzClient(target, random, dressed(random.pick(guises), random), (method, params) =>
    answerServer(fuzzed, method, params),
  )
  const name = client.guise.name?.toLowerCase() ?? ''
  const fuzzed: Fuzzed = {
    client,
    saidAt: (asking) => (options.ownProcess ? undefined : isLetter ? oneLetterAt(asking) : said(seed, asking)),
    mayFail: () => fate.failures > 0,
    taking: { relative: /neovim|kakoune|sublime/.test(name), keepsAfterCursor: name === 'neovim' },
    configuration: null,
    isProbing: false,
    isMuted: false,
    commands: [],
    opened: 0,
  }

  const most = shortestSession + random.below(longestSession - shortestSession)
  if (random.chance(0.2)) askTooEarly(client)
  await client.initialize()
  const isWell = () => client.ledger.breaches.length === 0 && rejections.length === 0
  while (client.ledger.messages < most && isWell()) {
    for (let batch = 1 + random.below(7); batch > 0; batch--) send(fuzzed, summary)
    await target.rest(random.below(9))
  }
  if (isWell() && !options.ownProcess && !fuzzed.isMuted && random.chance(0.7)) await probe(fuzzed)
  client.isShutDown = true
  client.request('shutdown', undefined, ({ error }) => (error ? 'wanted a result' : undefined))
  for (let late = random.below(4); late > 0; late--) send(fuzzed, summary)
  await client.settle(patience)
  await target.rest(5) // for what is answered twice
  const fault = await target.end()
  if (fault) client.ledger.breach(fault)
  for (const rejection of rejections) client.ledger.breach(rejection)

  summary.sessions++
  summary.messages += client.ledger.messages
  summary.texts += client.ledger.compared
  addAll(summary.replies, client.ledger.replies)
  addAll(summary.told, client.notified)
  const { breaches } = client.ledger
  if (breaches.length > 0) summary.failure = { session: number, breaches, log, history: client.history }
}

function send(fuzzed: Fuzzed, { sent }: FuzzSummary): void {
  const { client } = fuzzed
  const kind = client.random.weighted(kinds.filter(({ may }) => may?.(fuzzed) ?? true))
  sent.set(kind.name, (sent.get(kind.name) ?? 0) + 1)
  kind.send(fuzzed)
}

function askTooEarly(client: FuzzClient): void {
  client.request('textDocument/completion', {}, ({ error }) =>
    error?.code === codes.notInitialized ? undefined : 'wanted ServerNotInitialized',
  )
}

/** Asked in every document, the session must have seen each as it is now. */
async function probe(fuzzed: Fuzzed): Promise<void> {
  const { client, mayFail } = fuzzed
  await client.target.rest(40)
  const both = { completion: true, inline: true, completionBudgetMs: 300 }
  Object.assign(fuzzed, { isProbing: true, configuration: both })
  client.notify('workspace/didChangeConfiguration', { settings: { lacuna: both } })
  await client.target.rest(60) // the server reads one message a turn, and our answer takes some
  const documents = [...client.documents.values()].filter(({ lost }) => !lost)
  for (const document of documents) askCompletion(fuzzed, document, { line: 0, character: 0 })
  await client.target.rest(40) // some are never answered before the end
  for (const { uri, version } of documents) {
    if (!client.ledger.hasSeen(uri, version) && !mayFail())
      client.ledger.breach(`the session never saw version ${version} of ${uri}`)
  }
}

/** Some clients are asked for their configuration, some push it. */
function dressed({ name, capabilities }: Guise, random: Random): Guise {
  const workspace = random.chance(0.5)
    ? { configuration: true, didChangeConfiguration: { dynamicRegistration: true } }
    : {}
  const initializationOptions = random.pick<unknown>([null, undefined, {}, { inlineBudgetMs: 100 }, { nope: 1 }])
  const edits = { applyEdit: true, workspaceEdit: { documentChanges: true } }
  return { name, capabilities: { ...capabilities, workspace: { ...workspace, ...edits } }, initializationOptions }
}

function addAll(to: Map<string, number>, from: ReadonlyMap<string, number>): void {
  for (const [key, count] of from) to.set(key, (to.get(key) ?? 0) + count)
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
