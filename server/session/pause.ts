/**
 * How long to rest after a key where a gap is filled in one request elsewhere: what is superseded there is computed, and paid
 * for, all the same, while here it stops between two passes. Half of what an answer takes: who types slower than that loses
 * half an answer's time, and who types faster asks once.
 */
const remembered = 9
const mostMs = 300

export class Pause {
  private readonly recent: number[] = [] // ms, the last answers

  took(ms: number): void {
    this.recent.push(ms)
    if (this.recent.length > remembered) this.recent.shift()
  }

  /** 0 until something has been answered. */
  get ms(): number {
    const sorted = this.recent.toSorted((a, b) => a - b)
    return Math.min(mostMs, (sorted[Math.floor(sorted.length / 2)] ?? 0) / 2)
  }
}
