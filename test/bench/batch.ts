/** What it saves to put jobs into one step: against as many steps of one job each, in turn. */
import type { OpenRooms } from '../../server/cli/openRooms.ts'
import type { StepJob } from '../../server/engine/engine.ts'
import { median, rounded } from './stats.ts'

const open = new AbortController().signal
const [contextRows, rows, askedRows, rounds] = [448, 9, 4, 9]
const jobCounts = [1, 2, 4, 8] as const

export async function batch(rooms: OpenRooms) {
  const most = jobCounts.at(-1)!
  const { engine } = rooms
  const encodings: number[] = []
  for (let i = 0; i < most; i++) {
    const ids = Array.from({ length: contextRows }, (_, row) => 100 + i * contextRows + row)
    const [encoding] = await engine.encode([{ ids }], open)
    encodings.push(encoding!.id)
  }
  const job = (id: number): StepJob => ({
    ids: [500, ...Array<number>(rows - 1).fill(rooms.model.maskId)],
    positions: Array.from({ length: rows }, (_, i) => contextRows + i),
    context: [{ id, rows: contextRows, firstPosition: 0 }],
    asked: Array.from({ length: askedRows }, (_, i) => contextRows + 1 + i),
    setIds: rooms.model.lineBreakIds,
  })
  const shared = await compare(rooms, Array(most).fill(job(encodings[0]!)))
  const own = await compare(rooms, encodings.map(job))
  engine.release(encodings)
  return { context_rows: contextRows, rows_of_a_job: rows, one_context: shared, own_contexts: own }
}

async function compare({ engine }: OpenRooms, jobs: readonly StepJob[]) {
  const figures: Record<string, { together_ms: number; one_by_one_ms: number; ratio: number }> = {}
  for (const count of jobCounts) {
    const [together, apart]: [number[], number[]] = [[], []]
    for (let round = 0; round < rounds; round++) {
      let began = performance.now()
      await engine.step(jobs.slice(0, count), open)
      together.push(performance.now() - began)
      began = performance.now()
      for (const job of jobs.slice(0, count)) await engine.step([job], open)
      apart.push(performance.now() - began)
    }
    figures[count] = {
      together_ms: rounded(median(together.slice(2))),
      one_by_one_ms: rounded(median(apart.slice(2))),
      ratio: rounded(median(together.map((ms, round) => ms / apart[round]!).slice(2)), 2), // side by side, round by round
    }
  }
  return figures
}
