/** What a download needs around it: no proxy, a clock on which waiting takes no time, and a note of what was said. */
import type { Net } from '../../server/model/hub.ts'

export interface DownloadRoom extends Net {
  readonly notes: string[]
  readonly waits: number[] // ms
}

export function downloadRoom(signal: AbortSignal = new AbortController().signal): DownloadRoom {
  const notes: string[] = []
  const waits: number[] = []
  const sleep = async (ms: number) => void waits.push(ms)
  return {
    env: {},
    clock: { now: () => 0, sleep },
    note: (message) => void notes.push(message),
    signal,
    notes,
    waits,
  }
}
