/** A device that is lost while somebody waits: the answer comes all the same, once, and one line tells why it was slow. */
import { expect, test } from 'vitest'
import * as lsp from 'vscode-languageserver-protocol/node'
import { connect, expectCleanExit, spawnServer } from './spawnServer.ts'
import { at } from './startServer.ts'

const marked = 'class Point:\n    def __init__(self, x, y):\n        self.x = x\n        self.y = ║\n'

test.each([
  ['opening', 1], // of three that try it out
  ['reading the prefix', 3],
  ['denoising', 5],
])('lost while %s', async (_, passes) => {
  const preload = new URL('./failingProvider.mjs', import.meta.url).href
  const server = spawnServer(['--stdio'], { NODE_OPTIONS: `--import ${preload}`, PASSES_UNTIL_LOST: String(passes) })
  const { client, opened, ask } = await connect(server, marked, null, { providers: ['webgpu'] })
  const menu = client.sendRequest(lsp.CompletionRequest.type, at(opened)) as Promise<lsp.CompletionList>
  expect((await ask()).items[0]?.insertText, server.stderr()).toBe('y')
  expect(await menu).toHaveProperty('items') // empty, when its budget ended before
  expect((await ask()).items[0]!.insertText).toBe('y')
  await client.sendRequest(lsp.ShutdownRequest.type)
  await client.sendNotification(lsp.ExitNotification.type)
  await expectCleanExit(server)
  const told = server.stderr().match(/^.*webgpu.*the device is lost$/gm)
  expect(told, server.stderr()).toHaveLength(1)
  expect(told![0]).toContain(
    passes < 3 ? 'warn: webgpu passed over' : 'warn: webgpu is given up, cpu goes on: a pass failed',
  )
})
