/** Command lines of benches. */

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
