/**
 * Who reads next. The caches of an engine share one of these: one chunk is read at a time, so that whoever comes waits
 * for the chunk in hand at most. What somebody waits for goes before what is read ahead; of two alike the newer.
 *
 * (An older reader cannot starve: newer ones come at the pace of keystrokes, and most of those have little to read.)
 */
import { abortReason, throwIfAborted } from '../base/errors.ts'

/** `awaited`: a person waits for it; `ahead`: nobody does, yet. */
export type Haste = 'awaited' | 'ahead'

interface Reader {
  readonly haste: Haste
  readonly arrival: number
  readonly signal: AbortSignal
}

interface Waiting {
  readonly reader: Reader
  readonly begin: () => void
}

export class Turns {
  private readonly waiting: Waiting[] = []
  private taken = false
  private arrivals = 0

  /**
   * Calls `chunk` whenever it is this reader's turn, and nobody else's meanwhile, until it says that there is no more.
   *
   * @throws {Aborted} when the signal fires before a turn, or between two.
   */
  async read(haste: Haste, signal: AbortSignal, chunk: () => Promise<'more' | 'done'>): Promise<void> {
    throwIfAborted(signal)
    const reader = { haste, arrival: ++this.arrivals, signal }
    if (this.taken) await this.turnOf(reader)
    this.taken = true
    for (;;) {
      let left: 'more' | 'done' | 'failed' = 'failed'
      try {
        left = await chunk()
      } finally {
        if (left !== 'more' || signal.aborted) this.passOn()
      }
      if (left === 'done') return
      throwIfAborted(signal)
      const again = this.turnOf(reader) // in line before the turn is passed on
      this.passOn()
      await again
    }
  }

  private turnOf(reader: Reader): Promise<void> {
    const { signal } = reader
    return new Promise((resolve, reject) => {
      const begin = () => {
        signal.removeEventListener('abort', leave)
        resolve()
      }
      const waiting: Waiting = { reader, begin }
      const leave = () => {
        this.waiting.splice(this.waiting.indexOf(waiting), 1)
        reject(abortReason(signal))
      }
      signal.addEventListener('abort', leave, { once: true })
      this.waiting.push(waiting)
    })
  }

  /** Without a gap: nobody who has just come may take the turn from the one it was given to. */
  private passOn(): void {
    const first = this.waiting.toSorted((a, b) => order(a.reader, b.reader))[0]
    this.taken = first !== undefined
    if (!first) return
    this.waiting.splice(this.waiting.indexOf(first), 1)
    first.begin()
  }
}

function order(a: Reader, b: Reader): number {
  if (a.haste !== b.haste) return a.haste === 'awaited' ? -1 : 1
  return b.arrival - a.arrival
}
