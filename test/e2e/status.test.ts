/** What the server says of itself: status in two forms, progress, trace, log, and counts of what was taken. */
import { mkdtemp, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import * as lsp from 'vscode-languageserver/node'
import { BundleError, EngineError } from '../../server/base/errors.ts'
import type { Session } from '../../server/session/session.ts'
import { offer, scriptedSession } from './scriptedSession.ts'
import { errorCode, startServer, until } from './startServer.ts'

const experimental = { didChangeStatus: true, serverStatusNotification: true }

/** Notifications of a method, as they come. */
function heard(...methods: string[]) {
  const all: unknown[] = []
  const before = (client: lsp.ProtocolConnection) => {
    for (const method of methods) client.onNotification(method, (params) => void all.push(params))
  }
  return { all, before }
}

test('opening, open; an error that stands until something comes; off, and on again', async () => {
  const status = heard('didChangeStatus')
  let broken = false
  let opened: (session: Session) => void = () => {}
  const session = scriptedSession((request) => {
    if (broken) throw new EngineError('out of memory')
    return offer('y')(request)
  })
  const server = await startServer(session, {
    capabilities: { experimental: { didChangeStatus: true } },
    before: status.before,
    openSession: () => new Promise((resolve) => void (opened = resolve)),
  })
  await until(() => status.all.length === 1)
  opened(session)
  const document = await server.open('a║')
  await server.inline(document)
  broken = true
  expect(await errorCode(server.inline(document))).toBe(lsp.ErrorCodes.InternalError)
  broken = false
  await server.inline(document)
  const setMode = (mode: string) =>
    server.client.sendRequest(lsp.ExecuteCommandRequest.type, { command: 'lacuna.setMode', arguments: [{ mode }] })
  await setMode('off')
  await setMode('auto')
  await until(() => status.all.length === 6)
  expect(status.all).toEqual([
    { busy: true, kind: 'Normal', message: 'opening the model' },
    { busy: false, kind: 'Normal', message: '' },
    { busy: false, kind: 'Error', message: 'inlineCompletion failed: out of memory' },
    { busy: false, kind: 'Normal', message: '' },
    { busy: false, kind: 'Inactive', message: 'off' },
    { busy: false, kind: 'Normal', message: '' },
  ])
  expect(server.takeMessages()).toHaveLength(1)
  await server.end()
})

test('busy where somebody has waited for a moment, and not for what is answered at once', async () => {
  const status = heard('experimental/serverStatus')
  const session = scriptedSession(async (request) => {
    if (request.invoked) await new Promise((resolve) => setTimeout(resolve, 300))
    return offer('y')(request)
  })
  const capabilities = { experimental: { serverStatusNotification: true } }
  const server = await startServer(session, { capabilities, before: status.before })
  const document = await server.open('a║')
  await server.inline(document)
  await server.inline(document, { triggerKind: lsp.InlineCompletionTriggerKind.Invoked })
  await until(() => status.all.length === 4)
  expect(status.all).toEqual([
    { health: 'ok', quiescent: false, message: 'opening the model' },
    { health: 'ok', quiescent: true },
    { health: 'ok', quiescent: false },
    { health: 'ok', quiescent: true },
  ])
  await server.end()
})

test('settings that were not understood; a model that cannot be opened', async () => {
  const status = heard('didChangeStatus', 'experimental/serverStatus')
  const server = await startServer(
    scriptedSession(() => ({ kind: 'pending' })),
    {
      capabilities: { experimental },
      before: status.before,
      initializationOptions: { mod: 1 },
      openSession: async () => {
        throw new BundleError('models/x: no lacuna.json')
      },
    },
  )
  const message = 'opening the model failed: models/x: no lacuna.json'
  await until(() => status.all.some((one) => (one as { health?: string }).health === 'error'))
  expect(status.all).toContainEqual({ busy: true, kind: 'Warning', message: '1 setting not understood; see the log' })
  expect(status.all.slice(-2)).toEqual([
    { busy: false, kind: 'Error', message },
    { health: 'error', quiescent: true, message },
  ])
  await until(() => server.log.filter(([level]) => level === 'error').length > 0)
  server.takeMessages()
  await server.end()
})

test('a client that knows none of it is told none of it; progress goes to those that show it', async () => {
  const plain = await startServer(scriptedSession(offer('x')))
  await plain.inline(await plain.open('a║'))
  await plain.end() // fails on messages nobody read

  const progress: unknown[] = []
  const server = await startServer(scriptedSession(offer('x')), {
    capabilities: { window: { workDoneProgress: true } },
    before(client) {
      client.onRequest(lsp.WorkDoneProgressCreateRequest.type, ({ token }) => {
        client.onProgress(lsp.WorkDoneProgress.type, token, (value) => void progress.push(value))
      })
    },
  })
  await until(() => progress.length === 2)
  expect(progress).toEqual([{ kind: 'begin', title: 'Lacuna: opening the model' }, { kind: 'end' }])
  await server.end()
})

test('a client that refuses the token is served', async () => {
  const server = await startServer(scriptedSession(offer('x')), {
    capabilities: { window: { workDoneProgress: true } },
    before: (client) =>
      void client.onRequest(lsp.WorkDoneProgressCreateRequest.type, () => new lsp.ResponseError(-32603, 'no')),
  })
  expect((await server.inline(await server.open('a║'))).items).toHaveLength(1)
  await server.end()
})

test('$/setTrace: a line for each answer with its time; what came of it when verbose; no text', async () => {
  const trace = heard('$/logTrace')
  const server = await startServer(scriptedSession(offer('secret')), { before: trace.before })
  const document = await server.open('private║')
  const set = (value: 'off' | 'messages' | 'verbose') => server.client.sendNotification('$/setTrace', { value })
  await server.inline(document)
  await set('messages')
  await server.inline(document)
  await set('verbose')
  await server.completion(document)
  await set('off')
  await server.completion(document)
  await server.roundTrip()
  expect(trace.all).toEqual([
    { message: expect.stringMatching(/^inlineCompletion answered after \d+\.\d ms$/) },
    { message: expect.stringMatching(/^completion answered after \d+\.\d ms$/), verbose: '1 item' },
  ])
  await server.end()
})

test('the log file has what the log has, and text of documents only where the user says so', async () => {
  const logs = await Promise.all(
    [false, true].map(async (logText) => {
      const logFile = join(await mkdtemp(join(tmpdir(), 'lacuna-log-')), 'lacuna.log')
      const options = { initializationOptions: { logLevel: 'debug', logFile, logText } }
      const server = await startServer(scriptedSession(offer('hunter2')), options)
      await server.inline(await server.open('password = ║'))
      await server.completion(await server.open('password = ║', 'python', '/home/me/.env'))
      await server.end()
      return { text: await readFile(logFile, 'utf8'), lines: server.log.map(([, line]) => line) }
    }),
  )
  for (const { text, lines } of logs) {
    expect(
      text
        .trimEnd()
        .split('\n')
        .map((line) => line.replace(/^\S+ \d+ \w+: /, '')),
    ).toEqual(lines)
    expect(text).not.toContain('password')
  }
  expect(logs[0]!.text).not.toContain('hunter2')
  expect(logs[1]!.text).toContain('inline: ["hunter2"]')
  expect(logs[0]!.text).toMatch(/debug: completion: nothing: a private file/)
})

test('a log that cannot be written stops nothing; the option counts for more than the setting', async () => {
  const settings = { logFile: '/nowhere/at/all' }
  const server = await startServer(scriptedSession(offer('x')), {
    initializationOptions: settings,
    logFile: '/dev/full',
  })
  expect((await server.inline(await server.open('a║'))).items).toHaveLength(1)
  await until(() => server.log.some(([, line]) => line.startsWith('the log file /dev/full cannot be written: ENOSPC')))
  await server.end()
})

test('shown, taken in part, taken: counted for clients that tell, kept here', async () => {
  const server = await startServer(scriptedSession(offer('len(x)')), { name: 'Visual Studio Code' })
  const document = await server.open('y = ║')
  const [item] = (await server.inline(document)).items
  const [other] = (await server.inline(document)).items
  expect(item!.command).toEqual({ title: '', command: 'lacuna.didAcceptCompletion', arguments: [1] })
  await server.client.sendNotification('textDocument/didShowCompletion', { item })
  await server.client.sendNotification('textDocument/didPartiallyAcceptCompletion', { item, acceptedLength: 3 })
  const run = (command: lsp.Command) => server.client.sendRequest(lsp.ExecuteCommandRequest.type, command)
  expect(await run(item!.command!)).toBeNull()
  await server.client.sendNotification('textDocument/didPartiallyAcceptCompletion', { item: other, acceptedLength: 4 })
  expect(await run({ title: '', command: 'lacuna.printDebugInformation' })).toMatchObject({
    mode: 'auto',
    usage: { offered: 2, shown: 1, accepted: 1, partlyAccepted: 1, acceptedUnits: 10 },
  })
  await server.end()
  const helix = await startServer(scriptedSession(offer('x')), { name: 'helix' })
  expect((await helix.inline(await helix.open('a║'))).items[0]).not.toHaveProperty('command')
  await helix.end()
})
