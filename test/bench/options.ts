/** Command lines of benches. */
import { type ParseArgsConfig, parseArgs } from 'node:util'

type Parsed<Config extends ParseArgsConfig> = ReturnType<typeof parseArgs<Config>>

/**
 * `--help` prints the help; what is wrong with a command line is said before it. Both end the program.
 *
 * @param operands how many words there must be beside the options (default: any number that `config` allows).
 */
export function commandLine<const Config extends ParseArgsConfig>(
  help: string,
  config: Config,
  operands?: number,
): Parsed<Config> {
  if (process.argv.slice(2).some((word) => word === '--help' || word === '-h')) {
    process.stdout.write(help)
    process.exit(0)
  }
  const parsed = parsedOr(config, (message) => fail(`${message}\n${help.trimEnd()}`))
  const found = parsed.positionals.length
  if (operands !== undefined && found !== operands)
    fail(`wanted ${operands} words beside the options, found ${found}\n${help.trimEnd()}`)
  return parsed
}

function parsedOr<const Config extends ParseArgsConfig>(
  config: Config,
  failed: (message: string) => never,
): Parsed<Config> {
  try {
    return parseArgs(config)
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    return failed(error.message)
  }
}

/** Of `--settings`; ends the program where it is no JSON. */
export function settingsOf(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    fail(`--settings ${text}: ${error.message}; wanted something like {"debounceMs":150}`)
  }
}

export function fail(message: string): never {
  process.stderr.write(`${message}\n`)
  process.exit(2)
}
