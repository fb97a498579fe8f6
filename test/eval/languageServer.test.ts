/** Other people's servers, played by ones of our own: what an editor would insert of what they list. */
import { PassThrough } from 'node:stream'
import { describe, expect, test } from 'vitest'
import * as lsp from 'vscode-languageserver/node'
import { TextDocument } from 'vscode-languageserver-textdocument'
import { inlineEdit, menuEdit, withoutStops } from './answerers/completionItems.ts'
import { languageServer, type RunningServer, spawnServer } from './answerers/languageServer.ts'
import type { Case } from './benchmark.ts'

const text = 'import os\nos.pa\n'
const offset = 'import os\nos.pa'.length
const gap: Case = { key: 'k', group: 'g', languageId: 'python', text, offset, scope: 'line', maxTokens: 8, truth: 'th' }
const document = TextDocument.create('file:///a.py', 'python', 1, text)
const at = (line: number, character: number) => ({ line, character })
/** Braces that are not TypeScript's. */
const snippet = (text: string) => text.replaceAll('{', '${')
const inserted = (text: string, start = offset, end = offset) => ({ span: { start, end }, text })

describe('of a menu', () => {
  test('the first that begins with the word, by sortText', () => {
    const items = [
      { label: 'pardir', sortText: 'b' },
      { label: 'environ', sortText: '0' },
      { label: 'path', sortText: 'a' },
    ]
    expect(menuEdit(document, offset, items)).toEqual(inserted('th'))
    expect(
      menuEdit(document, offset, { isIncomplete: false, items: [{ label: 'pardir', preselect: true }, items[2]!] }),
    ).toEqual(inserted('rdir'))
    expect(menuEdit(document, offset, [items[1]!])).toBeUndefined()
    expect(menuEdit(document, offset, null)).toBeUndefined()
  })

  test('as its edit says, with what stands there already left out', () => {
    const range = { start: at(1, 3), end: at(1, 5) }
    expect(menuEdit(document, offset, [{ label: 'path', textEdit: { range, newText: 'path' } }])).toEqual(
      inserted('th'),
    )
    const both = { insert: range, replace: range, newText: 'path' }
    expect(menuEdit(document, offset, [{ label: 'path', textEdit: both }])).toEqual(inserted('th'))
    const list = {
      isIncomplete: false,
      itemDefaults: { editRange: range },
      items: [{ label: 'path', textEditText: 'path.join' }],
    }
    expect(menuEdit(document, offset, list)).toEqual(inserted('th.join'))
    expect(menuEdit(document, offset, [{ label: 'PATH', textEdit: { range, newText: 'PATH' } }])).toEqual(
      inserted('PATH', offset - 2),
    )
  })

  test('snippets as their text', () => {
    const item = {
      label: 'path',
      insertText: snippet('path({1:name}, $2)$0'),
      insertTextFormat: lsp.InsertTextFormat.Snippet,
    }
    expect(menuEdit(document, offset, [item])).toEqual(inserted('th(name, )'))
    expect(withoutStops(snippet('{1|a,b|} \\$x {2}'))).toBe('a $x ')
  })
})

test('of ghost texts the first, at its range', () => {
  expect(inlineEdit(document, offset, { items: [{ insertText: 'th.join()' }] })).toEqual(inserted('th.join()'))
  const range = { start: at(1, 0), end: at(1, 5) }
  expect(inlineEdit(document, offset, [{ insertText: 'os.path', range }])).toEqual(inserted('th'))
  expect(inlineEdit(document, offset, { items: [] })).toBeUndefined()
})

/** A server in this process. */
function played(bind: (connection: lsp.Connection) => void): RunningServer {
  const [up, down] = [new PassThrough(), new PassThrough()]
  const connection = lsp.createConnection(new lsp.StreamMessageReader(up), new lsp.StreamMessageWriter(down))
  connection.onShutdown(() => {})
  connection.onExit(() => {})
  bind(connection)
  connection.listen()
  return { input: down, output: up, ended: new Promise(() => {}), kill: () => {} }
}

const options = { name: 'peer', settings: { mode: 'test' }, patienceMs: 200 }

describe('a server', () => {
  test('with a menu alone is asked for that, of a document that it was told', async () => {
    const told: string[] = []
    const server = played((connection) => {
      connection.onInitialize(({ initializationOptions }) => {
        told.push(JSON.stringify(initializationOptions))
        return { capabilities: { completionProvider: {} }, serverInfo: { name: 'words', version: '1' } }
      })
      connection.onDidOpenTextDocument(({ textDocument }) => void told.push(textDocument.text, textDocument.languageId))
      connection.onCompletion(({ position }) => [{ label: `pa${position.line}${position.character}` }])
    })
    const answerer = await languageServer(server, options)
    expect(answerer.about).toMatchObject({ server: 'words 1', method: 'completion' })
    const { edit, shown } = await answerer.ask(gap)
    expect(edit).toEqual(inserted('15'))
    expect(shown).toBeUndefined()
    expect(told).toEqual(['{"mode":"test"}', text, 'python'])
    await answerer.close()
  })

  test('with inline completion is asked for that, by hand and not', async () => {
    const server = played((connection) => {
      connection.onInitialize(() => ({ capabilities: { inlineCompletionProvider: true, completionProvider: {} } }))
      connection.onRequest(lsp.InlineCompletionRequest.type, ({ context }) =>
        context.triggerKind === lsp.InlineCompletionTriggerKind.Invoked
          ? { items: [{ insertText: 'th' }] }
          : { items: [] },
      )
    })
    const answerer = await languageServer(server, options)
    expect(await answerer.ask(gap)).toMatchObject({ edit: inserted('th'), shown: { edit: undefined } })
    await answerer.close()
  })

  test('that cancels by itself is asked again; one that never answers has answered nothing', async () => {
    let [asked, patience] = [0, true]
    const server = played((connection) => {
      connection.onInitialize(() => ({ capabilities: { completionProvider: {} } }))
      connection.onCompletion(() => {
        asked++
        if (!patience) return new Promise<never>(() => {})
        if (asked === 1) return new lsp.ResponseError(lsp.LSPErrorCodes.ContentModified, 'later')
        if (asked === 2) return { isIncomplete: true, items: [] }
        return [{ label: 'path' }]
      })
    })
    const answerer = await languageServer(server, options)
    expect((await answerer.ask(gap)).edit).toEqual(inserted('th'))
    expect(asked).toBe(4)
    patience = false
    expect((await answerer.ask(gap)).edit).toBeUndefined()
    await answerer.close()
  })

  test('that completes nothing, or is none, is refused with the reason', async () => {
    const silent = played((connection) => connection.onInitialize(() => ({ capabilities: {} })))
    await expect(languageServer(silent, options)).rejects.toThrow(
      /peer offers neither completion nor inline completion/,
    )
    // Whether it is written to before it is gone, or after.
    await expect(languageServer(spawnServer('/nowhere/server'), options)).rejects.toThrow(/not found|ended with 127/)
    const gone = spawnServer('/nowhere/server')
    await gone.ended
    await expect(languageServer(gone, options)).rejects.toThrow(/not found|ended with 127/)
  })
})
