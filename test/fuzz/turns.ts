/** Time in turns of the event loop, so that a seed gives the same run on a fast machine and on a slow one. */
import { setImmediate as turn } from 'node:timers/promises'
import type { Clock } from '../../server/base/clock.ts'

const msATurn = 10

export async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await turn()
}

export class TurnClock implements Clock {
  private passed = 0

  now = (): number => this.passed * msATurn

  sleep = async (ms: number, signal?: AbortSignal): Promise<void> => {
    for (let left = Math.ceil(ms / msATurn); left > 0; left--) {
      if (signal?.aborted) throw signal.reason
      await turn()
      this.passed++ // by every sleeper: a busy clock goes faster, but never back
    }
    if (signal?.aborted) throw signal.reason
  }
}
