/**
 * `$/setTrace`: a line for each answer, with its time, to clients that ask for it; verbose ones say what came of it too.
 * The library keeps the client's wish and sends nothing where it is "off". No text of documents.
 */
import { ResponseError, type Tracer } from 'vscode-languageserver'
import type { Clock } from '../base/clock.ts'

export function traceReply(tracer: Tracer, clock: Clock, what: string, reply: Promise<unknown>): void {
  const began = clock.now()
  const say = (outcome: string) => {
    tracer.log(`${what} answered after ${(clock.now() - began).toFixed(1)} ms`, outcome)
  }
  reply.then(
    (result) => say(outcomeOf(result)),
    (error: unknown) => say(error instanceof ResponseError ? `error ${error.code}: ${error.message}` : 'an error'),
  )
}

function outcomeOf(result: unknown): string {
  const { items, isIncomplete } = (result ?? {}) as { items?: readonly unknown[]; isIncomplete?: boolean }
  if (!items) return 'no list'
  return `${items.length} item${items.length === 1 ? '' : 's'}${isIncomplete ? ', incomplete' : ''}`
}
