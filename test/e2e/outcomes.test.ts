/** Each way a request can end, as it looks on the wire; and that the next request is served whatever the last one did. */
import { describe, expect, test, vi } from 'vitest'
import {
  CancellationTokenSource,
  CompletionRequest,
  DidChangeTextDocumentNotification,
  DidCloseTextDocumentNotification,
  DidOpenTextDocumentNotification,
  ErrorCodes,
  InlineCompletionRequest,
  InlineCompletionTriggerKind,
  LSPErrorCodes,
  ResponseError,
} from 'vscode-languageserver/node'
import { systemClock } from '../../server/base/clock.ts'
import { BundleError, EngineError, EngineGoneError } from '../../server/base/errors.ts'
import { LiveSession } from '../../server/session/liveSession.ts'
import type { Answer, Session } from '../../server/session/session.ts'
import { sessionThatKnows } from '../session/sessionThatKnows.ts'
import { never, offer, type Script, scriptedSession } from './scriptedSession.ts'
import { at, errorCode, startServer, until } from './startServer.ts'

const later = { isIncomplete: true, items: [] }
const none = { isIncomplete: false, items: [] }
const cancelled = LSPErrorCodes.RequestCancelled

test('says what it can', async () => {
  const server = await startServer(scriptedSession(() => never))
  expect(server.initialized).toEqual({
    capabilities: {
      positionEncoding: 'utf-16',
      textDocumentSync: { openClose: true, change: 2 },
      completionProvider: { triggerCharacters: ['.', '(', '[', '{', ',', ':', '=', ' '] },
      inlineCompletionProvider: true,
      codeActionProvider: { codeActionKinds: ['quickfix', 'refactor.rewrite'] },
      executeCommandProvider: {
        commands: expect.arrayContaining([
          'lacuna.fill',
          'lacuna.unlikely',
          'lacuna.printDebugInformation',
          'lacuna.setMode',
          'lacuna.snooze',
          'lacuna.didAcceptCompletion',
        ]),
      },
    },
    serverInfo: { name: 'lacuna', version: '0.0.0-test' },
  })
  await server.end()
})

test('nothing, on purpose: empty answers, the reason to the log', async () => {
  const session = scriptedSession(() => ({ kind: 'nothing', reason: 'no token fits' }))
  const server = await startServer(session, { initializationOptions: { logLevel: 'debug' } })
  const opened = await server.open('x = ║')
  expect(await server.completion(opened)).toEqual(none)
  expect(await server.inline(opened)).toEqual({ items: [] })
  expect(server.log.filter(([, line]) => line.endsWith('nothing: no token fits'))).toHaveLength(2)
  await server.end()
})

test('an edit that changes nothing is nothing', async () => {
  const server = await startServer(scriptedSession(offer(')', 1)))
  const opened = await server.open('f(║)')
  expect(await server.completion(opened)).toEqual(none)
  expect(await server.inline(opened)).toEqual({ items: [] })
  await server.end()
})

test('pending: the menu may ask again, the ghost text stays', async () => {
  const server = await startServer(scriptedSession(() => ({ kind: 'pending' })))
  const opened = await server.open('x = ║')
  expect(await server.completion(opened)).toEqual(later)
  expect(await errorCode(server.inline(opened))).toBe(cancelled)
  await server.end()
})

test('superseded by a newer request at the same text', async () => {
  let calls = 0
  const server = await startServer(scriptedSession((request) => (calls++ < 2 ? never : offer('y')(request))))
  const opened = await server.open('x = ║')
  const [menu, ghost] = [server.completion(opened), errorCode(server.inline(opened))]
  await until(() => calls === 2)
  expect((await server.completion(opened)).items).toHaveLength(1)
  expect((await server.inline(opened)).items).toHaveLength(1)
  expect(await menu).toEqual(later)
  expect(await ghost).toBe(cancelled)
  await server.end()
})

test('superseded by typing: an edit for older text is never handed out', async () => {
  const answers: ((answer: Answer) => void)[] = []
  const session = scriptedSession(() => new Promise((resolve) => void answers.push(resolve)))
  const server = await startServer(session)
  const opened = await server.open('x = ║')
  const [menu, ghost] = [server.completion(opened), errorCode(server.inline(opened))]
  await until(() => answers.length === 2)
  await server.type(opened, 'y')
  await server.roundTrip()
  const edit = { span: { start: 4, end: 4 }, text: 'z' }
  for (const answer of answers) answer({ kind: 'completion', edit, partial: false })
  expect(await menu).toEqual(later)
  expect(await ghost).toBe(cancelled)
  await server.end()
})

test('closed while being answered', async () => {
  const session = scriptedSession(() => never)
  const server = await startServer(session)
  const opened = await server.open('x = ║')
  const menu = server.completion(opened)
  await until(() => session.seen.length === 1)
  await server.client.sendNotification(DidCloseTextDocumentNotification.type, { textDocument: { uri: opened.uri } })
  await until(() => session.forgotten.length === 1)
  expect(session.forgotten).toEqual([opened.uri])
  const ending = server.end()
  expect(await menu).toEqual(later)
  await ending
})

test('cancelled by the client, before dispatch', async () => {
  const session = scriptedSession(() => never)
  const server = await startServer(session)
  const opened = await server.open('x = ║')
  const sources = [new CancellationTokenSource(), new CancellationTokenSource()]
  const menu = errorCode(server.completion(opened, sources[0]!.token))
  const ghost = errorCode(server.inline(opened, undefined, sources[1]!.token))
  for (const source of sources) source.cancel() // in the same turn: both lie in the queue together
  expect(await menu).toBe(cancelled)
  expect(await ghost).toBe(cancelled)
  expect(session.seen, 'no work was begun').toEqual([])
  await server.end()
})

test('cancelled by the client, during', async () => {
  const session = scriptedSession(() => never)
  const server = await startServer(session)
  const opened = await server.open('x = ║')
  const sources = [new CancellationTokenSource(), new CancellationTokenSource()]
  const menu = errorCode(server.completion(opened, sources[0]!.token))
  const ghost = errorCode(server.inline(opened, undefined, sources[1]!.token))
  await until(() => session.seen.length === 2)
  for (const source of sources) source.cancel()
  expect(await menu).toBe(cancelled)
  expect(await ghost).toBe(cancelled)
  await server.end()
})

test('a session that ignores its signal holds up no answer', async () => {
  const session: Session = { ...scriptedSession(() => never), request: () => never, close: async () => {} }
  const server = await startServer(session)
  const opened = await server.open('x = ║')
  const source = new CancellationTokenSource()
  const menu = errorCode(server.completion(opened, source.token))
  await server.roundTrip()
  source.cancel()
  expect(await menu).toBe(cancelled)
  const ghost = errorCode(server.inline(opened))
  await server.roundTrip()
  await server.end()
  expect(await ghost).toBe(cancelled)
})

test('an error: InternalError and its stack in the log; said to the user once; the next request is served', async () => {
  let broken = true
  const server = await startServer(
    scriptedSession((request) => {
      if (broken) throw new EngineError('the worker ended', { cause: new Error('out of memory') })
      return offer('y')(request)
    }),
  )
  const opened = await server.open('x = ║')
  expect(await errorCode(server.completion(opened))).toBe(ErrorCodes.InternalError)
  expect(await errorCode(server.inline(opened))).toBe(ErrorCodes.InternalError)
  await until(() => server.log.filter(([level]) => level === 'error').length === 2)
  expect(server.log.find(([level]) => level === 'error')![1]).toMatch(
    /^completion failed: EngineError: the worker ended\n +at [\s\S]*caused by Error: out of memory/,
  )
  expect(server.takeMessages()).toEqual([{ type: 1, message: 'Lacuna: completion failed: the worker ended' }])
  broken = false
  expect((await server.completion(opened)).items).toHaveLength(1)
  expect((await server.inline(opened)).items).toHaveLength(1)
  broken = true
  expect(await errorCode(server.completion(opened))).toBe(ErrorCodes.InternalError)
  await server.end()
})

test('what fails in the session is logged once', async () => {
  const { rooms, engine } = sessionThatKnows('print(value)')
  const server = await startServer(
    scriptedSession(() => never),
    {
      openSession: async (settings, log) =>
        new LiveSession(rooms, { settings, log, clock: systemClock, close: () => engine.close() }),
    },
  )
  const opened = await server.open('print(║')
  engine.failNext(new EngineError('no memory'))
  expect(await errorCode(server.inline(opened))).toBe(ErrorCodes.InternalError)
  expect(server.takeMessages()).toHaveLength(1)
  expect(server.log.filter(([, line]) => line.includes('no memory'))).toEqual([
    ['error', expect.stringMatching(/^inlineCompletion failed: EngineError: no memory\n +at /)],
  ])
  await server.end()
})

test('another class of failure is said too', async () => {
  const errors = [new EngineError('gone'), new TypeError('x is not a function'), new EngineError('gone again')]
  const server = await startServer(
    scriptedSession(() => {
      throw errors.shift()
    }),
  )
  const opened = await server.open('║')
  for (let count = 0; count < 3; count++) expect(await errorCode(server.completion(opened))).toBe(-32603)
  expect(server.takeMessages().map(({ message }) => message)).toEqual([
    'Lacuna: completion failed: gone',
    'Lacuna: completion failed: x is not a function',
  ])
  await server.end()
})

test('an unknown document: nothing, and a warning in the log', async () => {
  const server = await startServer(scriptedSession(offer('x')))
  const params = { textDocument: { uri: 'file:///unknown' }, position: { line: 0, character: 0 } }
  const context = { triggerKind: InlineCompletionTriggerKind.Automatic }
  expect(await server.client.sendRequest(CompletionRequest.type, params)).toEqual(none)
  expect(await server.client.sendRequest(InlineCompletionRequest.type, { ...params, context })).toEqual({ items: [] })
  await server.client.sendNotification(DidChangeTextDocumentNotification.type, {
    textDocument: { uri: 'file:///unknown', version: 2 },
    contentChanges: [],
  })
  await until(() => server.log.filter(([level]) => level === 'warn').length === 3)
  await server.end()
})

test('malformed requests are named as such, and hurt nobody', async () => {
  const server = await startServer(scriptedSession(offer('x')))
  const opened = await server.open('a║')
  const { textDocument } = at(opened)
  for (const params of [{}, { textDocument }, { textDocument, position: { line: '0', character: 0 } }, [1], [null]]) {
    expect(await errorCode(server.client.sendRequest('textDocument/completion', params))).toBe(ErrorCodes.InvalidParams)
  }
  for (const method of ['completion', 'inlineCompletion'])
    expect(await errorCode(server.client.sendRequest(`textDocument/${method}`))).toBe(ErrorCodes.InvalidParams)
  const selected = { ...at(opened), context: { triggerKind: 2, selectedCompletionInfo: { text: 'a' } } }
  expect(await errorCode(server.client.sendRequest('textDocument/inlineCompletion', selected))).toBe(-32602)
  expect((await server.completion(opened)).items).toHaveLength(1)
  await server.end()
})

test('clients that leave the context out, or null, are served', async () => {
  const server = await startServer(scriptedSession(offer('x')))
  const opened = await server.open('a║')
  for (const context of [undefined, null, {}, { triggerKind: 2, selectedCompletionInfo: null }]) {
    expect(await server.client.sendRequest('textDocument/inlineCompletion', { ...at(opened), context })).toMatchObject({
      items: [{ insertText: 'x' }],
    })
  }
  await server.end()
})

test('a document whose changes are malformed is left alone until opened again', async () => {
  const server = await startServer(scriptedSession(offer('x')))
  const opened = await server.open('a║')
  const uri = opened.uri
  const textDocument = { uri, version: 2 }
  await server.client.sendNotification('textDocument/didChange', { textDocument, contentChanges: [{ text: 7 }] })
  expect(await server.completion(opened)).toEqual(none)
  expect(server.log.find(([level]) => level === 'error')![1]).toMatch(/^a change was malformed/)
  await server.client.sendNotification(DidOpenTextDocumentNotification.type, {
    textDocument: { uri, version: 3, languageId: 'python', text: 'a' },
  })
  expect((await server.completion(opened)).items).toHaveLength(1)
  await server.end()
})

test('requests before initialize and after shutdown are refused, not dropped', async () => {
  const session = scriptedSession(offer('x'))
  const server = await startServer(session)
  const opened = await server.open('a║')
  expect(await errorCode(server.client.sendRequest('initialize', { capabilities: {} }))).toBe(-32600)
  await server.client.sendRequest('shutdown')
  expect(await errorCode(server.completion(opened))).toBe(ErrorCodes.InvalidRequest)
  await server.end()
  expect(session.closed()).toBe(1)
})

test('shutdown answers what is in hand', async () => {
  const session = scriptedSession(() => never)
  const server = await startServer(session)
  const opened = await server.open('a║')
  const [menu, ghost] = [server.completion(opened), errorCode(server.inline(opened))]
  await until(() => session.seen.length === 2)
  await server.end()
  expect(await menu).toEqual(later)
  expect(await ghost).toBe(cancelled)
  expect(session.closed()).toBe(1)
})

describe('while the model is still being opened', () => {
  const opening = async (script: Script = offer('x')) => {
    const session = scriptedSession(script)
    let open: () => void = () => {}
    const server = await startServer(session, {
      openSession: () => new Promise((resolve) => void (open = () => resolve(session))),
      initializationOptions: { completionBudgetMs: 10, inlineBudgetMs: 20, invokedBudgetMs: 20 },
    })
    return { session, server, open: () => open() }
  }

  test('the menu is answered within its budget', async () => {
    const { server, open } = await opening()
    const document = await server.open('a║')
    expect(await server.completion(document)).toEqual(later)
    open()
    expect((await server.completion(document)).items).toHaveLength(1)
    await server.end()
  })

  test('ghost text waits, and its budget begins when the model is there', async () => {
    vi.useFakeTimers({ toFake: ['performance'] })
    try {
      const { session, server, open } = await opening()
      const [first, second] = [await server.open('a║'), await server.open('b║')]
      const context = { triggerKind: InlineCompletionTriggerKind.Invoked }
      const [asked, byHand] = [server.inline(first), server.inline(second, context)]
      await server.roundTrip()
      vi.advanceTimersByTime(60_000)
      open()
      expect((await asked).items).toHaveLength(1)
      expect((await byHand).items).toHaveLength(1)
      expect(session.seen.map(({ waitedMs }) => waitedMs)).toEqual([0, 0])
      await server.end()
    } finally {
      vi.useRealTimers()
    }
  })

  test('ghost text waits once for a document: the newest, until it is cancelled or the document closed', async () => {
    const { session, server, open } = await opening()
    const [first, second] = [await server.open('a║'), await server.open('b║')]
    const older = errorCode(server.inline(first))
    const source = new CancellationTokenSource()
    const newer = errorCode(server.inline(first, undefined, source.token))
    expect(await older).toBe(cancelled)
    const closed = errorCode(server.inline(second))
    await server.roundTrip()
    source.cancel()
    expect(await newer).toBe(cancelled)
    await server.client.sendNotification(DidCloseTextDocumentNotification.type, { textDocument: { uri: second.uri } })
    expect(await closed).toBe(cancelled)
    open()
    await server.roundTrip()
    expect(session.seen, 'no work was begun').toEqual([])
    await server.end()
  })

  test('what was typed meanwhile makes the answer nobody’s', async () => {
    const { session, server, open } = await opening()
    const document = await server.open('a║')
    const asked = errorCode(server.inline(document))
    await server.type(document, 'b')
    await server.roundTrip()
    open()
    expect(await asked).toBe(cancelled)
    expect(session.seen).toEqual([])
    await server.end()
  })

  test('the end answers who waits', async () => {
    const { server, open } = await opening()
    const asked = errorCode(server.inline(await server.open('a║')))
    await server.roundTrip()
    const ended = server.end()
    expect(await asked).toBe(cancelled)
    open()
    await ended
  })
})

test('a model that cannot be opened is an error, and is tried again later', async () => {
  const session = scriptedSession(offer('x'))
  let [now, tries] = [0, 0]
  const server = await startServer(session, {
    async openSession() {
      if (++tries === 1) throw new BundleError('models/x: no lacuna.json; run "lacuna model convert"')
      return session
    },
    clock: { now: () => now, sleep: () => never },
  })
  const opened = await server.open('a║')
  expect(await errorCode(server.completion(opened))).toBe(ErrorCodes.InternalError)
  expect(await errorCode(server.inline(opened))).toBe(ErrorCodes.InternalError)
  expect(tries, 'not at every request').toBe(1)
  expect(server.log.filter(([level]) => level === 'error')).toEqual([
    ['error', 'opening the model failed: models/x: no lacuna.json; run "lacuna model convert"'],
  ])
  expect(server.takeMessages()).toEqual([
    { type: 1, message: expect.stringContaining('failed: models/x: no lacuna.json; run "lacuna model convert"') },
  ])
  now += 10_000
  expect((await server.completion(opened)).items).toHaveLength(1)
  await server.end()
})

test('an engine that has gone is opened again, and not at every request when it keeps going', async () => {
  let [now, tries] = [0, 0]
  const opened: ReturnType<typeof scriptedSession>[] = []
  const server = await startServer(scriptedSession(offer('x')), {
    async openSession() {
      const opening = ++tries
      opened.push(
        scriptedSession((request) => {
          if (opening < 3 && now > 0) throw new EngineGoneError('the thread ended')
          return offer('y')(request)
        }),
      )
      return opened.at(-1)!
    },
    clock: { now: () => now, sleep: () => never },
  })
  const document = await server.open('a║')
  expect((await server.completion(document)).items).toHaveLength(1)
  now += 60_000
  expect(await errorCode(server.completion(document))).toBe(ErrorCodes.InternalError)
  expect(await errorCode(server.completion(document)), 'the second one goes too').toBe(ErrorCodes.InternalError)
  expect(await errorCode(server.completion(document)), 'just opened: no third one yet').toBe(ErrorCodes.InternalError)
  expect(tries).toBe(2)
  now += 10_000
  expect((await server.completion(document)).items).toHaveLength(1)
  expect(opened.map((session) => session.closed())).toEqual([1, 1, 0])
  server.takeMessages()
  await server.end()
})

test('a storm: ten keystrokes, both methods, two documents, some cancelled; each id answered once', async () => {
  const session = scriptedSession((request) =>
    request.snapshot.version % 3 === 0 ? never : new Promise((resolve) => setTimeout(resolve, 3, offer('!')(request))),
  )
  const server = await startServer(session)
  const documents = [await server.open('x = ║\n'), await server.open('y = ║\n')]
  const replies: Promise<unknown>[] = []
  const settled = (reply: Promise<unknown>) => reply.catch((error: unknown) => error)
  for (const key of 'prints(🦊)→') {
    for (const opened of documents) {
      await server.type(opened, key)
      const source = new CancellationTokenSource()
      replies.push(
        settled(server.completion(opened, source.token)),
        settled(server.inline(opened, undefined, source.token)),
      )
      if (key === 'i') source.cancel()
    }
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  const last = documents.map(({ document }) => document.getText())
  await new Promise((resolve) => setTimeout(resolve, 20))
  await server.end() // counts the answers
  for (const outcome of await Promise.all(replies)) {
    if (outcome instanceof ResponseError) expect(outcome.code).toBe(cancelled)
    else expect(outcome).toHaveProperty('items')
  }
  expect(session.seen.filter(({ snapshot }) => last.includes(snapshot.text)).length, 'the newest text was asked').toBe(
    4,
  )
})

test('two clients do not disturb each other', async () => {
  const [stalled, served] = await Promise.all([
    startServer(scriptedSession(() => never)),
    startServer(scriptedSession(offer('x'))),
  ])
  const waiting = stalled.completion(await stalled.open('a║'))
  expect((await served.completion(await served.open('a║'))).items).toHaveLength(1)
  await served.end()
  await stalled.end()
  expect(await waiting).toEqual(later)
})
