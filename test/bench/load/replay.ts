/**
 * A crowd at work: each editor types its own files at a person's pace, for a time; then whoever still waits asks until
 * there is an answer. Knows nothing of servers.
 */
import { setMaxListeners } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { seededRandom } from '../stats.ts'
import { playLive } from '../typing/live.ts'
import type { Passes } from '../typing/passes.ts'
import { type Recording, record, type Source } from '../typing/recording.ts'
import { drawReaction } from '../typing/timing.ts'
import { isAnswered, type WatchedEditor } from './asked.ts'

export interface ReplayOptions {
  readonly seconds: number
  /** How many times slower than people type. */
  readonly slow: number
  /** Editors begin one after the other, all within so many seconds. */
  readonly ramp: number
  readonly seed: number
  /** Seconds that who still waits at the end may have to wait. */
  readonly patience: number
}

const averageKeyMs = 260 // at the least (`timing.ts`)
const againMs = 2_000

/** Enough for the time, in several files where one has too few places; the first one is opened at once. */
export function recordingsFor(sources: readonly Source[], editor: number, options: ReplayOptions): Recording[] {
  const { seconds, slow, seed } = options
  const random = seededRandom(seed * 1000 + editor)
  const wanted = Math.ceil((1000 * seconds) / (averageKeyMs * slow)) + 1
  const recordings: Recording[] = []
  for (let keys = 0; keys < wanted; keys += recordings.at(-1)!.keys.length)
    recordings.push(record(sources[Math.floor(random() * sources.length)]!, wanted, random))
  const [first, ...others] = recordings
  const [opening, ...keys] = first!.keys
  return [{ ...first!, keys: [{ ...opening!, waitMs: 0 }, ...keys] }, ...others]
}

/** @returns keys pressed, and editors that never got an answer to their last request. */
export async function replay(
  editors: readonly { readonly watched: WatchedEditor; readonly passes: Readonly<Passes> }[],
  sources: readonly Source[],
  options: ReplayOptions,
): Promise<{ keys: number; waitingForGood: number }> {
  const { seconds, slow, ramp, seed, patience } = options
  const stop = AbortSignal.timeout(1000 * seconds)
  setMaxListeners(editors.length + 1, stop)
  const played = editors.map(async ({ watched, passes }, i) => {
    const random = seededRandom(seed + i)
    await sleep((1000 * ramp * i) / editors.length)
    const live = { clientDelayMs: 0, speed: 1 / slow, reaction: () => slow * drawReaction(random), stop }
    const { keys } = await playLive(watched, passes, recordingsFor(sources, i, options), live)
    return keys
  })
  const keys = (await Promise.all(played)).reduce((sum, count) => sum + count, 0)
  const until = performance.now() + 1000 * patience
  const waited = editors.map(async ({ watched }) => {
    while (watched.inHand > 0 && performance.now() < until) await sleep(100)
    while (!isSatisfied(watched) && performance.now() < until) {
      await Promise.race([watched.again(), sleep(until - performance.now())])
      if (!isSatisfied(watched)) await sleep(againMs)
    }
    return isSatisfied(watched)
  })
  const satisfied = await Promise.all(waited)
  return { keys, waitingForGood: satisfied.filter((one) => !one).length }
}

/** The newest request got an answer. */
function isSatisfied({ asked }: WatchedEditor): boolean {
  const newest = asked.reduce((last, one) => (last && last.atMs > one.atMs ? last : one), asked[0])
  return newest !== undefined && isAnswered(newest)
}
