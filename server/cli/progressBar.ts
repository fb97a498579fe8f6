/** Progress of long work on stderr: a bar with rate and time left on a terminal, else at most one line in 10 s. */

export interface Progress {
  readonly doneBytes: number
  readonly totalBytes: number
}

export interface ProgressBar {
  readonly update: (progress: Progress) => void
  /** Writes a line of its own, the bar out of its way. */
  readonly note: (message: string) => void
  /** Takes the bar off the terminal. */
  readonly end: () => void
}

export interface BarSurroundings {
  readonly isTerminal: boolean
  readonly columns: number
  readonly now: () => number // ms
}

const barWidth = 24
const [terminalPauseMs, linePauseMs] = [100, 10_000]
/** The rate is that of the last so many milliseconds, so that a pause, or what a resumed run found, does not bend it. */
const rateSpanMs = 10_000

export function progressBar(
  write: (text: string) => void,
  title: string,
  { isTerminal, columns, now }: BarSurroundings = surroundings(),
): ProgressBar {
  let last = now() // nothing is known of the rate before
  let samples: { readonly at: number; readonly bytes: number }[] = []
  const clear = '\r\x1b[K'
  const update = ({ doneBytes, totalBytes }: Progress) => {
    const at = now()
    if (samples.length > 0 && doneBytes < samples.at(-1)!.bytes) samples = [] // begun anew
    if (samples.length === 0 || at - samples.at(-1)!.at >= terminalPauseMs) {
      samples.push({ at, bytes: doneBytes })
      while (samples.length > 2 && samples[1]!.at < at - rateSpanMs) samples.shift()
    }
    if (at - last < (isTerminal ? terminalPauseMs : linePauseMs)) return
    last = at
    const [first] = samples
    const rate = at > first!.at ? (doneBytes - first!.bytes) / (at - first!.at) : 0 // kB/s
    const share = totalBytes > 0 ? Math.min(1, doneBytes / totalBytes) : 0
    const left = rate > 0 ? `, ${shownSeconds((totalBytes - doneBytes) / rate / 1000)} left` : ''
    const figures = `${Math.floor(100 * share)} %, ${shownRate(rate)}${left}`
    const filled = Math.round(share * barWidth)
    const bar = `${'#'.repeat(filled)}${'.'.repeat(barWidth - filled)}`
    const line = isTerminal ? `${title} [${bar}] ${figures}`.slice(0, columns - 1) : `${title}: ${figures}`
    write(isTerminal ? `${clear}${line}` : `${line}\n`)
  }
  return {
    update,
    note: (message) => write(`${isTerminal ? clear : ''}${message}\n`),
    end: () => void (isTerminal && write(clear)),
  }
}

function surroundings(): BarSurroundings {
  return {
    isTerminal: process.stderr.isTTY === true,
    columns: process.stderr.columns ?? 80,
    now: () => performance.now(),
  }
}

function shownRate(kilobytesPerSecond: number): string {
  return kilobytesPerSecond < 1000
    ? `${kilobytesPerSecond.toFixed(0)} kB/s`
    : `${(kilobytesPerSecond / 1000).toFixed(1)} MB/s`
}

function shownSeconds(seconds: number): string {
  if (seconds < 60) return `${Math.ceil(seconds)} s`
  const minutes = Math.ceil(seconds / 60)
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}
