/** A text that goes on by a seed, for scripts of the scripted engine. */
import type { TokenIds } from '../../server/engine/engine.ts'
import { byteIds } from '../engine/scriptedEngine.ts'

export const alphabet = 12 // ids; the last one is an end

/** Hash of some numbers, 0 … 1. */
export function chance(...numbers: readonly number[]): number {
  let state = 0x9e3779b9
  for (const number of numbers) state = Math.imul(state ^ (number + 1), 0x85ebca6b) ^ (state >>> 13)
  return ((Math.imul(state ^ (state >>> 16), 0xc2b2ae35) >>> 0) % 65_521) / 65_521
}

/** What comes next, from the two tokens before. */
export function next(seed: number, ids: TokenIds): number {
  const id = Math.floor(alphabet * chance(seed, ids.at(-1) ?? 0, ids.at(-2) ?? 0, ids.length))
  return id === alphabet - 1 ? byteIds.end : id
}
