/** Where the server says what it does. Metadata only: text of documents never goes in. */

export type LogLevel = 'error' | 'warn' | 'info' | 'debug'

export type Log = (level: LogLevel, message: string) => void

export const silent: Log = () => {}

const order: readonly LogLevel[] = ['error', 'warn', 'info', 'debug']

/** Whether a line of a level goes into a log up to and including `max`. */
export function isAtLeast(level: LogLevel, max: LogLevel): boolean {
  return order.indexOf(level) <= order.indexOf(max)
}

/** Lines on stderr, up to and including `max`. */
export function stderrLog(max: LogLevel): Log {
  return (level, message) => {
    if (isAtLeast(level, max)) process.stderr.write(`lacuna ${level}: ${message}\n`)
  }
}
