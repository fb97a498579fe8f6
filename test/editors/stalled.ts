/** Our engine stalled: while the file that `LACUNA_STALL` names exists, `scriptedServer.ts` finishes no step. */
import { rm, writeFile } from 'node:fs/promises'
import { performance } from 'node:perf_hooks'
import { expect } from 'vitest'

const soonMs = 1500

/** @param file what `LACUNA_STALL` names. */
export async function stalled<Result>(file: string, work: () => Promise<Result>): Promise<Result> {
  await writeFile(file, '')
  try {
    return await work()
  } finally {
    await rm(file, { force: true })
  }
}

/** Waits for what another server gives with ours stalled, which must not take long, and says how long it took. */
export async function soon<Result>(who: string, work: () => Promise<Result>): Promise<Result> {
  const began = performance.now()
  const given = await work()
  const tookMs = performance.now() - began
  process.stderr.write(`${who}: what the other server gives after ${Math.round(tookMs)} ms, ours stalled\n`)
  expect(tookMs).toBeLessThan(soonMs)
  return given
}
