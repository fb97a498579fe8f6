/**
 * Every client's habits, replayed without the client: it introduces itself, asks and takes as it was found to do
 * (facts/editors.md, section 2), and its buffer is compared as a whole. The real programs are in `test/editors/`.
 *
 * The ten complaints that recur about such tools (section 3C), and where each is tested:
 *
 * | complaint | test |
 * |---|---|
 * | 1 blocks other servers' menu | "a stalled engine holds up nobody's menu" here; p99: `npm run bench -- --only stalled` |
 * | 2 burns the processor while typing | `session/liveSession.test.ts`, `session/fairness.test.ts`; "ten keys" here |
 * | 3 a gigabyte an editor, orphans | `e2e/lifecycle.test.ts` (no orphan; one process an editor so far) |
 * | 4 wrong indentation | "takes" here, `golden/` |
 * | 5 suffix or bracket twice | `golden/`, `bench/filters/`, "takes" here |
 * | 6 stale or clobbering edits | "typed meanwhile" here, `fuzz/`, `e2e/outcomes.test.ts` |
 * | 7 a typo in the settings kills it | `e2e/configuration.test.ts`, "a typo" here |
 * | 8 my editor is missing | this file, `test/editors/` |
 * | 9 no control of the trigger | `e2e/triggers.test.ts` |
 * | 10 not private, opaque errors | `engine/keepsToThisMachine.test.ts`, `cli/doctor.test.ts`, `e2e/outcomes.test.ts` |
 */
import { describe, expect, test } from 'vitest'
import {
  CancellationTokenSource,
  type CompletionItem,
  type CompletionList,
  type InlineCompletionList,
  LSPErrorCodes,
} from 'vscode-languageserver/node'
import { never, offer, type Script, scriptedSession } from '../scriptedSession.ts'
import { at, errorCode, type Opened, startServer, type TestServer, until } from '../startServer.ts'
import { type Editor, editors, takeInline } from './editor.ts'

interface TakeCase {
  readonly name: string
  readonly marked: string
  readonly insert: string
  readonly after?: number // characters right of the cursor that the edit replaces
  readonly expected: string
  /** In editors that put the line's indentation before each line, and so cannot be given a line with less. */
  readonly expectedRelative?: string
  /** In those that keep what stands behind the cursor. */
  readonly expectedKeeping?: string
}

const cases: readonly TakeCase[] = [
  { name: 'tabs', marked: '\tif x {║\n\t}\n', insert: '\n\t\ty()', expected: '\tif x {\n\t\ty()\n\t}\n' },
  {
    name: 'several lines at an indentation, a blank one among them',
    marked: 'if a:\n    for b in c:║\n',
    insert: '\n        d()\n\n        e()',
    expected: 'if a:\n    for b in c:\n        d()\n\n        e()\n',
  },
  { name: 'CRLF', marked: 'f(\r\n  a║\r\n)\r\n', insert: ',\r\n  b', expected: 'f(\r\n  a,\r\n  b\r\n)\r\n' },
  {
    name: 'emoji on either side',
    marked: 's = "🦊é中" + ║ + "🐙"\n',
    insert: 't("👩‍💻")',
    expected: 's = "🦊é中" + t("👩‍💻") + "🐙"\n',
  },
  { name: 'a closing bracket', marked: 'print(║)\n', insert: 'x', expected: 'print(x)\n' },
  { name: 'over a closing bracket', marked: 'go(║)\n', insert: 'x).then(y)', after: 1, expected: 'go(x).then(y)\n' },
  {
    name: 'past a closing bracket',
    marked: 'go(║)\n',
    insert: 'x)[0]',
    after: 1,
    expected: 'go(x)[0]\n',
    expectedKeeping: 'go(x)\n',
  },
  { name: 'half a word', marked: 'con║\n', insert: 'sole.log(x)', expected: 'console.log(x)\n' },
  { name: 'half a word in a line', marked: 'len(se║.items)\n', insert: 'lf', expected: 'len(self.items)\n' },
  { name: 'half a word of other letters', marked: 'größ║\n', insert: 'e = 1', expected: 'größe = 1\n' },
  {
    name: 'what a snippet engine reads as its own',
    marked: 'x = ║\n',
    insert: '{$1}\\n$0 $HOME',
    expected: 'x = {$1}\\n$0 $HOME\n',
  },
  { name: 'no line break at the end', marked: 'return ║', insert: 'x', expected: 'return x' },
  {
    name: 'a line with less indentation',
    marked: '    x = ║\n',
    insert: 'y\nelse:\n    z',
    expected: '    x = y\nelse:\n    z\n',
    expectedRelative: '    x = y\n',
  },
]
const relative = new Set(['Neovim 0.12', 'Neovim 0.11', 'kakoune-lsp', 'Sublime Text'])
const keeping = new Set(['Neovim 0.12', 'Neovim 0.11'])
const later = { isIncomplete: true, items: [] }

describe.for(editors)('$name', (editor) => {
  test.for(cases)('takes: $name', async ({ marked, insert, after, expected, expectedRelative, expectedKeeping }) => {
    const shown = (text: string) => (editor.hidesCr ? text.replaceAll('\r\n', '\n') : text)
    const server = await start(editor, offer(shown(insert), after))
    const opened = await server.open(shown(marked))
    const buffer = { text: opened.document.getText(), expandTab: marked.includes('\t') ? undefined : 4 }
    const { items } = await menu(server, editor, opened)
    const wanted =
      (relative.has(editor.name) ? expectedRelative : undefined) ??
      (keeping.has(editor.name) ? expectedKeeping : undefined) ??
      expected
    expect(editor.take(buffer, opened.cursor, listed(items, buffer.text, opened.cursor))).toBe(shown(wanted))
    if (editor.inline) {
      const { items } = await ghost(server, opened)
      expect(takeInline(buffer.text, items[0]!)).toBe(shown(expected))
    }
    await server.end()
  })

  test('is answered in the encoding it offers, and told what it understands', async () => {
    const server = await start(editor, offer('x'))
    const { capabilities } = server.initialized
    expect(capabilities.positionEncoding).toBe('utf-16')
    expect(editor.capabilities.general!.positionEncodings).toContain('utf-16')
    expect(capabilities.inlineCompletionProvider, 'literally: lsp-mode reads {} as absent').toBe(true)
    expect(capabilities.completionProvider?.resolveProvider, 'Helix freezes, Emacs waits').toBeFalsy()
    expect(capabilities.executeCommandProvider?.commands, 'Helix runs nothing else').not.toEqual([])
    await server.end()
  })

  test('typed meanwhile: no edit for older text; asked again, the right one', async () => {
    const answers: ((script: Script) => void)[] = []
    const server = await start(editor, (request) =>
      new Promise<Script>((resolve) => void answers.push(resolve)).then((script) => script(request)),
    )
    const opened = await server.open('x = ║\n')
    const source = new CancellationTokenSource()
    const old = menu(server, editor, opened, false, source.token).catch((error: { code: number }) => error.code)
    await until(() => answers.length === 1)
    await server.type(opened, 'y')
    await server.roundTrip()
    if (editor.cancels) source.cancel()
    else answers[0]!(offer('z')) // too late: it is an answer for older text
    expect(await old).toEqual(editor.cancels ? LSPErrorCodes.RequestCancelled : later)
    const again = menu(server, editor, opened, true)
    await until(() => answers.length === 2)
    answers[1]!(offer('z'))
    const { items } = await again
    const text = opened.document.getText()
    expect(editor.take({ text, expandTab: 4 }, opened.cursor, listed(items, text, opened.cursor))).toBe('x = yz\n')
    await server.end()
  })

  test('a stalled engine holds up nobody’s menu', async () => {
    const session = scriptedSession(({ method }) => (method === 'completion' ? { kind: 'pending' } : never))
    const server = await startServer(session, optionsOf(editor))
    const opened = await server.open('x = ║\n')
    expect(await menu(server, editor, opened)).toEqual(later)
    if (editor.asksAgain) {
      await server.type(opened, 'y')
      expect(await menu(server, editor, opened, true)).toEqual(later)
    }
    await server.end()
  })

  test('ten keys, an answer to each, work for the newest alone', async () => {
    const waiting: (() => void)[] = []
    const session = scriptedSession(
      (request) => new Promise((resolve) => void waiting.push(() => resolve(offer('!')(request)))),
    )
    const server = await startServer(session, optionsOf(editor))
    const opened = await server.open('║\n')
    const replies: Promise<unknown>[] = []
    let source: CancellationTokenSource | undefined
    for (const key of 'print(🦊, 1') {
      await server.type(opened, key)
      if (editor.cancels) source?.cancel()
      source = new CancellationTokenSource()
      replies.push(menu(server, editor, opened, true, source.token).catch((error: { code: number }) => error.code))
    }
    await until(() => session.seen.at(-1)?.snapshot.text === 'print(🦊, 1\n')
    for (const answer of waiting) answer()
    const outcomes = await Promise.all(replies)
    for (const outcome of outcomes.slice(0, -1)) expect([later, LSPErrorCodes.RequestCancelled]).toContainEqual(outcome)
    expect((outcomes.at(-1) as CompletionList).items).toHaveLength(1)
    await server.end()
  })

  test('a typo in its settings costs no more than itself', async () => {
    const server = await startServer(scriptedSession(offer('x')), {
      ...optionsOf(editor),
      initializationOptions: { inlne: false },
    })
    const opened = await server.open('║')
    expect((await menu(server, editor, opened)).items).toHaveLength(1)
    const [message] = server.takeMessages()
    expect(message!.message).toContain('lacuna.inlne')
    expect(message!.message).toContain('inline')
    await server.end()
  })

  test('asks unprompted what could be done here, again and again, and the model is left alone', async () => {
    const session = scriptedSession(offer('x'))
    const server = await startServer(session, optionsOf(editor))
    const opened = await server.open('def f():\n    ║pass\n')
    const { position } = at(opened)
    // Kakoune widens to whole lines, and asks again when there is nothing; Helix has a character selected.
    const end = { line: position.line, character: position.character + (editor.name === 'Helix' ? 1 : 0) }
    const range =
      editor.name === 'kakoune-lsp'
        ? { start: { ...position, character: 0 }, end: { line: position.line, character: 8 } }
        : { start: position, end }
    const context = { diagnostics: [], triggerKind: 2 }
    for (let asked = 0; asked < 3; asked++) {
      const actions = await server.client.sendRequest('textDocument/codeAction', {
        textDocument: { uri: opened.uri },
        range,
        context,
      })
      expect(Array.isArray(actions)).toBe(true)
    }
    expect(session.seen).toEqual([])
    await server.end()
  })
})

describe('ghost text in Neovim', () => {
  const neovim = editors.find(({ name }) => name === 'Neovim 0.12')!

  test('never cancels: of all that it asked, the last is answered, and the others leave the ghost alone', async () => {
    const waiting = new Map<number, () => void>() // by offset
    const server = await start(
      neovim,
      (request) => new Promise((resolve) => void waiting.set(request.offset, () => resolve(offer('!')(request)))),
    )
    const opened = await server.open('║\n')
    const replies: Promise<number | InlineCompletionList>[] = []
    for (const key of 'abc') {
      await server.type(opened, key)
      replies.push(ghost(server, opened).catch((error: { code: number }) => error.code))
    }
    await until(() => waiting.has('abc'.length))
    for (const answer of waiting.values()) answer()
    const outcomes = await Promise.all(replies)
    // An empty list would erase what is shown; an error but this one is said to the user.
    expect(outcomes.slice(0, -1)).toEqual([LSPErrorCodes.RequestCancelled, LSPErrorCodes.RequestCancelled])
    expect((outcomes.at(-1) as InlineCompletionList).items).toHaveLength(1)
    await server.end()
  })

  test('a menu that is pending is never answered with an error, which would close it', async () => {
    const server = await start(neovim, () => ({ kind: 'pending' }))
    const opened = await server.open('x = ║')
    expect(await menu(server, neovim, opened)).toEqual(later)
    expect(await errorCode(ghost(server, opened))).toBe(LSPErrorCodes.RequestCancelled)
    await server.end()
  })
})

function optionsOf({ clientInfo, capabilities, initializationOptions }: Editor) {
  return { ...(clientInfo ? { name: clientInfo.name } : {}), capabilities, initializationOptions }
}

function start(editor: Editor, script: Script): Promise<TestServer> {
  return startServer(scriptedSession(script), optionsOf(editor))
}

function menu(
  server: TestServer,
  editor: Editor,
  opened: Opened,
  again = false,
  token?: CancellationTokenSource['token'],
): Promise<CompletionList> {
  const params = { ...at(opened), context: editor.context(again) }
  // An absent token would count as a second parameter.
  return token
    ? server.client.sendRequest('textDocument/completion', params, token)
    : server.client.sendRequest('textDocument/completion', params)
}

function ghost(server: TestServer, opened: Opened): Promise<InlineCompletionList> {
  return server.client.sendRequest('textDocument/inlineCompletion', { ...at(opened), context: { triggerKind: 2 } })
}

/** The item as far as the editor lists it: its filter begins with the word at the cursor, and it has one line to show. */
function listed(items: readonly CompletionItem[], text: string, cursor: number): CompletionItem {
  const [item] = items
  const word = /[\p{L}\p{N}_]*$/u.exec(text.slice(0, cursor))![0]
  expect(item?.filterText?.startsWith(word), `filtered by ${word}`).toBe(true)
  expect(item!.label).not.toMatch(/[\r\n]/)
  return item!
}
