/** Counts what an engine computes, whoever asks. */
import type { Engine } from '../../../server/engine/engine.ts'

export interface Passes {
  steps: number
  stepRows: number
  encodedRows: number
}

/** From now on, and for good: the engine's own methods are wrapped, since those who hold it hold it already. */
export function countPasses(engine: Engine): Passes {
  const passes: Passes = { steps: 0, stepRows: 0, encodedRows: 0 }
  const step = engine.step.bind(engine)
  const encode = engine.encode.bind(engine)
  engine.step = (jobs, signal) => {
    passes.steps++
    for (const { ids } of jobs) passes.stepRows += ids.length
    return step(jobs, signal)
  }
  engine.encode = (pieces, signal) => {
    for (const { ids } of pieces) passes.encodedRows += ids.length
    return encode(pieces, signal)
  }
  return passes
}
