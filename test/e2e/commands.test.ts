/**
 * Commands over the protocol: answered at once, shown as progress, ended by a versioned edit, by diagnostics or by a
 * message, whatever happens meanwhile.
 */
import { describe, expect, test } from 'vitest'
import * as lsp from 'vscode-languageserver/node'
import { TextDocument } from 'vscode-languageserver-textdocument'
import { EngineGoneError } from '../../server/base/errors.ts'
import type { Session } from '../../server/session/session.ts'
import { never, scriptedSession } from './scriptedSession.ts'
import { errorCode, type Opened, startServer, until } from './startServer.ts'

type Fill = Session['fill']

const full: lsp.ClientCapabilities = {
  window: { workDoneProgress: true },
  workspace: {
    applyEdit: true,
    workspaceEdit: { documentChanges: true, changeAnnotationSupport: {}, metadataSupport: true },
  },
}

/** Fills each hole with the text at its place. */
const fills =
  (...texts: (string | undefined)[]): Fill =>
  async ({ holes }) =>
    holes.map((_, i) => (texts[i] === undefined ? undefined : { text: texts[i], replaceAfter: 0, probability: 0.5 }))

interface Options {
  readonly capabilities?: lsp.ClientCapabilities
  readonly scoreTokens?: Session['scoreTokens']
  /** What the client answers to an edit, instead of taking it. */
  readonly answer?: (
    params: lsp.ApplyWorkspaceEditParams,
    opened: Opened,
  ) => lsp.ApplyWorkspaceEditResult | Promise<never>
}

/** A client that applies edits as editors do: none of another version than the one it has. */
async function start(marked: string, fill: Fill, options: Options = {}, language = 'python') {
  const session = scriptedSession(() => never, {
    fill,
    ...(options.scoreTokens ? { scoreTokens: options.scoreTokens } : {}),
  })
  const server = await startServer(session, { capabilities: options.capabilities ?? full })
  const edits: lsp.ApplyWorkspaceEditParams[] = []
  const progress: [
    string | number,
    lsp.WorkDoneProgressBegin | lsp.WorkDoneProgressReport | lsp.WorkDoneProgressEnd,
  ][] = []
  const diagnostics: lsp.PublishDiagnosticsParams[] = []
  const opened = await server.open(marked, language)
  server.client.onRequest(lsp.WorkDoneProgressCreateRequest.type, ({ token }) => {
    server.client.onProgress(lsp.WorkDoneProgress.type, token, (value) => void progress.push([token, value]))
  })
  server.client.onNotification(lsp.PublishDiagnosticsNotification.type, (params) => void diagnostics.push(params))
  server.client.onRequest(lsp.ApplyWorkspaceEditRequest.type, (params) => {
    edits.push(params)
    if (options.answer) return options.answer(params, opened)
    return apply(params)
  })
  function apply({ edit }: lsp.ApplyWorkspaceEditParams): lsp.ApplyWorkspaceEditResult {
    const [change] = (edit.documentChanges ?? []) as lsp.TextDocumentEdit[]
    const textEdits = change ? change.edits : edit.changes![opened.uri]!
    if (change && change.textDocument.version !== opened.document.version) return { applied: false }
    const text = TextDocument.applyEdits(opened.document, textEdits as lsp.TextEdit[])
    TextDocument.update(opened.document, [{ text }], opened.document.version + 1)
    return { applied: true }
  }
  const run = (command: string, argument: object = {}) => {
    const at = opened.document.positionAt(opened.cursor)
    const place = { uri: opened.uri, range: { start: at, end: at } }
    return server.client.sendRequest(lsp.ExecuteCommandRequest.type, {
      command,
      arguments: [{ ...place, ...argument }],
    })
  }
  return { server, session, opened, edits, progress, diagnostics, run }
}

const deferred = <Value>() => {
  let resolve = (_: Value): void => {}
  const promise = new Promise<Value>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}

test('all commands are advertised, once and for all', async () => {
  const { server } = await start('', fills())
  const names = 'fix fill completeBody completeArguments rewrite change rename introduceParameter document unlikely'
  expect(server.initialized.capabilities.executeCommandProvider).toEqual({
    commands: expect.arrayContaining(names.split(' ').map((name) => `lacuna.${name}`)),
  })
  await server.end()
})

test('answered at once; then progress, then one versioned edit', async () => {
  const gate = deferred<void>()
  const fill: Fill = async (request, _, onProgress) => {
    await gate.promise
    onProgress(3)
    return await fills('a + b')(request, new AbortController().signal, () => {})
  }
  const { server, opened, edits, progress, run } = await start('total = ║\r\n', fill)
  expect(await run('lacuna.fill')).toBeNull()
  await until(() => progress.length === 1)
  expect(progress[0]![1]).toMatchObject({ kind: 'begin', title: 'Fill here', cancellable: true })
  gate.resolve()
  await until(() => opened.document.getText() === 'total = a + b\r\n')
  await until(() => progress.at(-1)?.[1].kind === 'end')
  expect(progress.map(([, { kind }]) => kind)).toEqual(['begin', 'report', 'end'])
  const place = { line: 0, character: 8 }
  const edit = { range: { start: place, end: place }, newText: 'a + b', annotationId: 'lacuna' }
  expect(edits).toEqual([
    {
      label: 'Fill here',
      edit: {
        documentChanges: [{ textDocument: { uri: opened.uri, version: 1 }, edits: [edit] }],
        changeAnnotations: { lacuna: { label: 'Fill here', description: 'Lacuna', needsConfirmation: false } },
      },
      metadata: { isRefactoring: false },
    },
  ])
  await server.end()
})

test('a client with none of that gets plain changes, and no progress', async () => {
  const { server, opened, edits, progress, run } = await start('x = ║\n', fills('1'), { capabilities: {} })
  await run('lacuna.fill')
  await until(() => opened.document.getText() === 'x = 1\n')
  expect(Object.keys(edits[0]!.edit)).toEqual(['changes'])
  expect(progress).toEqual([])
  await server.end()
})

describe('whole documents, byte for byte', () => {
  test.each<[string, string, string, string, (string | undefined)[], string]>([
    [
      'lacuna.completeBody',
      'go',
      'func f() {\r\n\t// 🦊\r\n║}\r\n',
      '',
      ['\treturn\r\n\tgo()'.trim()],
      'func f() {\r\n\treturn\r\n\tgo()\r\n}\r\n',
    ],
    ['lacuna.completeArguments', 'typescript', 'f("🦊", ║)\n', '', ['b'], 'f("🦊", b)\n'],
    [
      'lacuna.document',
      'python',
      '\ufeffdef f():║\n\tpass\n',
      '',
      ['Does é.'],
      '\ufeffdef f():\n\t"""Does é."""\n\tpass\n',
    ],
    [
      'lacuna.rename',
      'python',
      'def f(x║):\n    """x"""\n    return x  # 🦊 x\n',
      '',
      ['größe', undefined],
      'def f(größe):\n    """x"""\n    return größe  # 🦊 x\n',
    ],
    ['lacuna.fix', 'javascript', '/* 🦊 */ ║nmae()\r\n', 'no nmae', ['name()'], '/* 🦊 */ name()\r\n'],
  ])('%s', async (command, language, marked, message, texts, wanted) => {
    const { server, opened, run } = await start(marked, fills(...texts), {}, language)
    await run(command, message === '' ? {} : { message })
    await until(() => opened.document.getText() === wanted)
    await server.end()
  })

  test('a wish, told by the client', async () => {
    const read: string[] = []
    const fill: Fill = (request, ...rest) => {
      read.push(request.text)
      return fills('b')(request, ...rest)
    }
    const { server, opened, run } = await start('  a\n║', fill)
    const range = { start: { line: 0, character: 2 }, end: { line: 0, character: 3 } }
    await run('lacuna.change', { range, wish: 'the next letter' })
    await until(() => opened.document.getText() === '  b\n')
    expect(read).toEqual(['  # the next letter\n  \n'])
    await server.end()
  })
})

describe('the document changes meanwhile', () => {
  const held = () => {
    const gate = deferred<void>()
    const fill: Fill = async (...task) => {
      await gate.promise
      return await fills('1')(...task)
    }
    return { fill, gate }
  }

  test('elsewhere: the edit moves along', async () => {
    const { fill, gate } = held()
    const { server, opened, run, edits } = await start('a\nx = ║\nb\n', fill)
    await run('lacuna.fill')
    opened.cursor = 0
    await server.type(opened, 'new 🦊\n')
    await server.roundTrip()
    gate.resolve()
    await until(() => opened.document.getText() === 'new 🦊\na\nx = 1\nb\n')
    expect((edits[0]!.edit.documentChanges as lsp.TextDocumentEdit[])[0]!.textDocument.version).toBe(2)
    await server.end()
  })

  test('right there: it is said, and nothing is put in', async () => {
    const { fill, gate } = held()
    const { server, opened, run, edits } = await start('x = ║\n', fill)
    await run('lacuna.fill')
    await server.type(opened, '2')
    await server.roundTrip()
    gate.resolve()
    await told(server, /has changed there meanwhile/)
    expect(edits).toEqual([])
    await server.end()
  })

  test('closed: it is said', async () => {
    const { fill, gate } = held()
    const { server, opened, run, edits } = await start('x = ║\n', fill)
    await run('lacuna.fill')
    await server.client.sendNotification(lsp.DidCloseTextDocumentNotification.type, {
      textDocument: { uri: opened.uri },
    })
    await server.roundTrip()
    gate.resolve()
    await told(server, /was closed meanwhile/)
    expect(edits).toEqual([])
    await server.end()
  })

  test.each([
    ['on the way to the client', 0],
    ['before, and told late', 100],
  ])('%s: it refuses, and gets it once more for its new version', async (_, ms) => {
    let typed = false
    let type = async () => {}
    const answer: NonNullable<Options['answer']> = async () => {
      if (typed) return { applied: true } as never
      typed = true
      if (ms > 0) setTimeout(() => void type(), ms)
      else await type()
      return { applied: false } as never
    }
    const { server, opened, run, edits } = await start('a\nx = ║\n', fills('1'), { answer })
    type = async () => {
      opened.cursor = 0
      await server.type(opened, 'z')
    }
    await run('lacuna.fill')
    await until(() => edits.length === 2)
    const versions = edits.map(({ edit }) => (edit.documentChanges as lsp.TextDocumentEdit[])[0]!.textDocument.version)
    expect(versions).toEqual([1, 2])
    await server.end()
  })

  test('since it was listed: it is said at once', async () => {
    const { server, opened, run, edits } = await start('x = ║\n', fills('1'))
    await server.type(opened, ' ')
    expect(await run('lacuna.fill', { version: 1 })).toBeNull()
    await told(server, /has changed since/)
    expect(edits).toEqual([])
    await server.end()
  })
})

type Server = Awaited<ReturnType<typeof startServer>>

/** Waits for the one message to the user. */
async function told(server: Server, words: RegExp): Promise<void> {
  const seen: string[] = []
  await until(() => {
    seen.push(...server.takeMessages().map(({ message }) => message))
    return seen.length > 0
  })
  expect(seen).toHaveLength(1)
  expect(seen[0]).toMatch(words)
}

describe('it comes to nothing, and the user is told', () => {
  test('there is nothing to do', async () => {
    const { server, run } = await start('x = 1║\n', fills())
    expect(await run('lacuna.completeArguments')).toBeNull()
    await told(server, /^Lacuna: The cursor is in no argument list\.$/)
    await server.end()
  })
  test('the model has nothing', async () => {
    const { server, run } = await start('x = ║\n', fills(undefined))
    await run('lacuna.fill')
    await told(server, /found nothing/)
    await server.end()
  })
  test('the client does not want it', async () => {
    const answer = () => ({ applied: false, failureReason: 'read-only' })
    const { server, run } = await start('x = ║\n', fills('1'), { answer })
    await run('lacuna.fill')
    await told(server, /did not take the edit: read-only/)
    await server.end()
  })
  test('the engine is gone: the next command opens another', async () => {
    let asked = 0
    const fill: Fill = (...task) =>
      asked++ === 0 ? Promise.reject(new EngineGoneError('the engine has gone')) : fills('1')(...task)
    const { server, session, run } = await start('x = ║\n', fill)
    await run('lacuna.fill')
    await told(server, /Fill here failed: the engine has gone/)
    await until(() => session.closed() === 1)
    await server.end()
  })
  test('a document that is not open; arguments and commands that make no sense', async () => {
    const { server, run } = await start('x = ║\n', fills())
    expect(await run('lacuna.fill', { uri: 'file:///unknown' })).toBeNull()
    await told(server, /not open/)
    expect(await errorCode(run('lacuna.fill', { range: 1 }))).toBe(lsp.ErrorCodes.InvalidParams)
    expect(await errorCode(run('lacuna.toString'))).toBe(lsp.ErrorCodes.InvalidParams)
    expect(await errorCode(server.client.sendRequest('workspace/executeCommand', { command: 'lacuna.fill' }))).toBe(
      lsp.ErrorCodes.InvalidParams,
    )
    for (const params of [undefined, {}, { command: 7 }])
      expect(await errorCode(server.client.sendRequest('workspace/executeCommand', params))).toBe(-32602)
    const nothing = { command: 'lacuna.snooze', arguments: null }
    expect(await server.client.sendRequest('workspace/executeCommand', nothing)).toEqual({ minutes: 5 })
    await server.end()
  })
})

describe('given up', () => {
  test('by the user: the work is aborted, its progress ends, and nothing is said', async () => {
    let signal: AbortSignal | undefined
    let write: ((units: number) => void) | undefined
    const fill: Fill = (_, given, onProgress) => {
      signal = given
      write = onProgress
      return never
    }
    const { server, progress, run, edits } = await start('x = ║\n', fill)
    await run('lacuna.fill')
    await until(() => progress.length === 1)
    await server.client.sendNotification(lsp.WorkDoneProgressCancelNotification.type, { token: progress[0]![0] })
    await until(() => progress.at(-1)![1].kind === 'end')
    expect(signal!.aborted).toBe(true)
    expect(edits).toEqual([])
    write!(7) // a pass later
    await server.roundTrip()
    expect(progress.map(([, { kind }]) => kind)).toEqual(['begin', 'end'])
    await server.end()
  })
  test('by the end of the server', async () => {
    let signal: AbortSignal | undefined
    const fill: Fill = (_, given) => {
      signal = given
      return never
    }
    const { server, run } = await start('x = ║\n', fill, { capabilities: {} })
    await run('lacuna.fill')
    await until(() => signal !== undefined)
    await server.end()
    expect(signal!.aborted).toBe(true)
  })
})

test('a client that never agrees to progress holds up nothing', async () => {
  const { server, opened, run } = await start('x = ║\n', fills('1'))
  server.client.onRequest(lsp.WorkDoneProgressCreateRequest.type, () => Promise.reject(new Error('no')))
  await run('lacuna.fill')
  await until(() => opened.document.getText() === 'x = 1\n')
  await server.end()
})

describe('what looks unlikely', () => {
  const scoreTokens: Session['scoreTokens'] = async ({ text, span }) =>
    [...text.slice(span.start, span.end).matchAll(/\w+/g)].map(({ 0: word, index }) => {
      const start = span.start + index
      return { span: { start, end: start + word.length }, probability: word === 'odd' ? 0.001 : 0.4, expected: 'even' }
    })

  test('is hinted at, and gone with the next edit', async () => {
    const { server, opened, diagnostics, run } = await start('a\nthe odd one║\n', fills(), { scoreTokens })
    expect(await run('lacuna.unlikely')).toBeNull()
    await until(() => diagnostics.length === 1)
    expect(diagnostics[0]).toEqual({
      uri: opened.uri,
      version: 1,
      diagnostics: [
        {
          range: { start: { line: 1, character: 4 }, end: { line: 1, character: 7 } },
          severity: lsp.DiagnosticSeverity.Hint,
          source: 'lacuna',
          code: 'unlikely',
          message: 'unlikely here (0.10 %); likelier: even',
        },
      ],
    })
    await server.type(opened, '!')
    await until(() => diagnostics.length === 2)
    expect(diagnostics[1]).toEqual({ uri: opened.uri, diagnostics: [] })
    await server.type(opened, '!')
    await server.roundTrip()
    expect(diagnostics).toHaveLength(2)
    await server.end()
  })
  test.each<[string, string, object]>([
    ['its document is closed', 'didClose', {}],
    ['a change is malformed', 'didChange', { contentChanges: [{ text: 7 }] }],
    ['it is opened again', 'didOpen', { text: 'the odd one' }],
  ])('is gone when %s', async (_, method, params) => {
    const { server, session, opened, diagnostics, run } = await start('the odd one║\n', fills(), { scoreTokens })
    await run('lacuna.unlikely')
    await until(() => diagnostics.length === 1)
    const { text, ...rest } = params as { text?: string }
    const textDocument = { uri: opened.uri, version: 2, languageId: 'python', ...(text ? { text } : {}) }
    await server.client.sendNotification(`textDocument/${method}`, { textDocument, ...rest })
    await until(() => diagnostics.length === 2)
    expect(diagnostics[1]).toEqual({ uri: opened.uri, diagnostics: [] })
    expect(session.forgotten).toEqual(method === 'didOpen' ? [] : [opened.uri])
    await server.end()
  })
  test('nothing does: it is said', async () => {
    const { server, run } = await start('fine║\n', fills(), { scoreTokens })
    await run('lacuna.unlikely')
    await told(server, /Nothing looks unlikely/)
    await server.end()
  })
})

test('debug information holds settings and no model path', async () => {
  const { server } = await start('', fills())
  const told = await server.client.sendRequest(lsp.ExecuteCommandRequest.type, {
    command: 'lacuna.printDebugInformation',
  })
  expect(told).toMatchObject({ version: '0.0.0-test', settings: { maxTokens: 64 }, documents: 1 })
  await server.end()
})
