/** The built server with a settings file of its user and a log file, as a process of its own. */
import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import * as lsp from 'vscode-languageserver/node'
import { expectCleanExit, spawnServer } from './spawnServer.ts'

test('reads config.json, writes its log beside stderr, and ends in order', async () => {
  const home = await mkdtemp(join(tmpdir(), 'lacuna-home-'))
  await writeFile(join(home, 'config.json'), '{ "model": "nowhere", "logLevl": "debug" }')
  const log = join(home, 'logs', 'lacuna.log')
  const server = spawnServer(['--stdio', '--log', log], { LACUNA_HOME: home })
  const client = lsp.createProtocolConnection(
    new lsp.StreamMessageReader(server.child.stdout),
    new lsp.StreamMessageWriter(server.child.stdin),
  )
  const messages: string[] = []
  client.onNotification(lsp.ShowMessageNotification.type, ({ message }) => void messages.push(message))
  client.listen()
  await client.sendRequest(lsp.InitializeRequest.type, { processId: null, rootUri: null, capabilities: {} })
  await client.sendNotification(lsp.InitializedNotification.type, {})
  await expect.poll(() => messages.length, { timeout: 10_000 }).toBe(2)
  expect(messages.toSorted()).toEqual([
    `${join(home, 'config.json')}: logLevl: no such setting; did you mean "logLevel"?`,
    expect.stringMatching(/^Lacuna: opening the model failed: model "nowhere": no such model/),
  ])
  await client.sendRequest(lsp.ShutdownRequest.type)
  await client.sendNotification(lsp.ExitNotification.type)
  await expectCleanExit(server)
  const lines = (await readFile(log, 'utf8')).trimEnd().split('\n')
  expect(
    lines.map((line) =>
      line.replace(/^\S+ (\d+) (\w+): /, (_, pid, level) => `${pid === String(server.child.pid)} ${level} `),
    ),
  ).toEqual(
    expect.arrayContaining([
      expect.stringMatching(/^true info lacuna .* for an unnamed client$/),
      expect.stringMatching(/^true warn .*logLevl: no such setting/),
      expect.stringMatching(/^true error opening the model failed: model "nowhere"/),
    ]),
  )
})
