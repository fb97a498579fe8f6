/** The system's clock and the one that tests use keep the same promises. */
import { describe, expect, test } from 'vitest'
import { type Clock, systemClock } from '../../server/base/clock.ts'
import { ManualClock } from './manualClock.ts'

const clocks: { name: string; make: () => { clock: Clock; pass: (ms: number) => Promise<void> } }[] = [
  {
    name: 'systemClock',
    make: () => ({ clock: systemClock, pass: (ms) => new Promise((resolve) => setTimeout(resolve, ms)) }),
  },
  {
    name: 'ManualClock',
    make: () => {
      const clock = new ManualClock()
      return { clock, pass: (ms) => clock.pass(ms) }
    },
  },
]

for (const { name, make } of clocks) {
  describe(name, () => {
    test('goes on by what passed', async () => {
      const { clock, pass } = make()
      const before = clock.now()
      await pass(20)
      expect(clock.now() - before).toBeGreaterThanOrEqual(19)
    })

    test('wakes sleepers in their order', async () => {
      const { clock, pass } = make()
      const woken: number[] = []
      for (const ms of [30, 5, 15]) void clock.sleep(ms).then(() => woken.push(ms))
      await pass(80)
      expect(woken).toEqual([5, 15, 30])
    })

    test('rejects with the reason of the signal, before and while it sleeps', async () => {
      const { clock } = make()
      const reason = new Error('superseded')
      await expect(clock.sleep(10, AbortSignal.abort(reason))).rejects.toBe(reason)
      const abort = new AbortController()
      const sleeping = clock.sleep(10_000, abort.signal)
      abort.abort(reason)
      await expect(sleeping).rejects.toBe(reason)
    })
  })
}
