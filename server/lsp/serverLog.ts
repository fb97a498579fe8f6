/** The server's log: to stderr, or whoever else was named, and to a file, at the level and in the file that are in force. */
import { isAtLeast, type Log, type LogLevel } from '../base/log.ts'
import { LogFile } from '../base/logFile.ts'
import type { Settings } from '../config/settings.ts'

export interface ServerLogOptions {
  readonly settings: () => Pick<Settings, 'logLevel' | 'logFile'>
  /** A log up to and including a level. */
  readonly logAt: (max: LogLevel) => Log
  /** Written to whatever the setting of that name says. */
  readonly file: string | undefined
}

export class ServerLog {
  private readonly options: ServerLogOptions
  private file: LogFile | undefined

  constructor(options: ServerLogOptions) {
    this.options = options
  }

  readonly write: Log = (level, message) => {
    const { logLevel } = this.options.settings()
    this.options.logAt(logLevel)(level, message)
    if (isAtLeast(level, logLevel)) this.file?.write(level, message)
  }

  /** The file that is in force now; nothing where it is the one of before. */
  openFile(): void {
    const { settings, logAt, file } = this.options
    const path = file ?? settings().logFile
    if (path === this.file?.given) return
    const onProblem = (problem: string) => logAt('warn')('warn', problem)
    this.file = path === undefined ? undefined : new LogFile(path, { onProblem })
  }

  /** Resolves when all lines are on the disk, or given up. */
  async flush(): Promise<void> {
    await this.file?.flush()
  }
}
