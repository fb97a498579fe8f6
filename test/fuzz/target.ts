/** The server under fuzz: in this process over two streams, or the built one as a process of its own. */
import { spawn } from 'node:child_process'
import { PassThrough, type Readable, type Writable } from 'node:stream'
import * as lsp from 'vscode-languageserver/node'
import { systemClock } from '../../server/base/clock.ts'
import type { OpenSession } from '../../server/lsp/serverOptions.ts'
import { startServer } from '../../server/lsp/startServer.ts'
import { TurnClock, turns } from './turns.ts'

export interface Target {
  readonly input: Writable
  readonly output: Readable
  /** Lets the server work. */
  readonly rest: (count: number) => Promise<void>
  /** Resolves with what was wrong about the end. */
  readonly end: () => Promise<string | undefined>
}

/** A failing log line fails nothing; the stack of an InternalError is what a report wants. */
export type Logged = (line: string) => void

export function inProcess(openSession: OpenSession, logged: Logged): Target {
  const [input, output] = [new PassThrough(), new PassThrough()]
  const connection = lsp.createConnection(new lsp.StreamMessageReader(input), new lsp.StreamMessageWriter(output))
  const server = startServer(connection, {
    openSession,
    version: '0.0.0-fuzz',
    logAt: () => (level, message) => logged(`${level} ${message}`),
    clock: new TurnClock(),
  })
  return {
    input,
    output,
    rest: turns,
    async end() {
      const closed = server.close().then(() => undefined)
      const late = turns(patienceTurns).then(() => 'the server never closes')
      const fault = await Promise.race([closed, late])
      connection.dispose()
      return fault
    },
  }
}

const patienceTurns = 3000
const msARest = 80
const patienceMs = 30_000

/** With the embedded model; ends by the protocol's `exit`. */
export function ownProcess(logged: Logged): Target {
  const child = spawn(process.execPath, ['dist/main.js', '--stdio'], { stdio: ['pipe', 'pipe', 'pipe'] })
  child.stderr.on('data', (chunk: Buffer) => {
    for (const line of chunk.toString().trimEnd().split('\n')) logged(line)
  })
  child.stdin.on('error', () => {})
  const exit = new Promise<string | undefined>((resolve) =>
    child.on('close', (code, signal) => resolve(code === 0 ? undefined : `the server ended with ${signal ?? code}`)),
  )
  return {
    input: child.stdin,
    output: child.stdout,
    rest: (count) => systemClock.sleep(count * msARest),
    async end() {
      child.stdin.write(frame({ jsonrpc: '2.0', method: 'exit' }))
      const late = systemClock.sleep(patienceMs).then(() => `the server did not end within ${patienceMs} ms`)
      const fault = await Promise.race([exit, late])
      if (fault) child.kill('SIGKILL')
      return fault
    },
  }
}

export function frame(message: object): Buffer {
  const body = Buffer.from(JSON.stringify(message))
  return Buffer.concat([Buffer.from(`Content-Length: ${body.length}\r\n\r\n`), body])
}

/**
 * Cuts what a server writes into messages.
 *
 * @param garbage told of whatever is no message.
 */
export function readFrames(output: Readable, take: (message: object) => void, garbage: (bytes: string) => void): void {
  let rest = Buffer.alloc(0)
  output.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk])
    for (;;) {
      const headEnd = rest.indexOf('\r\n\r\n')
      const head = /^Content-Length: (\d+)$/.exec(rest.toString('latin1', 0, Math.max(0, headEnd)))
      if (headEnd < 0 && 'Content-Length: '.startsWith(rest.toString('latin1', 0, 16))) return
      if (headEnd < 0 && /^Content-Length: \d{0,12}\r?\n?\r?$/.test(rest.toString('latin1', 0, 40))) return
      if (!head) {
        garbage(rest.toString('utf8', 0, 200))
        rest = Buffer.alloc(0)
        return
      }
      const end = headEnd + 4 + Number(head[1])
      if (rest.length < end) return
      const body = rest.toString('utf8', headEnd + 4, end)
      rest = rest.subarray(end)
      try {
        take(JSON.parse(body) as object)
      } catch (error) {
        if (!(error instanceof SyntaxError)) throw error
        garbage(body)
      }
    }
  })
}
