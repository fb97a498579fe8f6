/** The built server with a text endpoint in its user's settings: ghost text, menu, one notice, and a log without text or token. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import * as lsp from 'vscode-languageserver/node'
import { LocalEndpoint, streamed } from '../endpoint/localEndpoint.ts'
import { connect, expectCleanExit, spawnServer } from './spawnServer.ts'
import { at } from './startServer.ts'

const token = 'sk-for-tests'
let endpoint: LocalEndpoint
let dir: string
beforeEach(async () => {
  endpoint = await new LocalEndpoint().start()
  endpoint.usual = () => streamed('completions', ['wanted_', 'here)'])
  dir = await mkdtemp(join(tmpdir(), 'lacuna-endpoint-'))
})
afterEach(async () => {
  await endpoint.close()
  await rm(dir, { recursive: true })
})

async function start(marked: string, settings: object = {}) {
  const log = join(dir, 'lacuna.log')
  const server = spawnServer(['--stdio', '--log', log], { LACUNA_ENGINE_TOKEN: token })
  const own = { engine: endpoint.url().href, engineModel: 'coder', logLevel: 'debug', completionBudgetMs: 10_000 }
  const { client, opened, ask } = await connect(server, marked, null, { ...own, ...settings })
  const shown: string[] = []
  client.onNotification(lsp.ShowMessageNotification.type, ({ message }) => void shown.push(message))
  const menu = () => client.sendRequest(lsp.CompletionRequest.type, at(opened)) as Promise<lsp.CompletionList>
  const end = async () => {
    await client.sendRequest(lsp.ShutdownRequest.type)
    await client.sendNotification(lsp.ExitNotification.type)
    await expectCleanExit(server)
    return `${await readFile(log, 'utf8')}${server.stderr()}`
  }
  return { ask, menu, shown, end }
}

test('offers what was written there, says once that text leaves the machine, and logs neither text nor token', async () => {
  const { ask, menu, shown, end } = await start('secret_name = 1\nprint(║\n')
  expect((await ask()).items.map(({ insertText }) => insertText)).toEqual(['wanted_here)'])
  expect((await menu()).items.map(({ insertText, textEdit }) => textEdit?.newText ?? insertText)).toEqual([
    expect.stringContaining('wanted_here)'),
  ])
  expect(endpoint.asked.length).toBeGreaterThan(0)
  expect(shown).toEqual([
    `Lacuna: text around the cursor is sent to ${endpoint.url().href}, as the setting "engine" says`,
  ])
  const log = await end()
  expect(log).toMatch(/lacuna-135m on text \(http:\S+, model coder\)/)
  expect(log).not.toMatch(/sk-for|secret_name|wanted_|print/)
})

test('tells the user once why nothing comes', async () => {
  endpoint.usual = () => ({ kind: 'status', status: 401, body: `{"error":{"message":"${token} secret_name"}}` })
  const { ask, shown, end } = await start('secret_name = 1\nprint(║\n')
  for (let i = 0; i < 2; i++) await expect(ask()).rejects.toThrow(/401: it does not take this token/)
  expect(shown.slice(1)).toEqual([
    expect.stringMatching(/^Lacuna: .* failed: http:\S+, model coder: 401: .*set LACUNA_ENGINE_TOKEN/),
  ])
  expect(endpoint.asked).toHaveLength(1)
  expect(await end()).not.toMatch(/sk-for|secret_name/)
})
