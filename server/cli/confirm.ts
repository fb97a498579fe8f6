/** A question with y or n for an answer, where somebody is there to answer. */
import { abortReason, throwIfAborted, UserError } from '../base/errors.ts'
import type { Terminal } from './command.ts'

/**
 * @param yes that `--yes` was given: the question is not asked.
 * @throws {UserError} when standard input is no terminal.
 * @throws {Aborted} when the signal fires before the answer.
 */
export async function confirm(
  question: string,
  yes: boolean,
  { stdin, err }: Terminal,
  signal?: AbortSignal,
): Promise<boolean> {
  if (yes) return true
  if (!('isTTY' in stdin) || stdin.isTTY !== true)
    throw new UserError('standard input is no terminal, so nobody can be asked; add --yes to go on')
  if (signal) throwIfAborted(signal) // no event would come any more
  err(`${question} [y/N] `)
  const lines = stdin[Symbol.asyncIterator]()
  const interrupted = new Promise<never>((_, reject) => {
    signal?.addEventListener('abort', () => reject(abortReason(signal)), { once: true })
  })
  let typed = ''
  try {
    while (!typed.includes('\n')) {
      const { value, done } = await Promise.race([lines.next(), interrupted])
      if (done) break
      typed += String(value)
    }
  } finally {
    if ('destroy' in stdin && typeof stdin.destroy === 'function') stdin.destroy() // else it keeps the process alive
  }
  return /^\s*y(es)?\s*$/i.test(typed.split('\n')[0]!)
}
