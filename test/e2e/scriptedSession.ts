/** A session whose answers the test gives, with a real one's manners: newest wins, a cancelled request rejects. */
import { Aborted } from '../../server/base/errors.ts'
import type { Answer, InfillRequest, Session, Whereabouts } from '../../server/session/session.ts'

export interface ScriptedSession extends Session {
  readonly seen: InfillRequest[]
  readonly prepared: Whereabouts[]
  readonly forgotten: string[]
  /** Calls of `close`. */
  readonly closed: () => number
}

/** May throw, and may take its time. */
export type Script = (request: InfillRequest) => Answer | Promise<Answer>

export const never: Promise<never> = new Promise(() => {})

/** @param tasks what commands ask for; what is not given fails. */
export function scriptedSession(
  script: Script,
  tasks: Partial<Pick<Session, 'fill' | 'scoreTokens'>> = {},
): ScriptedSession {
  const supersede = new Map<string, () => void>()
  const seen: InfillRequest[] = []
  const prepared: Whereabouts[] = []
  const forgotten: string[] = []
  let closed = 0
  return {
    seen,
    prepared,
    forgotten,
    closed: () => closed,
    async request(request, signal) {
      seen.push(request)
      const key = `${request.method} ${request.snapshot.uri}`
      supersede.get(key)?.()
      return new Promise((resolve, reject) => {
        supersede.set(key, () => reject(new Aborted('superseded')))
        signal.addEventListener('abort', () => reject(new Aborted('cancelled')))
        if (signal.aborted) reject(new Aborted('cancelled'))
        new Promise<Answer>((answer) => answer(script(request))).then(resolve, reject)
      })
    },
    fill: () => Promise.reject(new Error('this session fills no holes')),
    scoreTokens: () => Promise.reject(new Error('this session scores no tokens')),
    ...tasks,
    prepare: (whereabouts) => void prepared.push(whereabouts),
    forget: (uri) => void forgotten.push(uri),
    async close() {
      closed++
      for (const abort of supersede.values()) abort()
    },
  }
}

/** Offers `text` at the cursor, in place of the `after` characters that follow it. */
export function offer(text: string, after = 0, partial = false): Script {
  return ({ offset, selected }) => {
    const span = selected ? { start: selected.span.start, end: selected.span.end } : { start: offset, end: offset }
    return {
      kind: 'completion',
      partial,
      edit: { span: { start: span.start, end: span.end + after }, text: (selected?.text ?? '') + text },
    }
  }
}
