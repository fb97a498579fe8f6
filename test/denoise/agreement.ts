/**
 * What kept rows change, step by step: beside each pass over kept rows the whole pass is taken of the same canvas, and
 * their best tokens are compared. For one gap at a time.
 */
import type { Engine, StepJob } from '../../server/engine/engine.ts'

export interface Agreement {
  /** Asked rows, and those of them whose best token is the same, by the steps since the kept rows were computed. */
  readonly byAge: { rows: number; same: number }[]
}

export function watchAgreement(engine: Engine): { engine: Engine; agreement: Agreement } {
  const byAge: Agreement['byAge'] = []
  let last: StepJob | undefined
  let age = 0
  return {
    agreement: { byAge },
    engine: {
      encode: (pieces, signal) => engine.encode(pieces, signal),
      release: (ids) => engine.release(ids),
      close: () => engine.close(),
      async step(jobs, signal) {
        const predictions = await engine.step(jobs, signal)
        for (const [i, job] of jobs.entries()) {
          if (job.context.length === 0) {
            ;[last, age] = [job, 0]
            continue
          }
          const [whole] = await engine.step([wholeJob(job, last!)], signal)
          const counts = (byAge[age++] ??= { rows: 0, same: 0 })
          for (const [row, [best]] of whole!.topIds.entries()) {
            counts.rows++
            if (predictions[i]!.topIds[row]![0] === best) counts.same++
          }
        }
        return predictions
      },
    },
  }
}

/** The job with all it sees among its rows; what was kept has the ids of `last`. */
function wholeJob({ ids, context, asked, setIds }: StepJob, last: StepJob): StepJob {
  const prefix = context.find(({ firstPosition }) => firstPosition === 0)
  const suffix = context.find(({ firstPosition }) => firstPosition > 0)
  const all = [
    ...last.ids.slice(0, prefix?.rows ?? 0),
    ...ids,
    ...last.ids.slice(last.ids.length - (suffix?.rows ?? 0)),
  ]
  return { ids: all, positions: [...all.keys()], context: [], asked, setIds }
}
