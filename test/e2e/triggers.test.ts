/** Modes and private files as an editor meets them, on a real disk. */
import { mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import {
  DidChangeConfigurationNotification,
  DidChangeWatchedFilesNotification,
  DocumentHighlightRequest,
  ErrorCodes,
  ExecuteCommandRequest,
  InlineCompletionTriggerKind,
} from 'vscode-languageserver/node'
import { offer, scriptedSession } from './scriptedSession.ts'
import { at, errorCode, type Opened, startServer, type TestServer } from './startServer.ts'

let root: string
beforeEach(async () => void (root = await realpath(await mkdtemp(join(tmpdir(), 'lacuna-folder-')))))
afterEach(() => rm(root, { recursive: true, force: true }))

/** How many items each way of asking brings. */
async function offered(server: TestServer, opened: Opened) {
  const menu = (await server.completion(opened)).items.length
  const ghost = (await server.inline(opened)).items.length
  const byHand = (await server.inline(opened, { triggerKind: InlineCompletionTriggerKind.Invoked })).items.length
  return { menu, ghost, byHand }
}

const all = { menu: 1, ghost: 1, byHand: 1 }
const byHandOnly = { menu: 0, ghost: 0, byHand: 1 }
const none = { menu: 0, ghost: 0, byHand: 0 }

test('modes: by setting, by language, by command; each at once', async () => {
  const session = scriptedSession(offer('x'))
  const server = await startServer(session, { initializationOptions: { languages: { markdown: 'off' } } })
  const [python, markdown] = [await server.open('a║'), await server.open('a║', 'markdown')]
  const command = (name: string, argument: unknown) =>
    server.client.sendRequest(ExecuteCommandRequest.type, { command: name, arguments: [argument] })
  expect(await offered(server, python)).toEqual(all)
  expect(await offered(server, markdown)).toEqual(none)
  await server.client.sendNotification(DidChangeConfigurationNotification.type, {
    settings: { lacuna: { mode: 'manual' } },
  })
  expect(await offered(server, python)).toEqual(byHandOnly)
  expect(await command('lacuna.setMode', { mode: 'auto' })).toEqual({ mode: 'auto' })
  expect(await offered(server, python)).toEqual(all)
  expect(await offered(server, markdown)).toEqual(none)
  await command('lacuna.setMode', { mode: 'off', languageId: 'python' })
  const [seen, prepared] = [session.seen.length, session.prepared.length]
  expect(await offered(server, python)).toEqual(none)
  await server.type(python, 'x')
  await server.client.sendRequest(DocumentHighlightRequest.type, at(python))
  expect([session.seen.length, session.prepared.length], 'nothing asked, nothing read').toEqual([seen, prepared])
  await command('lacuna.setMode', { mode: 'auto', languageId: 'python' })
  expect(await command('lacuna.snooze', { minutes: 5 })).toEqual({ minutes: 5 })
  expect(await offered(server, python)).toEqual(byHandOnly)
  await command('lacuna.snooze', { minutes: 0 })
  expect(await offered(server, python)).toEqual(all)
  expect(await errorCode(command('lacuna.setMode', { mode: 'of' }))).toBe(ErrorCodes.InvalidParams)
  await server.end()
})

test('private files: nothing unasked, nothing read ahead, all by hand', async () => {
  await writeFile(join(root, '.gitignore'), 'local/\n')
  await writeFile(join(root, '.lacunaignore'), '*.sql\n')
  const session = scriptedSession(offer('x'))
  const server = await startServer(session, {
    workspaceFolders: [root],
    initializationOptions: { logLevel: 'debug', ignored: ['!.env.example'] },
  })
  for (const name of ['.env', 'server.key', 'local/main.py', 'a.sql']) {
    const opened = await server.open('KEY=║', 'python', join(root, name))
    await server.type(opened, 'x')
    await server.client.sendRequest(DocumentHighlightRequest.type, at(opened))
    expect(session.prepared, name).toEqual([])
    expect(await offered(server, opened), name).toEqual(byHandOnly)
  }
  expect(server.log.map(([, line]) => line)).toContain('inline: nothing: a private file: Git ignores it')
  for (const path of [join(root, 'main.py'), join(root, '.env.example'), 'untitled:Untitled-1']) {
    const opened = await server.open('a║', 'python', path)
    expect(await offered(server, opened), path).toEqual(all)
  }
  expect(await offered(server, await server.open('a║', 'python', 'git:/repo/.env?ref=HEAD'))).toEqual(byHandOnly)
  await server.end()
})

test('a workspace restricts itself, and says so where it wants more; a change is seen when the client tells', async () => {
  const file = join(root, '.lacuna.json')
  await writeFile(file, '{ "languages": { "python": "manual" }, "providers": ["cuda"], "inlin": false }')
  const session = scriptedSession(offer('x'))
  const capabilities = { workspace: { workspaceFolders: true, didChangeWatchedFiles: { dynamicRegistration: true } } }
  const server = await startServer(session, { workspaceFolders: [root], capabilities })
  expect(server.initialized.capabilities.workspace?.workspaceFolders).toEqual({
    supported: true,
    changeNotifications: true,
  })
  const opened = await server.open('a║', 'python', join(root, 'main.py'))
  const outside = await server.open('a║', 'python', '/elsewhere/main.py')
  expect(await offered(server, opened)).toEqual(byHandOnly)
  expect(await offered(server, outside)).toEqual(all)
  expect(server.takeMessages()).toEqual([
    {
      type: 2,
      message:
        `${file}: providers: not allowed in a workspace, which may only restrict (mode, languages, ignored); ignored\n` +
        `${file}: inlin: no such setting; there are mode, languages, ignored`,
    },
  ])
  await writeFile(file, '{ "mode": "off" }')
  await server.client.sendNotification(DidChangeWatchedFilesNotification.type, { changes: [] })
  expect(await offered(server, opened)).toEqual(none)
  await server.client.sendNotification('workspace/didChangeWorkspaceFolders', {
    event: { added: [], removed: [{ uri: `file://${root}`, name: root }] },
  })
  expect(await offered(server, opened)).toEqual(all)
  await server.end()
})

test("the user's own file: stands below the initialization options, and is read again with the configuration", async () => {
  const path = '/home/me/config.json'
  let value: unknown = { mode: 'manual', debounceMs: 3, mod: 1 }
  const server = await startServer(scriptedSession(offer('x')), {
    userFile: { path, found: true, value },
    readUserFile: async () => ({ path, found: true, value }),
    initializationOptions: { mode: 'auto' },
  })
  const opened = await server.open('a║')
  expect(await offered(server, opened)).toEqual(all)
  expect(server.takeMessages().map(({ message }) => message)).toEqual([
    `${path}: mod: no such setting; did you mean "mode"?`,
  ])
  value = { languages: { python: 'off' } }
  await server.client.sendNotification(DidChangeConfigurationNotification.type, { settings: null })
  await expect.poll(() => offered(server, opened)).toEqual(none)
  await server.end()
})
