/** Progress of long work on stderr: a bar on a terminal, else at most one line in 10 s. */

export interface Progress {
  readonly doneBytes: number
  readonly totalBytes: number
}

export function progressBar(write: (text: string) => void, title: string) {
  const isTerminal = process.stderr.isTTY === true
  const began = performance.now()
  let last = began // nothing is known of the rate before
  const update = ({ doneBytes, totalBytes }: Progress) => {
    const now = performance.now()
    if (now - last < (isTerminal ? 100 : 10_000)) return
    last = now
    const share = totalBytes > 0 ? doneBytes / totalBytes : 0
    const rate = doneBytes / Math.max(1, now - began) / 1000 // MB/s
    const left = rate > 0 ? Math.round((totalBytes - doneBytes) / rate / 1e6) : 0
    const line = `${title} ${Math.round(100 * share)} %  ${rate.toFixed(0)} MB/s  ${left} s left`
    write(isTerminal ? `\r\x1b[K${line}` : `${line}\n`)
  }
  return { update, end: () => void (isTerminal && write('\r\x1b[K')) }
}
