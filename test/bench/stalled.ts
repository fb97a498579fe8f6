/**
 * How long a menu waits for us while the engine says nothing at all: other servers' items wait as long in editors that
 * wait for everybody. The real server and session; a key is typed, the menu asked for, and the next key comes with the answer.
 */
import { PassThrough } from 'node:stream'
import * as lsp from 'vscode-languageserver/node'
import { systemClock } from '../../server/base/clock.ts'
import { silent } from '../../server/base/log.ts'
import { startServer } from '../../server/lsp/startServer.ts'
import { LiveSession } from '../../server/session/liveSession.ts'
import type { ScriptedEngine } from '../engine/scriptedEngine.ts'
import { quantile, rounded } from './stats.ts'
import { scriptedRooms } from './typing/scriptedRooms.ts'

const uri = 'untitled:stalled.py'
const file = 'def area(width, height):\n    return width * height\n\n'.repeat(40)

/** Milliseconds from a request for the menu to its answer, over so many of them. */
export async function stalled(requests: number): Promise<object> {
  const rooms = scriptedRooms('q')
  const engine = rooms.engine as ScriptedEngine
  engine.hold()
  const [up, down] = [new PassThrough(), new PassThrough()]
  startServer(lsp.createConnection(new lsp.StreamMessageReader(up), new lsp.StreamMessageWriter(down)), {
    openSession: async (settings) =>
      new LiveSession(rooms, { settings, clock: systemClock, log: silent, close: () => engine.close() }),
    version: 'bench',
    logAt: () => silent,
  })
  const client = lsp.createProtocolConnection(new lsp.StreamMessageReader(down), new lsp.StreamMessageWriter(up))
  client.listen()
  await client.sendRequest('initialize', { processId: null, rootUri: null, capabilities: {} })
  await client.sendNotification('initialized', {})
  const opened = { uri, languageId: 'python', version: 0, text: file }
  await client.sendNotification('textDocument/didOpen', { textDocument: opened })
  const line = file.split('\n').length - 1
  const ms: number[] = []
  let incomplete = 0
  for (let version = 1; version <= requests; version++) {
    const position = { line, character: version - 1 }
    const contentChanges = [{ range: { start: position, end: position }, text: 'x' }]
    await client.sendNotification('textDocument/didChange', { textDocument: { uri, version }, contentChanges })
    const asked = performance.now()
    const list = await client.sendRequest<lsp.CompletionList>('textDocument/completion', {
      textDocument: { uri },
      position: { line, character: version },
    })
    ms.push(performance.now() - asked)
    if (list.isIncomplete && list.items.length === 0) incomplete++
  }
  engine.resume()
  await client.sendRequest('shutdown')
  client.dispose()
  const [p50, p99] = [quantile(ms, 0.5), quantile(ms, 0.99)]
  return { requests, incomplete, p50_ms: rounded(p50), p99_ms: rounded(p99), most_ms: rounded(Math.max(...ms)) }
}
