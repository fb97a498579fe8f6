/** Time that passes when the test says so. */
import type { Clock } from '../../server/base/clock.ts'

export class ManualClock implements Clock {
  private time = 0
  private sleepers: { readonly until: number; readonly wake: () => void }[] = []

  now = (): number => this.time

  sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const sleeper = { until: this.time + ms, wake: done }
      const stop = () => {
        this.sleepers = this.sleepers.filter((other) => other !== sleeper)
        reject(signal?.reason)
      }
      function done() {
        signal?.removeEventListener('abort', stop)
        resolve()
      }
      signal?.addEventListener('abort', stop, { once: true })
      this.sleepers.push(sleeper)
    })

  /** How many sleep. */
  get sleeping(): number {
    return this.sleepers.length
  }

  /** Lets `ms` pass: wakes sleepers in their order, and lets what follows from each happen. */
  async pass(ms: number): Promise<void> {
    const end = this.time + ms
    await settled()
    for (;;) {
      const next = this.sleepers.toSorted((a, b) => a.until - b.until)[0]
      if (!next || next.until > end) break
      this.sleepers = this.sleepers.filter((other) => other !== next)
      this.time = Math.max(this.time, next.until)
      next.wake()
      await settled()
    }
    this.time = end
    await settled()
  }
}

/** Everything that needs no time and no engine has happened. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve))
}
