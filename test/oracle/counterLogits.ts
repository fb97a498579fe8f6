/**
 * The recorded logits that drive the reference samplers, from a counter instead of a file (`counterLogits.py`): each is a
 * pure function of a seed, all ids of the row and the position. Multiples of 2⁻¹⁴ below 2⁴: exact in float32.
 */
import type { Encoding, Engine, Prediction, StepJob, TokenIds } from '../../server/engine/engine.ts'

export const vocab = 48
export const maskId = vocab // no column of the head, except where a case says so

/** What the model says of `position`, `[width]`. */
export function counterLogits(seed: number, row: TokenIds, position: number, width = vocab): Float32Array {
  const state = chained(row.reduce(chained, chained(0, seed)), position)
  const spread = 1 + (mix(state ^ 1) >>> 30) // 1 to 4: from flat rows to steep ones
  const favoured = (mix(state ^ 2) >>> 0) % width
  const favour = mix(state ^ 3) >>> 16
  return Float32Array.from({ length: width }, (_, id) => {
    const units = ((chained(state, id) >>> 16) - 2 ** 15) * spread
    return (units + (id === favoured ? favour : 0)) / 2 ** 14
  })
}

/** A bidirectional engine of these logits; knows no context but the rows of the job itself. */
export class CounterEngine implements Engine {
  /** The rows of each pass, job by job. */
  readonly passes: TokenIds[][] = []
  private readonly seed: number
  private readonly width: number

  constructor(seed: number, width = vocab) {
    this.seed = seed
    this.width = width
  }

  async step(jobs: readonly StepJob[]): Promise<Prediction[]> {
    this.passes.push(jobs.map(({ ids }) => ids))
    return jobs.map((job) => {
      const rows = job.asked.map((position) => counterLogits(this.seed, job.ids, position, this.width))
      const { logits, ...best } = predictionOf(rows)
      return job.logits ? { ...best, logits: logits! } : best
    })
  }

  async encode(): Promise<Encoding[]> {
    throw new Error('a bidirectional row is never encoded ahead')
  }

  release(): void {}

  async close(): Promise<void> {}
}

/** What a graph says of rows of logits, of an empty set of ends. */
export function predictionOf(logits: readonly Float32Array[]): Prediction {
  const rows = logits.map(readRow)
  return {
    topIds: rows.map(({ ids }) => ids),
    topLogProbs: rows.map(({ logProbs }) => logProbs),
    entropy: rows.map(({ entropy }) => entropy),
    setLogProbs: rows.map(() => Number.NEGATIVE_INFINITY),
    scoreLogProbs: [],
    logits,
    kept: [],
  }
}

function readRow(logits: Float32Array) {
  const normalizer = Math.log(logits.reduce((total, logit) => total + Math.exp(logit), 0))
  const logProbs = Array.from(logits, (logit) => logit - normalizer)
  const ids = [...logits.keys()].toSorted((a, b) => logits[b]! - logits[a]! || a - b).slice(0, 8)
  const entropy = -logProbs.reduce((total, logProb) => total + Math.exp(logProb) * logProb, 0)
  return { ids, logProbs: ids.map((id) => logProbs[id]!), entropy }
}

function chained(word: number, value: number): number {
  return mix(word ^ mix(value + 0x9e3779b9))
}

/** MurmurHash3's finalizer. */
function mix(word: number): number {
  let mixed = Math.imul(word ^ (word >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return mixed ^ (mixed >>> 16)
}
