/** `lacuna --stdio`: the language server. */
import { systemClock } from '../base/clock.ts'
import { readUserSettings } from '../config/sources.ts'
import type { OpenReport, PassedOver } from '../engine/onnx/protocol.ts'
import type { OpenSession } from '../lsp/serverOptions.ts'
import { serveStdio } from '../lsp/serveStdio.ts'
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
    log: { type: 'string', value: 'FILE', help: 'write the log there as well (the setting "logFile" does too)' },
    clientProcessId: { type: 'string', value: 'PID', help: 'ignored; the protocol says it too' },
  },
  run: async (args) =>
    serveStdio({
      ...{ openSession, version, logFile: args.text('log') },
      ...{ userFile: await readUserSettings(), readUserFile: readUserSettings },
    }),
}

/** Of the whole process: what failed once is not trusted again, should the engine be replaced. */
let lost: readonly PassedOver[] = []

const openSession: OpenSession = async (settings, log, tell) => {
  const { model, providers, engine: address, engineModel, engineElse, engineContract: contract } = settings()
  const onMoved = ({ provider, passedOver }: OpenReport) => {
    const failed = passedOver.at(-1)!
    lost = passedOver
    log('warn', `${failed.provider} is given up, ${provider} goes on: ${failed.reason}`)
  }
  const onSendText = (clause: string) => tell(`${clause}, as the setting "engine" says`)
  const standIn = engineElse === 'local'
  // Where nobody stands in, completions stay away meanwhile, and silence looks like no suggestion.
  const onChange = (sentence: string) => (standIn ? log('warn', sentence) : tell(sentence))
  const engine =
    address === undefined ? undefined : { address, model: engineModel, standIn, contract, onChange, onSendText }
  const rooms = await openRooms(await resolveModel(model), { cache: true, providers, lost, onMoved, engine })
  const { provider, loadMs, passedOver } = rooms.report
  for (const { provider: other, reason } of passedOver) log('warn', `${other} passed over: ${reason}`)
  log('info', `${rooms.model.name} on ${provider}, loaded in ${Math.round(loadMs)} ms`)
  return new LiveSession(rooms, { settings, clock: systemClock, log, close: rooms.close })
}
