/** The real server, the real session, the embedded model: open, ask, apply, compare whole documents. */
import { PassThrough } from 'node:stream'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createConnection } from 'vscode-languageserver/node'
import * as lsp from 'vscode-languageserver-protocol/node'
import { TextDocument } from 'vscode-languageserver-textdocument'
import { systemClock } from '../../server/base/clock.ts'
import { silent } from '../../server/base/log.ts'
import { type OpenRooms, openRooms } from '../../server/cli/openRooms.ts'
import { startServer } from '../../server/lsp/startServer.ts'
import { resolveModel } from '../../server/model/store.ts'
import { LiveSession } from '../../server/session/liveSession.ts'
import { parseMarked } from '../markup.ts'

let rooms: OpenRooms
let client: lsp.ProtocolConnection
beforeAll(async () => {
  rooms = await openRooms(await resolveModel())
  const [up, down] = [new PassThrough(), new PassThrough()]
  startServer(createConnection(new lsp.StreamMessageReader(up), new lsp.StreamMessageWriter(down)), {
    openSession: async (settings) =>
      new LiveSession(rooms, { settings, clock: systemClock, log: silent, close: async () => {} }),
    version: 'test',
    logAt: () => silent,
  })
  client = lsp.createProtocolConnection(new lsp.StreamMessageReader(down), new lsp.StreamMessageWriter(up))
  client.listen()
  await client.sendRequest(lsp.InitializeRequest.type, {
    processId: null,
    rootUri: null,
    capabilities: {},
    // No test may hang on the speed of its machine: what is asked is answered when it is done.
    initializationOptions: { inlineBudgetMs: 60_000, completionBudgetMs: 10_000, debounceMs: 0 },
  })
  await client.sendNotification(lsp.InitializedNotification.type, {})
})
afterAll(async () => {
  await client.sendRequest(lsp.ShutdownRequest.type)
  client.dispose()
  await rooms.close()
})

let count = 0
async function open(marked: string, languageId: string) {
  const { text, cursor } = parseMarked(marked)
  const uri = `file:///${++count}`
  await client.sendNotification(lsp.DidOpenTextDocumentNotification.type, {
    textDocument: { uri, languageId, version: 1, text },
  })
  const before = text.slice(0, cursor!)
  const position = { line: before.split('\n').length - 1, character: before.length - before.lastIndexOf('\n') - 1 }
  return { uri, text, cursor: cursor!, position }
}

async function inline(marked: string, languageId: string): Promise<string | undefined> {
  const { uri, text, cursor, position } = await open(marked, languageId)
  const answer = (await client.sendRequest(lsp.InlineCompletionRequest.type, {
    textDocument: { uri },
    position,
    context: { triggerKind: lsp.InlineCompletionTriggerKind.Automatic },
  })) as lsp.InlineCompletionItem[] | lsp.InlineCompletionList | null
  const [item] = Array.isArray(answer) ? answer : (answer?.items ?? [])
  if (!item) return undefined
  const lineStart = cursor - position.character
  expect(item.range!.start.line).toBe(position.line)
  expect(item.range!.end.line).toBe(position.line)
  return (
    text.slice(0, lineStart + item.range!.start.character) +
    item.insertText +
    text.slice(lineStart + item.range!.end.character)
  )
}

test.each([
  ['python', 'class Point:\n    def __init__(self, x, y):\n        self.x = x\n        self.y = ║\n', 'self.y = y\n'],
  ['typescript', 'function area(width: number, height: number) {\n  return width * ║\n}\n', 'width * height'],
  ['javascript', 'for (let i = 0; i < items.length; ║) {\n  total += items[i]\n}\n', 'items.length; i++) {\n'],
])('%s: ghost text is right', async (language, marked, wanted) => {
  expect(await inline(marked, language)).toContain(wanted)
})

test('CRLF and surrogate pairs before the cursor survive', async () => {
  const completed = await inline('# 🏳️\r\nvalues = [1, 2, 3]\r\ntotal = sum(║)\r\nprint(total)\r\n', 'python')
  expect(completed).toBe('# 🏳️\r\nvalues = [1, 2, 3]\r\ntotal = sum(values)\r\nprint(total)\r\n')
})

test('the menu and the ghost text say the same', async () => {
  const marked = 'def area(width, height):\n    return width * ║\n'
  const { uri, position } = await open(marked, 'python')
  const answer = (await client.sendRequest(lsp.CompletionRequest.type, {
    textDocument: { uri },
    position,
  })) as lsp.CompletionList
  const [item] = answer.items
  expect(item!.textEdit!.newText).toContain('height')
  expect(await inline(marked, 'python')).toContain('return width * height\n')
})

/** Runs a command at the selection, or at `║`, and gives the document after its edit. */
async function command(name: string, marked: string, languageId: string, argument: object = {}): Promise<string> {
  const { selection } = parseMarked(marked)
  const { uri, text, cursor, position } = await open(selection ? `${marked}║` : marked, languageId)
  const document = TextDocument.create(uri, languageId, 1, text)
  const range = selection
    ? { start: document.positionAt(selection.start), end: document.positionAt(selection.end) }
    : { start: position, end: document.positionAt(cursor) }
  const done = new Promise<string>((resolve) => {
    client.onRequest(lsp.ApplyWorkspaceEditRequest.type, ({ edit }) => {
      resolve(TextDocument.applyEdits(document, edit.changes![uri]!))
      return { applied: true }
    })
  })
  await client.sendRequest(lsp.ExecuteCommandRequest.type, { command: name, arguments: [{ uri, range, ...argument }] })
  return await done
}

test('two placeholders are filled together, and nothing else is touched', async () => {
  const filled = await command(
    'lacuna.fill',
    '# 🦊\r\nclass Point:\r\n\tdef __init__(self, x, y):\r\n«\t\tself.x = ___\r\n\t\tself.y = ___\r\n»',
    'python',
  )
  expect(filled).toBe('# 🦊\r\nclass Point:\r\n\tdef __init__(self, x, y):\r\n\t\tself.x = x\r\n\t\tself.y = y\r\n')
})

test('a misspelt name is fixed by what its diagnostic says', async () => {
  const marked =
    'def total(values):\n    result = 0\n    for value in values:\n        result += «vlaue»\n    return result\n'
  const fixed = await command('lacuna.fix', marked, 'python', { message: '"vlaue" is not defined' })
  expect(fixed).toBe(marked.replace('«vlaue»', 'value'))
})

test('a slip is what looks unlikely', async () => {
  const { uri } = await open('def area(width, height):\n    return width * hieght║\n', 'python')
  const published = new Promise<lsp.PublishDiagnosticsParams>((resolve) =>
    client.onNotification(lsp.PublishDiagnosticsNotification.type, resolve),
  )
  const end = { line: 1, character: 25 }
  const range = { start: { line: 1, character: 0 }, end }
  await client.sendRequest(lsp.ExecuteCommandRequest.type, {
    command: 'lacuna.unlikely',
    arguments: [{ uri, range }],
  })
  const { diagnostics } = await published
  expect(diagnostics.length).toBeGreaterThan(0)
  for (const { range: marked } of diagnostics) expect(marked.start).toMatchObject({ line: 1 })
  expect(diagnostics.some(({ range: marked }) => marked.start.character >= 19)).toBe(true)
})
