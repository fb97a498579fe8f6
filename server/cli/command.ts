/** What a command of `lacuna` is made of; help and parser come from the same definition. */
import { parseArgs } from 'node:util'
import { messageOf, UserError } from '../base/errors.ts'

export interface Terminal {
  readonly out: (text: string) => void
  readonly err: (text: string) => void
  readonly stdin: AsyncIterable<Buffer | string>
}

export interface Option {
  readonly type: 'string' | 'boolean'
  readonly short?: string
  /** How the value is called in the help, such as `DIR`; none for a flag. */
  readonly value?: string
  readonly help: string
}

export interface Command {
  readonly name: string
  readonly positionals: readonly string[] // names for the help; one in [brackets] may be absent, one with … be repeated
  readonly summary: string
  readonly details?: string
  readonly options: Readonly<Record<string, Option>>
  run(args: Arguments, terminal: Terminal): Promise<number>
}

export interface Arguments {
  readonly positionals: readonly string[]
  readonly text: (option: string) => string | undefined
  readonly flag: (option: string) => boolean
  /** @throws {UserError} when the option is given and no whole number of at least `least`. */
  readonly count: (option: string, least: number) => number | undefined
}

const helpOption: Option = { type: 'boolean', short: 'h', help: 'show this help' }

function allOptions({ options }: Command): Record<string, Option> {
  return { ...options, help: helpOption }
}

export async function runCommand(command: Command, argv: readonly string[], terminal: Terminal): Promise<number> {
  const args = parse(command, argv)
  if (args.flag('help')) {
    terminal.out(helpOf(command))
    return 0
  }
  const least = command.positionals.filter((name) => !name.startsWith('[')).length
  const given = args.positionals.length
  if (given < least) throw new UserError(`missing ${command.positionals[given]}; usage: ${usageOf(command)}`)
  if (given > command.positionals.length && !command.positionals.at(-1)?.endsWith('…'))
    throw new UserError(`unexpected "${args.positionals.at(-1)}"; usage: ${usageOf(command)}`)
  return command.run(args, terminal)
}

export function usageOf({ name, positionals, options }: Command): string {
  return ['lacuna', name, ...positionals, Object.keys(options).length > 0 ? '[options]' : ''].filter(Boolean).join(' ')
}

function parse(command: Command, argv: readonly string[]): Arguments {
  let parsed: { values: Record<string, unknown>; positionals: string[] }
  const options = Object.fromEntries(
    Object.entries(allOptions(command)).map(([name, { type, short }]) => [name, short ? { type, short } : { type }]),
  )
  // "-:LINE:COL" means standard input, but looks like an option to the parser.
  const guarded = argv.map((arg) => (arg.startsWith('-:') ? `\0${arg}` : arg))
  try {
    parsed = parseArgs({ args: guarded, options, allowPositionals: true, strict: true })
  } catch (error) {
    throw new UserError(`${messageOf(error).split('. ')[0]}; usage: ${usageOf(command)}`)
  }
  const text = (option: string) => parsed.values[option] as string | undefined
  return {
    positionals: parsed.positionals.map((arg) => arg.replace(/^\0/, '')),
    text,
    flag: (option) => parsed.values[option] === true,
    count(option, least) {
      const given = text(option)
      if (given === undefined) return undefined
      if (!/^\d+$/.test(given) || Number(given) < least) {
        throw new UserError(`--${option} takes a whole number of at least ${least}, found "${given}"`)
      }
      return Number(given)
    },
  }
}

function helpOf(command: Command): string {
  const rows = Object.entries(allOptions(command)).map(([name, { short, value, help }]) => [
    `  ${short ? `-${short}, ` : ''}--${name}${value ? ` ${value}` : ''}`,
    help,
  ])
  const width = Math.max(...rows.map(([left]) => left!.length)) + 2
  const options = rows.map(([left, right]) => `${left!.padEnd(width)}${right}`).join('\n')
  return `${command.summary}\n\nUsage: ${usageOf(command)}\n${command.details ? `\n${command.details}\n` : ''}\nOptions:\n${options}\n`
}
