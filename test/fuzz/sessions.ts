/** What stands behind a fuzzed server: sessions whose answers are known, and which tell the books what they see. */
import { EngineError, throwIfAborted } from '../../server/base/errors.ts'
import { silent } from '../../server/base/log.ts'
import { LiveSession } from '../../server/session/liveSession.ts'
import type { Session } from '../../server/session/session.ts'
import { scriptedRooms } from '../bench/typing/scriptedRooms.ts'
import { scriptedSession } from '../e2e/scriptedSession.ts'
import type { Ledger } from './ledger.ts'
import { hashOf } from './random.ts'
import { type Asking, answerOf, askingOf, type Said, said } from './script.ts'
import { TurnClock, turns } from './turns.ts'

/** What a fuzzed session's engine has been through. */
export interface Fate {
  failures: number // of opening, and ends of the engine: errors follow for a while
}

/** Answers by the script, after some turns. */
export function scripted(seed: number, ledger: Ledger, fate: Fate): Session {
  const session = scriptedSession(async (request) => {
    ledger.sawRequest(request)
    const what = said(seed, askingOf(request))
    await turns(hashOf(seed, request.snapshot.version) % 9)
    if (what.kind === 'gone') fate.failures++
    return answerOf(what)
  }, tasks(seed))
  return { ...session, prepare: ({ snapshot }) => ledger.saw(snapshot) }
}

/** What commands ask for: after some turns, or never, and now and then a failure. */
function tasks(seed: number): Pick<Session, 'fill' | 'scoreTokens'> {
  const work = async (text: string, signal: AbortSignal, onProgress: () => void) => {
    const fate = hashOf(seed, 'task', text) % 20
    for (let left = fate; left > 0; left--) {
      await turns(1)
      throwIfAborted(signal)
      onProgress()
    }
    if (fate === 3) throw new EngineError('the script fails here')
    return fate
  }
  return {
    async fill({ text, holes }, signal, onProgress) {
      const fate = await work(text, signal, () => onProgress(1))
      return holes.map((_, i) =>
        (fate + i) % 5 === 0 ? undefined : { text: `filled(${i}) 🦊`, replaceAfter: 0, probability: 0.5 },
      )
    },
    async scoreTokens({ text, span }, signal, onProgress) {
      await work(text, signal, () => onProgress(1, 2))
      return [
        { span: { start: span.start, end: Math.min(span.start + 1, span.end) }, probability: 0.01, expected: 'x' },
      ]
    },
  }
}

const letter = 'q'
const liveSettings = {
  ...{ completionBudgetMs: 80, inlineBudgetMs: 500, invokedBudgetMs: 5000, debounceMs: 20 },
  ...{ maxTokens: 32, showAbove: 0 },
}

/** A real session over an engine that says one letter wherever it is asked. */
export function oneLetter(ledger: Ledger): Session {
  const rooms = scriptedRooms(letter)
  const session = new LiveSession(rooms, {
    settings: () => liveSettings,
    clock: new TurnClock(),
    log: silent,
    close: () => rooms.engine.close(),
  })
  return {
    request(request, signal) {
      ledger.sawRequest(request)
      return session.request(request, signal)
    },
    prepare(whereabouts) {
      ledger.saw(whereabouts.snapshot)
      session.prepare(whereabouts)
    },
    fill: (request, signal, onProgress) => session.fill(request, signal, onProgress),
    scoreTokens: (request, signal, onProgress) => session.scoreTokens(request, signal, onProgress),
    forget: (uri) => session.forget(uri),
    close: () => session.close(),
  }
}

export function oneLetterAt({ offset, selected }: Asking): Said {
  const span = selected?.span ?? { start: offset, end: offset }
  return { kind: 'completion', edit: { span, text: (selected?.text ?? '') + letter }, others: [], partial: false }
}
