/**
 * The server on the standard streams, from start to end. However the client goes away, the way out is the same: what is
 * in hand is answered, the step in hand finishes, the session is closed, and only then may the process end.
 */
import { setImmediate as turn } from 'node:timers/promises'
import { createConnection } from 'vscode-languageserver'
import { createProtocolConnection, StreamMessageWriter } from 'vscode-languageserver-protocol/node'
import { messageOf, stackOf } from '../base/errors.ts'
import { stderrLog } from '../base/log.ts'
import { FrameReader } from './frameReader.ts'
import type { ServerOptions } from './serverOptions.ts'
import { startServer } from './startServer.ts'
import { createWatchDog } from './watchDog.ts'

const patienceMs = 20_000 // a pass, and a model that is still being loaded
const signals = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const

/**
 * Serves one client on stdin and stdout. Nothing else may write to stdout.
 *
 * @returns 0 once everything is closed; nothing of ours then keeps the process alive.
 */
export async function serveStdio(options: ServerOptions): Promise<number> {
  let log = (options.logAt ?? stderrLog)('info')
  let end = (_how: string): void => {}
  const ended = new Promise<string>((resolve) => {
    end = resolve
  })
  const watchDog = createWatchDog((how) => end(how))
  const onSignal = (signal: string) => end(signal)
  // A client that dies takes the other ends of all three streams with it.
  const onOutputError = (error: Error) => end(`stdout: ${error.message}`)
  const onLogError = () => {}
  const onRejection = (error: unknown) => log('error', `a failure nobody waited for: ${stackOf(error)}`)
  for (const signal of signals) process.on(signal, onSignal)
  process.stdout.on('error', onOutputError)
  process.stderr.on('error', onLogError)
  process.on('unhandledRejection', onRejection)

  let dispatched = 0
  const connection = createConnection((logger) => {
    const reader = new FrameReader(process.stdin)
    reader.onError((error) =>
      log('error', `stdin: ${error.message}${error.cause ? `: ${messageOf(error.cause)}` : ''}`),
    )
    const protocol = createProtocolConnection(reader, new StreamMessageWriter(process.stdout), logger, {
      messageStrategy: {
        handleMessage(message, next) {
          dispatched++
          return next(message)
        },
      },
    })
    protocol.onClose(() => end('stdin has ended'))
    return protocol
  }, watchDog)
  const server = startServer(connection, options)
  log = server.log

  const how = await ended
  log('info', `${how}; closing`)
  const impatient = setTimeout(() => {
    log('error', `not closed within ${patienceMs / 1000} s; ending all the same`)
    process.exit(1)
  }, patienceMs)
  // What came in before the end is still answered.
  for (let seen = -1, idle = 0; idle < 3; await turn()) {
    idle = dispatched === seen ? idle + 1 : 0
    seen = dispatched
  }
  await server.close()
  await turn() // the last replies are written
  clearTimeout(impatient)
  watchDog.stop()
  connection.dispose()
  process.stdin.destroy()
  for (const signal of signals) process.off(signal, onSignal)
  process.off('unhandledRejection', onRejection)
  return 0
}
