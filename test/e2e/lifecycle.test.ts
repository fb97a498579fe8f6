/** The ways a client goes away, each while the model is at work: the process ends by itself, with 0, and is not aborted. */
import { spawn } from 'node:child_process'
import { expect, test } from 'vitest'
import { ErrorCodes, ExitNotification, ShutdownRequest } from 'vscode-languageserver/node'
import { connect, expectCleanExit, type SpawnedServer, spawnServer } from './spawnServer.ts'

const gap = 'def mean(values):\n    total = 0\n    for value in values:\n        total += ║\n    return total\n'

/** A server with a forward pass under way, or about to be. */
async function atWork(server: SpawnedServer, processId: number | null = null) {
  const connected = await connect(server, gap, processId)
  expect((await connected.ask()).items, server.stderr()).toHaveLength(1)
  const position = { line: 0, character: 0 }
  await connected.client.sendNotification('textDocument/didChange', {
    textDocument: { uri: connected.opened.uri, version: 2 },
    contentChanges: [{ range: { start: position, end: position }, text: 'import math\n\n' }],
  })
  connected.ask().catch(() => {})
  await new Promise((resolve) => setTimeout(resolve, 50))
  return connected
}

test('shutdown, exit', async () => {
  const server = spawnServer()
  const { client } = await atWork(server)
  expect(await client.sendRequest(ShutdownRequest.type)).toBeNull()
  await client.sendNotification(ExitNotification.type)
  await expectCleanExit(server)
})

test('exit without shutdown', async () => {
  const server = spawnServer()
  const { client } = await atWork(server)
  await client.sendNotification(ExitNotification.type)
  await expectCleanExit(server)
})

test('the end of stdin', async () => {
  const server = spawnServer()
  await atWork(server)
  server.child.stdin.end()
  await expectCleanExit(server)
})

test("the end of the client's process", async () => {
  const client = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'])
  const server = spawnServer()
  await atWork(server, client.pid)
  client.kill('SIGKILL')
  await expectCleanExit(server)
})

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(signal, async () => {
    const server = spawnServer()
    await atWork(server)
    server.child.kill(signal)
    await expectCleanExit(server)
  })
}

test('a client that dies takes all three streams with it', async () => {
  const server = spawnServer()
  await atWork(server)
  for (const stream of [server.child.stderr, server.child.stdout, server.child.stdin]) stream.destroy()
  expect(await server.exit).toEqual({ code: 0, signal: null })
})

test('SIGTERM while the model is being opened', async () => {
  const server = spawnServer()
  const { ask } = await connect(server, gap)
  ask().catch(() => {})
  server.child.kill('SIGTERM')
  await expectCleanExit(server)
})

test('stdin that ends before anything was said', async () => {
  const server = spawnServer()
  server.child.stdin.end()
  await expectCleanExit(server)
})

test('the argument that clients add for their process is understood', async () => {
  const server = spawnServer(['--stdio', `--clientProcessId=${process.pid}`])
  server.child.stdin.end()
  await expectCleanExit(server)
})

test('garbage costs no more than itself', async () => {
  const server = spawnServer()
  const { stdin } = server.child
  stdin.write('\0\xff hello?\n\r\n\r\nContent-Length: many\r\n\r\n')
  const { client, ask } = await connect(server, gap)
  stdin.write('Content-Length: 9\r\n\r\n{"json": ]Content-Length: 4\r\n\r\nnullContent-Length: 2\r\n\r\n{}')
  stdin.write('Content-Length: 46\r\n\r\n{"jsonrpc": "2.0", "method": "$/cancelRequest"}')
  expect((await ask()).items).toHaveLength(1)
  await client.sendRequest(ShutdownRequest.type)
  await client.sendNotification(ExitNotification.type)
  expect(await server.exit, server.stderr()).toEqual({ code: 0, signal: null })
  expect(server.stderr()).toContain('dropped')
})

test('messages all at once, and the end at their heels: each is answered', async () => {
  const server = spawnServer()
  const messages = [
    { id: 1, method: 'initialize', params: { processId: null, rootUri: null, capabilities: {} } },
    { method: 'initialized', params: {} },
    {
      id: 2,
      method: 'textDocument/completion',
      params: { textDocument: { uri: 'a' }, position: { line: 0, character: 0 } },
    },
    { id: 3, method: 'shutdown' },
    { method: 'exit' },
  ]
  for (const message of messages) {
    const body = JSON.stringify({ jsonrpc: '2.0', ...message })
    server.child.stdin.write(`Content-Length: ${body.length}\r\n\r\n${body}`)
  }
  server.child.stdin.end()
  await expectCleanExit(server)
  for (const id of [1, 2, 3]) expect(server.stdout()).toContain(`"id":${id},"result"`)
})

test('an initialize that fails may be tried again; folders that are none are left out', async () => {
  const server = spawnServer()
  const send = (message: object) => {
    const body = JSON.stringify({ jsonrpc: '2.0', ...message })
    server.child.stdin.write(`Content-Length: ${body.length}\r\n\r\n${body}`)
  }
  const menu = { textDocument: { uri: 'a' }, position: { line: 0, character: 0 } }
  send({ id: 1, method: 'initialize', params: { capabilities: {}, clientInfo: { name: 5 } } })
  send({ id: 2, method: 'textDocument/completion', params: menu })
  send({ id: 3, method: 'initialize', params: { capabilities: {}, workspaceFolders: [null, 5, { uri: 5 }] } })
  send({ id: 4, method: 'initialize', params: { capabilities: {} } })
  send({ id: 5, method: 'textDocument/completion', params: menu })
  send({ id: 6, method: 'shutdown' })
  send({ method: 'exit' })
  server.child.stdin.end()
  await expectCleanExit(server)
  const replies = new Map(
    [...server.stdout().matchAll(/\{"jsonrpc".*?\}(?=Content-Length|$)/gs)].map(([text]) => {
      const { id, error, result } = JSON.parse(text)
      return [id, error?.code ?? (result === null ? 'null' : 'result')]
    }),
  )
  expect(Object.fromEntries(replies)).toEqual({
    ...{ 1: ErrorCodes.InternalError, 2: ErrorCodes.ServerNotInitialized, 3: 'result' },
    ...{ 4: ErrorCodes.InvalidRequest, 5: 'result', 6: 'null' },
  })
})

test('what is no clean exit is noticed', async () => {
  await expect(expectCleanExit(spawnServer(['--nonsense']))).rejects.toThrow('code: 2')
  await expect(expectCleanExit(spawnServer(['--version']))).rejects.toThrow('no message: 0.')
})
