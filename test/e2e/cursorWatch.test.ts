/** What editors tell by the way: where the cursor rests, and where somebody types. Answered at once. */
import { describe, expect, test } from 'vitest'
import {
  CodeActionRequest,
  CodeActionTriggerKind,
  DidChangeConfigurationNotification,
  DidChangeTextDocumentNotification,
  DocumentHighlightRequest,
  type TextDocumentContentChangeEvent,
} from 'vscode-languageserver/node'
import { settled } from '../base/manualClock.ts'
import { sessionThatKnows } from '../session/sessionThatKnows.ts'
import { never, offer, scriptedSession } from './scriptedSession.ts'
import { at, type Opened, startServer, type TestServer } from './startServer.ts'

/** As editors ask that nobody has asked: without a selection there is nothing to list. */
const unasked = { diagnostics: [], triggerKind: CodeActionTriggerKind.Automatic }

function highlights(server: TestServer, opened: Opened) {
  return server.client.sendRequest(DocumentHighlightRequest.type, at(opened))
}

function actions(server: TestServer, opened: Opened, start = opened.cursor) {
  const range = { start: opened.document.positionAt(start), end: opened.document.positionAt(opened.cursor) }
  const textDocument = { uri: opened.uri }
  return server.client.sendRequest(CodeActionRequest.type, { textDocument, range, context: unasked })
}

describe('highlights are offered only where the editor asks of itself and nobody loses by it', () => {
  const documentHighlights = { documentHighlightProvider: true }
  test.each([
    ['Visual Studio Code', {}],
    ['helix', {}],
    ['kakoune-lsp', {}],
    ['Zed', {}],
    ['Sublime Text LSP', {}],
    ['Eglot', documentHighlights],
    ['emacs', documentHighlights],
    ['Neovim', {}],
    [undefined, {}],
  ])('%s', async (name, wanted) => {
    const server = await startServer(
      scriptedSession(() => never),
      name ? { name } : {},
    )
    const { codeActionProvider, documentHighlightProvider } = server.initialized.capabilities
    expect(codeActionProvider, 'offered to all').toEqual({ codeActionKinds: ['quickfix', 'refactor.rewrite'] })
    expect(documentHighlightProvider === undefined ? {} : { documentHighlightProvider }).toEqual(wanted)
    await server.end()
  })
})

test('where a cursor rests is told to the session; the answers do not wait for it', async () => {
  const session = scriptedSession(() => never)
  const server = await startServer(session)
  const opened = await server.open('print(║)')
  expect(await highlights(server, opened)).toBeNull()
  expect(await actions(server, opened)).toEqual([])
  expect(await actions(server, opened, 2), 'a selection: where it begins').not.toEqual([])
  expect(session.prepared.map(({ offset, typing }) => [offset, typing])).toEqual([
    [6, false],
    [6, false],
    [2, false],
  ])
  expect(session.prepared[0]!.snapshot.text).toBe('print()')
  expect(session.seen, 'nothing was asked').toEqual([])
  await server.end()
})

test('a model that is still being loaded is waited for by nobody', async () => {
  const server = await startServer(
    scriptedSession(() => never),
    { openSession: () => never },
  )
  const opened = await server.open('print(║)')
  expect(await highlights(server, opened)).toBeNull()
  expect(await actions(server, opened)).toEqual([])
  await server.client.sendNotification('exit') // an opening that never ends would be waited for
})

test('an engine that hangs is waited for by nobody', async () => {
  const { session, engine } = sessionThatKnows('print(x)')
  engine.hold()
  const server = await startServer(session)
  const opened = await server.open('print(║)')
  await server.type(opened, 'x')
  expect(await highlights(server, opened)).toBeNull()
  expect(await actions(server, opened)).toEqual([])
  engine.resume()
  await settled()
  expect(engine.encodedRows).toBeGreaterThan(0)
  expect(engine.steps).toEqual([])
  await server.end()
})

test('typing tells where somebody is, before anything is asked', async () => {
  const session = scriptedSession(() => never)
  const server = await startServer(session)
  const opened = await server.open('a\r\n🦊║b')
  await server.type(opened, 'é🦊')
  await server.roundTrip()
  expect(session.prepared.map(({ offset, typing, snapshot }) => [offset, typing, snapshot.text])).toEqual([
    [8, true, 'a\r\n🦊é🦊b'],
  ])
  await server.end()
})

test('a deletion does; a new text, and several changes at once, do not', async () => {
  const session = scriptedSession(() => never)
  const server = await startServer(session)
  const { uri } = await server.open('abcdef')
  const place = (character: number) => ({ line: 0, character })
  const change = (version: number, contentChanges: TextDocumentContentChangeEvent[]) =>
    server.client.sendNotification(DidChangeTextDocumentNotification.type, {
      textDocument: { uri, version },
      contentChanges,
    })
  await change(2, [{ range: { start: place(2), end: place(4) }, text: '' }])
  await change(3, [{ text: 'all of it' }])
  await change(4, [
    { range: { start: place(0), end: place(1) }, text: 'x' },
    { range: { start: place(3), end: place(4) }, text: 'x' },
  ])
  await server.roundTrip()
  expect(session.prepared.map(({ offset, snapshot }) => [offset, snapshot.text])).toEqual([[2, 'abef']])
  await server.end()
})

test('nothing is told where no completions are wanted, nor of what is not open, nor of no place at all', async () => {
  const session = scriptedSession(offer('x'))
  const server = await startServer(session, { initializationOptions: { inline: false } })
  const opened = await server.open('print(║)')
  const unknown = { textDocument: { uri: 'file:///unknown' }, position: { line: 0, character: 0 } }
  expect(await server.client.sendRequest(DocumentHighlightRequest.type, unknown)).toBeNull()
  expect(
    await server.client.sendRequest(DocumentHighlightRequest.method, { textDocument: { uri: opened.uri } }),
  ).toBeNull()
  expect(await server.client.sendRequest(CodeActionRequest.method, {})).toEqual([])
  expect(session.prepared).toEqual([])
  await highlights(server, opened)
  expect(session.prepared).toHaveLength(1)
  await server.client.sendNotification(DidChangeConfigurationNotification.type, {
    settings: { lacuna: { inline: false, completion: false } },
  })
  await highlights(server, opened)
  await server.type(opened, 'x')
  await server.roundTrip()
  expect(session.prepared).toHaveLength(1)
  await server.end()
})
