/** What keeping rows between steps changes, measured against keeping nothing; and that it leaves nothing behind. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type OpenRooms, openRooms } from '../../server/cli/openRooms.ts'
import { Denoiser } from '../../server/denoise/denoiser.ts'
import type { Engine } from '../../server/engine/engine.ts'
import type { Filled } from '../../server/session/gaps.ts'
import type { SessionModel } from '../../server/session/sessionModel.ts'
import { type Agreement, watchAgreement } from './agreement.ts'
import { fillLively, livelyBundle, places } from './livelyBundle.ts'

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0)
const percent = (share: number): string => `${(100 * share).toFixed(0)} %`

let root: string
let rooms: OpenRooms
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'lacuna-kept-'))
  rooms = await openRooms(await livelyBundle(root, 1), { cache: true, deterministic: true })
})
afterAll(async () => {
  await rooms?.close()
  await rm(root, { recursive: true, force: true })
})

const kinds = (['end-token', 'expand-delete'] as const).flatMap((mode) =>
  (['prefix', 'both'] as const).map((keep) => [keep, mode] as const),
)

test.each(kinds)('keep %s, length mode %s', async (keep, lengthMode) => {
  const offsets = places(rooms.model)
  const all = async (whole: SessionModel['whole']) => {
    const { engine, agreement } = watchAgreement(rooms.engine)
    const watched = { ...rooms, denoiser: new Denoiser(engine) }
    const filled: Filled[] = []
    for (const offset of offsets) filled.push(await fillLively(watched, offset, { lengthMode, threshold: 0.5, whole }))
    return { filled, rows: sum(filled.map(({ rows, steps }) => rows / steps)), byAge: agreement.byAge }
  }
  const wanted = await all({ keep: 'nothing', refreshEvery: 1, freshRows: 0 })
  const lines = []
  let rows = 1
  let ages: Agreement['byAge'] = []
  for (const refreshEvery of [1, 2, 4, Number.POSITIVE_INFINITY]) {
    const found = await all({ keep, refreshEvery, freshRows: 0 })
    const same = found.filled.filter(({ ids }, i) => ids.join() === wanted.filled[i]!.ids.join()).length
    const best = sum(found.byAge.map((age) => age.same)) / sum(found.byAge.map((age) => age.rows))
    const share = found.rows / wanted.rows
    if (refreshEvery === 1) {
      const outcomes = ({ filled }: typeof found) => filled.map(({ ids, steps, rows }) => ({ ids, steps, rows }))
      expect(outcomes(found)).toEqual(outcomes(wanted))
      continue
    }
    lines.push(
      `refresh ${refreshEvery}: ${same} middles, ${percent(best)} of best tokens, ${percent(share)} of rows a step`,
    )
    expect(found.byAge.length).toBeLessThan(refreshEvery)
    expect(best, 'kept rows are not those of another place').toBeGreaterThan(0.3)
    expect(share, 'rows a step').toBeLessThan(rows)
    rows = share
    ages = found.byAge
  }
  lines.push(
    `by age ${ages
      .slice(0, 6)
      .map(({ same, rows: all }) => percent(same / all))
      .join(', ')}`,
  )
  process.stderr.write(`keep ${keep}, ${lengthMode}, of ${offsets.length} gaps: ${lines.join('; ')}\n`)
})

test('kept rows of every request are released', async () => {
  const live = new Set<number>()
  let seen = 0
  const engine: Engine = {
    ...watchAgreement(rooms.engine).engine,
    release: (ids) => {
      for (const id of ids) live.delete(id)
      rooms.engine.release(ids)
    },
    step: async (jobs, signal) => {
      const predictions = await rooms.engine.step(jobs, signal)
      for (const { kept } of predictions) for (const { id } of kept) live.add(id)
      seen = Math.max(seen, live.size)
      return predictions
    },
  }
  for (const offset of places(rooms.model))
    await fillLively({ ...rooms, denoiser: new Denoiser(engine) }, offset, {
      whole: { keep: 'both', refreshEvery: 3, freshRows: 0 },
    })
  expect(seen, 'prefix and suffix of one gap').toBe(2)
  expect(live).toEqual(new Set())
})
