/** A fuzz run in lines that a person can read, and how to see a failure again. */
import type { FuzzSummary } from './fuzz.ts'

const lastMessages = 12

export function reportOf(summary: FuzzSummary, replay: string): string {
  const { sessions, messages, texts, sent, replies, told, failure } = summary
  const lines = [
    `${messages} messages in ${sessions} sessions; ${texts} texts of the server compared with the client's`,
    '',
    ...counts('sent', sent),
    ...counts('answered', replies),
    ...counts('told', told),
  ]
  if (!failure) return `${[...lines, 'no breach'].join('\n')}\n`
  const { session, breaches, log, history } = failure
  return `${[
    ...lines,
    `session ${session} fails:`,
    ...breaches.slice(0, 5).map((breach) => `  ${breach}`),
    ...log
      .filter((line) => line.startsWith('error') || line.startsWith('warn'))
      .slice(-5)
      .map((line) => `  log: ${line}`),
    '',
    `the last of ${history.length} messages:`,
    ...history.slice(-lastMessages).map((message) => `  ${message.slice(0, 400)}`),
    '',
    `again: ${replay} --session ${session}`,
  ].join('\n')}\n`
}

function counts(title: string, of: ReadonlyMap<string, number>): string[] {
  const sorted = [...of].toSorted(([a], [b]) => (a < b ? -1 : 1))
  return [title, ...sorted.map(([name, count]) => `  ${name.padEnd(52)} ${count}`), '']
}
