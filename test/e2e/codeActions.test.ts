/** `textDocument/codeAction` over the protocol: who is offered what, when, and in which shape. */
import { describe, expect, test } from 'vitest'
import {
  type ClientCapabilities,
  type CodeAction,
  type CodeActionContext,
  CodeActionRequest,
  CodeActionTriggerKind,
  type Diagnostic,
} from 'vscode-languageserver/node'
import { parseMarked } from '../markup.ts'
import { never, scriptedSession } from './scriptedSession.ts'
import { startServer } from './startServer.ts'

const literals = { codeActionLiteralSupport: { codeActionKind: { valueSet: [] } } }
const rich: ClientCapabilities = {
  textDocument: { codeAction: { ...literals, disabledSupport: true, tagSupport: { valueSet: [1] } } },
}
const { Automatic, Invoked } = CodeActionTriggerKind

interface Asked {
  readonly name?: string
  readonly capabilities?: ClientCapabilities
  readonly context?: Partial<CodeActionContext>
  /** Diagnostics at the selection. */
  readonly messages?: readonly string[]
}

async function list(marked: string, { name, capabilities = rich, context = {}, messages = [] }: Asked = {}) {
  const session = scriptedSession(() => never)
  const server = await startServer(session, { ...(name ? { name } : {}), capabilities })
  const { cursor, selection } = parseMarked(marked)
  const opened = await server.open(marked.replace(/[«»]/g, ''))
  const { start, end } = selection ?? { start: cursor!, end: cursor! }
  const range = { start: opened.document.positionAt(start), end: opened.document.positionAt(end) }
  const diagnostics = messages.map((message): Diagnostic => ({ range, message }))
  const asked = { textDocument: { uri: opened.uri }, range, context: { diagnostics, ...context } }
  const actions = ((await server.client.sendRequest(CodeActionRequest.type, asked)) ?? []) as CodeAction[]
  expect(session.seen, 'the model was not asked').toEqual([])
  await server.end()
  return { actions, titles: actions.map(({ title }) => title), uri: opened.uri, range, diagnostics }
}

test('each is a command with its place, marked as made by a model where the client knows the mark', async () => {
  const { actions, uri, range } = await list('f(║)\n')
  const argument = { uri, range, version: 1 }
  const common = { kind: 'refactor.rewrite', tags: [1] }
  expect(actions).toEqual([
    { ...common, title: 'Fill here', command: { title: 'Fill here', command: 'lacuna.fill', arguments: [argument] } },
    {
      ...common,
      title: 'Complete this argument list',
      command: {
        title: 'Complete this argument list',
        command: 'lacuna.completeArguments',
        arguments: [argument],
      },
    },
  ])
})

test('a client that knows commands alone gets commands', async () => {
  const { actions, uri, range } = await list('x = ║\n', { capabilities: {} })
  expect(actions).toEqual([{ title: 'Fill here', command: 'lacuna.fill', arguments: [{ uri, range, version: 1 }] }])
})

test('a fix belongs to its diagnostic', async () => {
  const { actions, diagnostics } = await list('«nmae»\n', { messages: ['no such name'] })
  const [fix] = actions
  expect(fix).toMatchObject({ title: 'Fix: no such name', kind: 'quickfix', diagnostics })
  expect(fix!.command!.arguments![0]).toMatchObject({ message: 'no such name' })
})

describe('when nobody asked', () => {
  const context = { triggerKind: Automatic }
  test.each([
    ['f(║)\n', []],
    ['«f»(x)\n', []], // a block cursor
    ['«f(x)\n»', []], // a client that widens to lines
    ['«f(x)»\n', []],
    ['f(«value»)\n', ['Rewrite the selection', 'Rename value consistently']],
  ])('%j', async (marked, titles) => {
    expect((await list(marked, { context })).titles).toEqual(titles)
  })
  test('only the fix where there is a diagnostic and no selection', async () => {
    expect((await list('f(║)\n', { context, messages: ['wrong'] })).titles).toEqual(['Fix: wrong'])
  })
})

test('only what was asked for, kinds above it included', async () => {
  const titles = async (...only: string[]) => {
    return (await list('f(«value»)\n', { messages: ['wrong'], context: { only, triggerKind: Invoked } })).titles
  }
  expect(await titles('quickfix')).toEqual(['Fix: wrong'])
  expect(await titles('refactor')).toContain('Rewrite the selection')
  expect(await titles('refactor.rewrite')).not.toContain('Fix: wrong')
  expect(await titles('refactor.extract', 'source.fixAll')).toEqual([])
})

test('what cannot be done is shown, with the reason, only where the client shows such', async () => {
  const { actions } = await list('f(«value»)\n')
  const disabled = actions.filter((action) => action.disabled)
  expect(disabled).toMatchObject([{ title: 'Change the selection as I say', disabled: { reason: /comment/ } }])
  expect(disabled[0]!.command).toBeUndefined()
  const { titles } = await list('f(«value»)\n', { capabilities: { textDocument: { codeAction: literals } } })
  expect(titles).toEqual(['Rewrite the selection', 'Rename value consistently'])
})

test('a client that asks for wishes is offered to', async () => {
  const capabilities = { ...rich, experimental: { lacuna: { asksWish: true } } }
  expect((await list('f(«value»)\n', { capabilities })).titles).toContain('Change the selection as I say…')
})

test('where a cursor is a selected character, it is a cursor', async () => {
  expect((await list('f(«)»\n', { name: 'helix' })).titles).toContain('Complete this argument list')
  expect((await list('f(«)»\n')).titles).not.toContain('Complete this argument list')
  // At the end of a line the character is its line break.
  expect((await list('x = f(1)«\r\n»', { name: 'helix' })).titles).toContain('Fill here')
})

test('a range between surrogate halves, past the end, or upside down; malformed requests', async () => {
  const server = await startServer(scriptedSession(() => never))
  const { uri } = await server.open('x = "🦊"\n')
  const ask = (params: unknown) => server.client.sendRequest<unknown[] | null>('textDocument/codeAction', params)
  const at = (line: number, character: number) => ({ line, character })
  const within = (start: object, end: object) => ask({ textDocument: { uri }, range: { start, end }, context: {} })
  expect(await within(at(0, 6), at(0, 6))).not.toEqual([])
  expect(await within(at(9, 9), at(9, 9))).not.toEqual([])
  expect(await within(at(0, 3), at(0, 0))).not.toEqual([])
  expect(await ask({})).toEqual([])
  expect(await ask({ textDocument: { uri }, range: null, context: null })).toEqual([])
  expect(await ask({ textDocument: { uri: 'file:///unknown' }, range: { start: at(0, 0), end: at(0, 0) } })).toEqual([])
  const context = { diagnostics: [null, { range: {}, message: 1 }, { message: 'x' }] }
  expect(await ask({ textDocument: { uri }, range: { start: at(0, 0), end: at(0, 0) }, context })).not.toEqual([])
  await server.end()
})
