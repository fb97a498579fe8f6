/** Settings on their three ways in, and that a slip in them costs no more than itself. */
import { expect, test } from 'vitest'
import { DidChangeConfigurationNotification } from 'vscode-languageserver/node'
import type { Settings } from '../../server/config/settings.ts'
import { offer, scriptedSession } from './scriptedSession.ts'
import { type ClientOptions, startServer, until } from './startServer.ts'

const none = { isIncomplete: false, items: [] }

/** A server whose session keeps what it was given to look settings up. */
async function startWatched(options: ClientOptions) {
  let settings: () => Settings = () => {
    throw new Error('not open yet')
  }
  const session = scriptedSession(offer('x'))
  const server = await startServer(session, {
    ...options,
    async openSession(given) {
      settings = given
      return session
    },
  })
  await server.completion(await server.open(''))
  return { server, settings: () => settings() }
}

test('initialization options; a misspelt key is named and the rest stays in force', async () => {
  const { server, settings } = await startWatched({
    initializationOptions: { maxTokens: 9, maxtoken: 3, inlineBudgetMs: 'soon' },
  })
  expect(settings()).toMatchObject({ maxTokens: 9, inlineBudgetMs: 500 })
  expect(server.takeMessages()).toEqual([
    {
      type: 2,
      message:
        'lacuna.maxtoken: no such setting; did you mean "maxTokens"?\n' +
        'lacuna.inlineBudgetMs: invalid input: expected number, received string, found "soon"; it stays 500',
    },
  ])
  expect(server.log.filter(([level]) => level === 'warn')).toHaveLength(2)
  await server.end()
})

test('the configuration the client answers with stands on the initialization options, and is read again', async () => {
  let answer: unknown = { maxTokens: 7 }
  const { server, settings } = await startWatched({
    capabilities: { workspace: { configuration: true, didChangeConfiguration: { dynamicRegistration: true } } },
    initializationOptions: { maxTokens: 9, debounceMs: 20, model: 'mine' },
    configuration: () => answer,
  })
  await until(() => settings().maxTokens === 7)
  expect(settings()).toMatchObject({ debounceMs: 20, model: 'mine' })
  answer = { model: 'theirs' }
  await server.client.sendNotification(DidChangeConfigurationNotification.type, { settings: null })
  await until(() => settings().maxTokens === 9)
  expect(settings().model, 'a workspace cannot choose it').toBe('mine')
  await until(() => server.takeMessages().some(({ message }) => message.startsWith('lacuna.model: a workspace could')))
  await server.end()
})

test('of two configurations asked for, the newer counts, whichever comes first', async () => {
  const answers: ((answer: unknown) => void)[] = []
  const { server, settings } = await startWatched({
    capabilities: { workspace: { configuration: true } },
    configuration: () => new Promise((resolve) => void answers.push(resolve)),
  })
  await server.client.sendNotification(DidChangeConfigurationNotification.type, { settings: null })
  await until(() => answers.length === 2)
  answers[1]!({ maxTokens: 8 })
  await until(() => settings().maxTokens === 8)
  answers[0]!({ maxTokens: 7 })
  await server.roundTrip()
  expect(settings().maxTokens).toBe(8)
  await server.end()
})

test('a configuration the client pushes; what is not ours is left alone', async () => {
  const { server, settings } = await startWatched({})
  const push = (pushed: unknown) =>
    server.client.sendNotification(DidChangeConfigurationNotification.type, { settings: pushed })
  await push({ lacuna: { maxTokens: 7 }, python: {} })
  await until(() => settings().maxTokens === 7)
  await push({ maxTokens: 8 })
  await until(() => settings().maxTokens === 8)
  await push({ python: { formatter: 'x' } })
  await until(() => settings().maxTokens === 64)
  await server.end()
})

test('the same warning is given once', async () => {
  const { server } = await startWatched({ initializationOptions: { nope: 1 } })
  const push = { settings: { lacuna: { nope: 1 } } }
  await server.client.sendNotification(DidChangeConfigurationNotification.type, push)
  await server.completion(await server.open(''))
  expect(server.takeMessages()).toHaveLength(1)
  await server.end()
})

test('each method can be switched off, live', async () => {
  const { server } = await startWatched({ initializationOptions: { completion: false } })
  const opened = await server.open('a║')
  expect(await server.completion(opened)).toEqual(none)
  expect((await server.inline(opened)).items).toHaveLength(1)
  await server.client.sendNotification(DidChangeConfigurationNotification.type, {
    settings: { lacuna: { completion: true, inline: false } },
  })
  expect((await server.completion(opened)).items).toHaveLength(1)
  expect(await server.inline(opened)).toEqual({ items: [] })
  await server.end()
})

test("the session is told of the editor's own delay, which counts towards the debounce", async () => {
  for (const [name, clientDelayMs] of [
    ['helix', 250],
    ['Neovim', 25],
    ['an unknown one', 0],
  ] as const) {
    const { server, settings } = await startWatched({ name, initializationOptions: { debounceMs: 100 } })
    expect(settings()).toMatchObject({ debounceMs: 100, clientDelayMs })
    await server.end()
  }
})

test('the log keeps to its level', async () => {
  const { server } = await startWatched({ initializationOptions: { logLevel: 'warn' } })
  expect(server.log).toEqual([])
  await server.end()
})
