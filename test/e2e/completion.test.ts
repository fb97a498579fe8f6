/** From a document with a cursor to the document after the item was accepted, in both methods. */
import { expect, test } from 'vitest'
import { InlineCompletionTriggerKind, type Range } from 'vscode-languageserver'
import { acceptCompletion, acceptInline } from './acceptItem.ts'
import { offer, scriptedSession } from './scriptedSession.ts'
import { type ClientOptions, startServer } from './startServer.ts'

const snippets: ClientOptions['capabilities'] = {
  textDocument: { completion: { completionItem: { snippetSupport: true } } },
}
const clients: readonly ClientOptions[] = [
  { name: 'Visual Studio Code' },
  { name: 'Neovim', capabilities: snippets! },
  { name: 'helix', capabilities: snippets! },
  { name: 'kakoune-lsp' },
  {},
]

/** Both methods, in every client, must make `expected` of the document. */
async function check(marked: string, insert: string, expected: string, after = 0): Promise<void> {
  for (const client of clients) {
    const server = await startServer(scriptedSession(offer(insert, after)), client)
    const opened = await server.open(marked)
    const list = await server.completion(opened)
    expect(list.isIncomplete).toBe(false)
    expect(acceptCompletion(opened.document, opened.cursor, list.items[0]), client.name ?? 'unnamed').toBe(expected)
    const { items } = await server.inline(opened)
    expect(acceptInline(opened.document, items[0])).toBe(expected)
    await server.end()
  }
}

test('inserts at the cursor', () => check('x = ║', 'y + 1', 'x = y + 1'))

test('finishes a half-typed word', () => check('con║', 'sole.log(x)', 'console.log(x)'))

test('replaces a bracket that the model wrote again', () => check('print(║)\n', 'x)', 'print(x)\n', 1))

test('several lines, at an indentation', () =>
  check(
    'if a:\n    for b in c:║\n',
    '\n        d()\n\n        e()',
    'if a:\n    for b in c:\n        d()\n\n        e()\n',
  ))

test('CRLF', () => check('f(\r\n  a║\r\n)\r\n', ',\r\n  b', 'f(\r\n  a,\r\n  b\r\n)\r\n'))

test('tabs', () => check('\tif x {║\n\t}', '\n\t\ty()', '\tif x {\n\t\ty()\n\t}'))

test('after surrogates and letters of several bytes', () =>
  check('s = "🦊é中" + ║\n', 't("🐙")', 's = "🦊é中" + t("🐙")\n'))

test('a word of letters outside ASCII', () => check('größ║', 'e = 1', 'größe = 1'))

test('what a snippet engine would read as its own', () => check('x = ║', '{$1}\\n$0', 'x = {$1}\\n$0'))

test('in an empty document', () => check('║', 'import os', 'import os'))

test('Neovim gets no text behind the cursor twice', async () => {
  const server = await startServer(scriptedSession(offer('a):', 1)), { name: 'Neovim', capabilities: snippets! })
  const opened = await server.open('def f(║)')
  const { items } = await server.completion(opened)
  // Its snippet engine leaves the bracket, so the item ends before it.
  expect(acceptCompletion(opened.document, opened.cursor, items[0])).toBe('def f(a)')
  await server.end()
})

test('Neovim gets no continuation line it would indent too far', async () => {
  const server = await startServer(scriptedSession(offer('y\nelse:\n    z')), {
    name: 'Neovim',
    capabilities: snippets!,
  })
  const opened = await server.open('    x = ║')
  const { items } = await server.completion(opened)
  expect(acceptCompletion(opened.document, opened.cursor, items[0])).toBe('    x = y')
  await server.end()
})

test('an item says what every menu needs', async () => {
  const capabilities: ClientOptions['capabilities'] = {
    textDocument: {
      completion: {
        completionItem: { documentationFormat: ['markdown'], insertTextModeSupport: { valueSet: [1, 2] } },
      },
    },
  }
  const server = await startServer(scriptedSession(offer('x)\nprint(y)', 0, true)), { capabilities })
  const list = await server.completion(await server.open('a = 1\npri║'))
  expect(list.isIncomplete, 'partial').toBe(true)
  expect(list.items).toEqual([
    {
      label: 'prix) …',
      labelDetails: { description: 'lacuna' },
      kind: 1,
      documentation: { kind: 'markdown', value: '```python\nprix)\nprint(y)\n```' },
      filterText: 'prix)',
      sortText: '~',
      textEdit: {
        range: { start: { line: 1, character: 0 }, end: { line: 1, character: 3 } },
        newText: 'prix)\nprint(y)',
      },
      insertTextFormat: 1,
      insertTextMode: 1,
    },
  ])
  await server.end()
})

test('the chosen item of the menu is handed on, and its text comes first', async () => {
  const session = scriptedSession(offer('()'))
  const server = await startServer(session)
  const opened = await server.open('value.le║')
  const range: Range = { start: { line: 0, character: 6 }, end: { line: 0, character: 8 } }
  const { items } = await server.inline(opened, {
    triggerKind: InlineCompletionTriggerKind.Automatic,
    selectedCompletionInfo: { range, text: 'length' },
  })
  expect(session.seen[0]!.selected).toEqual({ span: { start: 6, end: 8 }, text: 'length' })
  expect(items).toEqual([{ insertText: 'length()', range, filterText: 'length()' }])
  expect(acceptInline(opened.document, items[0])).toBe('value.length()')
  await server.end()
})

test('asked by hand: ghost text yes, the menu never', async () => {
  const session = scriptedSession(offer('x'))
  const server = await startServer(session)
  const opened = await server.open('║')
  await server.inline(opened, { triggerKind: InlineCompletionTriggerKind.Invoked })
  await server.inline(opened)
  await server.completion(opened)
  expect(session.seen.map(({ method, invoked }) => [method, invoked])).toEqual([
    ['inline', true],
    ['inline', false],
    ['completion', false],
  ])
  await server.end()
})

test('typing keeps the server in step, and every snapshot as it was', async () => {
  const session = scriptedSession(offer('!'))
  const server = await startServer(session)
  const opened = await server.open('a\r\n║\r\nz')
  for (const text of ['🦊', '\r\n', 'é', '\t']) {
    await server.type(opened, text)
    await server.completion(opened)
  }
  expect(session.seen.map(({ snapshot, offset }) => [snapshot.version, snapshot.text, offset])).toEqual([
    [2, 'a\r\n🦊\r\nz', 5],
    [3, 'a\r\n🦊\r\n\r\nz', 7],
    [4, 'a\r\n🦊\r\né\r\nz', 8],
    [5, 'a\r\n🦊\r\né\t\r\nz', 9],
  ])
  await server.end()
})

test('a position past the end means the end', async () => {
  const session = scriptedSession(offer('!'))
  const server = await startServer(session)
  const { uri } = await server.open('ab\ncd')
  const ask = (line: number, character: number) =>
    server.client.sendRequest('textDocument/completion', { textDocument: { uri }, position: { line, character } })
  await ask(0, 99)
  await ask(99, 0)
  expect(session.seen.map(({ offset }) => offset)).toEqual([2, 5])
  await server.end()
})

test('a position inside a surrogate pair means before it', async () => {
  const session = scriptedSession(offer('!'))
  const server = await startServer(session)
  const opened = await server.open('a🦊')
  await server.completion({ ...opened, cursor: 2 })
  expect(session.seen[0]!.offset).toBe(1)
  await server.end()
})
