/** What a server is given by whoever starts it. */
import type { Clock } from '../base/clock.ts'
import type { Log, LogLevel } from '../base/log.ts'
import type { Settings } from '../config/settings.ts'
import type { SettingsFile } from '../config/sources.ts'
import type { Session } from '../session/session.ts'

/**
 * Opens a session in the background. `settings()` is what is in force at the moment of the call, the debounce already
 * less the editor's own delay; `model` never changes. `tell` shows the user a sentence, and the same one only once.
 */
export type OpenSession = (settings: () => Settings, log: Log, tell: (sentence: string) => void) => Promise<Session>

export interface ServerOptions {
  readonly openSession: OpenSession
  readonly version: string
  /** A log up to and including a level; default stderr. */
  readonly logAt?: (max: LogLevel) => Log
  /** Written to as well, whatever the setting of that name says. */
  readonly logFile?: string | undefined
  /** The user's own settings as the process began, and again (default: none). */
  readonly userFile?: SettingsFile
  readonly readUserFile?: () => Promise<SettingsFile>
  readonly clock?: Clock
}
