/** `lacuna --stdio`: the language server. */
import { systemClock } from '../base/clock.ts'
import { serveStdio } from '../lsp/serveStdio.ts'
import type { OpenSession } from '../lsp/startServer.ts'
import { resolveModel } from '../model/store.ts'
import { LiveSession } from '../session/liveSession.ts'
import type { Command } from './command.ts'
import { openRooms } from './openRooms.ts'
import { version } from './version.ts'

export const serve: Command = {
  name: '--stdio',
  positionals: [],
  summary: 'Serves an editor over standard input and output (Language Server Protocol 3.18).',
  options: {
    stdio: { type: 'boolean', help: 'the only transport' },
    clientProcessId: { type: 'string', value: 'PID', help: 'ignored; the protocol says it too' },
  },
  run: () => serveStdio({ openSession, version }),
}

const openSession: OpenSession = async (settings, log) => {
  const rooms = await openRooms(await resolveModel(settings().model))
  const { provider, loadMs, passedOver } = rooms.report
  for (const { provider: other, reason } of passedOver) log('info', `${other} passed over: ${reason}`)
  log('info', `${rooms.model.name} on ${provider}, loaded in ${Math.round(loadMs)} ms`)
  return new LiveSession(rooms, { settings, clock: systemClock, log, close: rooms.close })
}
