/**
 * `lacuna`: finds the command, prints its failure as one line. Exit codes: 0 done, 1 failed, 2 bad arguments or files,
 * 130 interrupted.
 */
import { messageOf, UserError } from '../base/errors.ts'
import { type Command, runCommand, type Terminal, usageOf } from './command.ts'
import { complete } from './complete.ts'
import { doctor } from './doctor.ts'
import { modelList, modelRemove, modelShow, modelUse, modelVerify } from './model.ts'
import { modelAdd } from './modelAdd.ts'
import { modelConvert } from './modelConvert.ts'
import { serve } from './serve.ts'
import { version } from './version.ts'

const commands: readonly Command[] = [
  complete,
  modelAdd,
  modelConvert,
  modelVerify,
  modelList,
  modelShow,
  modelUse,
  modelRemove,
  doctor,
]

export async function run(argv: readonly string[], terminal: Terminal): Promise<number> {
  try {
    return await dispatch(argv, terminal)
  } catch (error) {
    terminal.err(`lacuna: ${messageOf(error)}\n`)
    if (error instanceof UserError) return 2
    if (process.env.LACUNA_TRACE) terminal.err(`${(error as Error).stack}\n`)
    return 1
  }
}

async function dispatch(argv: readonly string[], terminal: Terminal): Promise<number> {
  const [first = '--help', second = ''] = argv
  if (argv.includes('--stdio')) return runCommand(serve, argv, terminal)

  if (first === '--help' || first === '-h' || first === 'help') {
    terminal.out(overview())
    return 0
  }
  if (first === '--version' || first === '-V') {
    terminal.out(`${version}\n`)
    return 0
  }
  const found = commands.find(({ name }) => name === first || name === `${first} ${second}`)
  if (found) return runCommand(found, argv.slice(found.name.split(' ').length), terminal)
  const inGroup = commands.filter(({ name }) => name.startsWith(`${first} `))
  if (inGroup.length > 0) {
    const help = ['', '--help', '-h'].includes(second)
    const list = inGroup.map((command) => `  ${usageOf(command)}\n      ${command.summary}`).join('\n')
    if (help) {
      terminal.out(`${list}\n`)
      return second === '' ? 2 : 0
    }
    throw new UserError(`"${first} ${second}" is no command; there are ${inGroup.map(({ name }) => name).join(', ')}`)
  }
  throw new UserError(
    `"${first}" is no command; there are --stdio, ${commands.map(({ name }) => name).join(', ')}; see "lacuna --help"`,
  )
}

function overview(): string {
  const rows = [serve, ...commands].map((command) => `  ${usageOf(command)}\n      ${command.summary}`)
  return `Lacuna ${version}: fills gaps in code with a diffusion language model, offline.\n\n${rows.join('\n')}\n\n"lacuna COMMAND --help" says more of each.\n`
}
