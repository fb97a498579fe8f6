/**
 * A log on disk: lines are written behind whoever logs, in order, and begun anew when the file has grown. Whatever the
 * disk says, nobody is held up and nothing is thrown: lines that cannot be written are dropped, and that is told once.
 *
 * Several processes may share a file: it is opened for each piece, and pieces are appended whole.
 */
import { appendFile, mkdir, rename, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { messageOf } from './errors.ts'
import { absent } from './hasCode.ts'
import type { LogLevel } from './log.ts'

export interface LogFileOptions {
  readonly maxBytes: number
  /** Older files beside it: FILE.1, the newest, to FILE.N. */
  readonly older: number
  readonly date: () => Date
  /** Told when lines begin to be dropped: one sentence. */
  readonly onProblem: (problem: string) => void
}

const usual: LogFileOptions = { maxBytes: 1024 * 1024, older: 2, date: () => new Date(), onProblem: () => {} }
const maxWaitingUnits = 256 * 1024 // UTF-16; a disk that hangs must not fill the memory
const quietMs = 10_000 // after a failure, before the disk is tried again

export class LogFile {
  readonly path: string
  /** As it was given. */
  readonly given: string
  private readonly options: LogFileOptions
  private waiting = ''
  private writing: Promise<void> | undefined
  private failedAt: number | undefined
  private told = false

  /** @param path a leading `~/` is the home folder. */
  constructor(path: string, options: Partial<LogFileOptions> = {}) {
    this.given = path
    this.path = resolve(path.startsWith('~/') ? join(homedir(), path.slice(2)) : path)
    this.options = { ...usual, ...options }
  }

  write(level: LogLevel, message: string): void {
    const now = this.options.date()
    if (this.failedAt !== undefined && now.getTime() - this.failedAt < quietMs) return
    const line = `${now.toISOString()} ${process.pid} ${level}: ${message}\n`
    if (this.waiting.length + line.length <= maxWaitingUnits) this.waiting += line
    this.writing ??= this.writeAll()
  }

  /** Resolves when all that was logged is on disk, or dropped. */
  async flush(): Promise<void> {
    await this.writing
  }

  private async writeAll(): Promise<void> {
    try {
      for (let made = false; this.waiting !== ''; made = true) {
        const piece = this.waiting
        this.waiting = ''
        if (!made) await mkdir(dirname(this.path), { recursive: true })
        await this.makeRoom(Buffer.byteLength(piece))
        await appendFile(this.path, piece, { mode: 0o600 })
      }
      this.failedAt = undefined
    } catch (error) {
      this.waiting = ''
      this.failedAt = this.options.date().getTime()
      if (!this.told) this.options.onProblem(`the log file ${this.path} cannot be written: ${messageOf(error)}`)
      this.told = true
    } finally {
      this.writing = undefined
    }
  }

  private async makeRoom(bytes: number): Promise<void> {
    const entry = await stat(this.path).catch(absent)
    if (!entry) return
    // Opening a FIFO would wait for somebody to read it.
    if (entry.isFIFO() || entry.isDirectory() || entry.isSocket()) throw new Error('wanted a plain file')
    if (!entry.isFile() || entry.size === 0 || entry.size + bytes <= this.options.maxBytes) return
    for (let i = this.options.older; i > 0; i--) {
      await rename(i === 1 ? this.path : `${this.path}.${i - 1}`, `${this.path}.${i}`).catch(absent)
    }
  }
}
