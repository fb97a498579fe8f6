/**
 * Whether a provider can be trusted with the graph that it has just opened: a driver may fail at the first pass only, or
 * answer nonsense without an error. Three small passes: rows without a past, rows that are kept, a row over those.
 */
import { type PassRunner, type RowGroup, textGroup } from './pass.ts'

/** Log-probability. Activations rounded to 8 bits part by 0.2 at the most; nonsense by whole numbers. */
const tolerance = 0.5

/** @throws when the passes fail, give no probabilities, or a row over kept rows is not what it is beside them. */
export async function tryOut(runner: Pick<PassRunner, 'run'>): Promise<void> {
  const ids = [1, 2, 3, 4]
  const positions = [0, 1, 2, 3]
  const asked = { askedRows: [3], keep: [] }
  const plain = { runs: [], firstPositions: [], keep: [{ first: 0, count: 3 }] }
  const whole = await bestOf(runner, { ...textGroup({ ...plain, ids, positions }), ...asked })
  const [read] = await runner.run([textGroup({ ...plain, ids: ids.slice(0, 3), positions: positions.slice(0, 3) })], [])
  const { keys, values } = read!.kept[0]!
  const segment = { parent: undefined, parentRows: 0, ownRows: 3, keys, values }
  const last = { ids: [4], positions: [3], runs: [{ segment, from: 0, count: 3 }], firstPositions: [0], keep: [] }
  const overKept = await bestOf(runner, { ...textGroup(last), askedRows: [0] })
  const mass = whole.reduce((sum, logProb) => sum + Math.exp(logProb), 0)
  if (!(mass > 0 && mass < 1.001)) throw new Error(`its answers are no probabilities: eight of them make ${mass}`)
  const apart = Math.max(...whole.map((logProb, i) => Math.abs(logProb - overKept[i]!)))
  if (!(apart < tolerance))
    throw new Error(`it answers differently over kept rows: log-probabilities are ${apart.toFixed(2)} apart`)
}

async function bestOf(runner: Pick<PassRunner, 'run'>, group: RowGroup): Promise<readonly number[]> {
  const [result] = await runner.run([group], [])
  return result!.prediction.topLogProbs[0]!
}
