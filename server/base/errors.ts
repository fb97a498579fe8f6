/** Errors whose message is meant for the person at the keyboard: what was wanted, what was found, what to do. */

/** Bad arguments, files or settings. The command line prints the message alone and exits with 2. */
export class UserError extends Error {
  override readonly name: string = 'UserError'
}

/** A model folder that cannot be used: missing, truncated, altered or of an unknown kind. */
export class BundleError extends UserError {
  override readonly name: string = 'BundleError'
}

/** A pass failed; `cause` holds the native error. The engine goes on. */
export class EngineError extends Error {
  override readonly name: string = 'EngineError'
}

/** The engine has ended, or never will answer again: another one must be opened. */
export class EngineGoneError extends EngineError {
  override readonly name: string = 'EngineGoneError'
}

export type AbortCause = 'superseded' | 'cancelled' | 'closed'

/** A piece of work given up on purpose; the one reason that travels in an `AbortSignal` here. */
export class Aborted extends Error {
  override readonly name: string = 'Aborted'
  readonly why: AbortCause

  constructor(why: AbortCause) {
    super(why)
    this.why = why
  }
}

/** @throws {Aborted} when the signal has fired. */
export function throwIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw abortReason(signal)
}

export function abortReason(signal: AbortSignal): Aborted {
  return signal.reason instanceof Aborted ? signal.reason : new Aborted('cancelled')
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** Never resolves; rejects with the signal's reason when that fires. To be raced with work that may hear of it late. */
export function rejected(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const abort = () => reject(abortReason(signal))
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
  })
}

/** For the log: the message alone where it is for the user, and the stacks of what is a fault. */
export function detailsOf(error: unknown): string {
  return error instanceof UserError ? messageOf(error) : stackOf(error)
}

/** For the log: with the stacks of what caused it. */
export function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const cause = error.cause instanceof Error ? `\ncaused by ${stackOf(error.cause)}` : ''
  return `${error.stack ?? error.message}${cause}`
}
