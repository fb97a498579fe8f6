/** Sessions over the scripted engine: their model knows a document, their clock goes by hand. */
import type { Rooms } from '../../server/session/fillGap.ts'
import { LiveSession, type SessionSettings } from '../../server/session/liveSession.ts'
import type { Answer, InfillRequest } from '../../server/session/session.ts'
import type { SessionModel } from '../../server/session/sessionModel.ts'
import { ManualClock } from '../base/manualClock.ts'
import { byteIds, knows, type Script, ScriptedEngine } from '../engine/scriptedEngine.ts'
import { parseMarked } from '../markup.ts'
import { bytesOf } from './byteModel.ts'
import { roomsOver } from './roomsOver.ts'

export const sessionSettings: SessionSettings = {
  completionBudgetMs: 300,
  inlineBudgetMs: 500,
  invokedBudgetMs: 5000,
  debounceMs: 0,
  maxTokens: 32,
  showAbove: 0.3,
}

/** A session whose model knows `document`; `sure` is how sure it is of each token, `elsewhere` who fills gaps in its stead. */
export function sessionThatKnows(
  document: string,
  changed: Partial<SessionSettings> = {},
  sure = 0.99,
  elsewhere?: Rooms['elsewhere'],
  model: Partial<SessionModel> = {},
) {
  const engine = new ScriptedEngine(scriptOf(document, sure))
  const clock = new ManualClock()
  const log: string[] = []
  const rooms = { ...roomsOver(engine, model, clock.now), elsewhere }
  const session = new LiveSession(rooms, {
    settings: () => ({ ...sessionSettings, ...changed }),
    clock,
    log: (level, message) => log.push(`${level} ${message}`),
    close: () => engine.close(),
  })
  let version = 0
  const snapshotOf = (text: string, uri = 'file:///a.py') => ({ uri, languageId: 'python', version: ++version, text })
  /** Somebody is at `║`. */
  const prepare = (marked: string, typing: boolean, uri?: string): void => {
    const { text, cursor } = parseMarked(marked)
    session.prepare({ snapshot: snapshotOf(text, uri), offset: cursor!, typing })
  }
  /** Asks at `║`. */
  const ask = (
    marked: string,
    rest: Partial<InfillRequest> & { uri?: string } = {},
    signal = new AbortController().signal,
  ): Promise<Answer> => {
    const { text, cursor } = parseMarked(marked)
    const { uri, ...request } = rest
    const snapshot = snapshotOf(text, uri)
    return session.request({ method: 'completion', snapshot, offset: cursor!, invoked: false, ...request }, signal)
  }
  return { session, engine, clock, log, ask, prepare, rooms }
}

export function scriptOf(document: string, sure = 0.99): Script {
  return knows([byteIds.documentStart, ...bytesOf(document)], () => sure)
}

export const completion = (text: string, start: number, end = start, partial = false): Answer => ({
  kind: 'completion',
  edit: { span: { start, end }, text },
  partial,
})

/** Lets `count` more steps through, then holds the engine. */
export function holdAfter(engine: ScriptedEngine, count: number): void {
  const last = engine.steps.length + count - 1
  const script = engine.script
  engine.script = (question) => {
    if (engine.steps.length === last) engine.hold()
    return script(question)
  }
}
