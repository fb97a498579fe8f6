/**
 * How much a quantised graph says the same as float32: both fill in masked rows of real code, and their predictions are
 * compared row by row.
 */
import type { Prediction } from '../engine/engine.ts'
import { openOnnxEngine } from '../engine/onnx/onnxEngine.ts'
import { openBundle } from '../model/openBundle.ts'
import { readTokenizer } from '../model/tokenizer.ts'
import { engineOptions } from './openRooms.ts'
import { predictGap } from './predictGap.ts'

export interface Agreement {
  readonly rows: number
  /** Rows whose best token is the same. */
  readonly sameBest: number
  /** Rows of these that float32 gives at least half of all probability. */
  readonly sureRows: number
  readonly sameBestWhereSure: number
  /** Mean of |difference| over all rows, of the log-probability of float32's best token, in nats. */
  readonly meanDifference: number
}

const [gaps, slots, prefixTokens, suffixTokens] = [24, 8, 128, 32]
const never = new AbortController().signal

/**
 * @param text real code, of some thousand tokens.
 * @throws {BundleError} when a folder is no bundle in that storage.
 */
export async function agreementOf(
  quantised: { readonly dir: string; readonly quant: 'q4' | 'q8' | 'f32' },
  float: { readonly dir: string },
  text: string,
): Promise<Agreement> {
  // One after the other: of a large model there may be no room for both.
  const found = await predictGaps(quantised.dir, quantised.quant, text)
  const wanted = await predictGaps(float.dir, 'f32', text)
  let [rows, sameBest, sureRows, sameBestWhereSure, difference] = [0, 0, 0, 0, 0]
  for (const [gap, prediction] of wanted.entries()) {
    for (const [row, ids] of prediction.topIds.entries()) {
      const own = found[gap]!.topIds[row]!
      const same = own[0] === ids[0]
      const logProb = prediction.topLogProbs[row]![0]!
      const sure = Math.exp(logProb) >= 0.5
      const at = own.indexOf(ids[0]!)
      // Outside the best eight it is at most as likely as the last of them.
      difference += Math.abs(logProb - found[gap]!.topLogProbs[row]!.at(at)!)
      rows++
      if (same) sameBest++
      if (sure) sureRows++
      if (sure && same) sameBestWhereSure++
    }
  }
  return { rows, sameBest, sureRows, sameBestWhereSure, meanDifference: difference / Math.max(1, rows) }
}

export function agreementLine({ rows, sameBest, sureRows, sameBestWhereSure, meanDifference }: Agreement): string {
  const percent = (part: number, whole: number): string => `${((100 * part) / Math.max(1, whole)).toFixed(1)} %`
  return (
    `against float32, on ${rows} masked rows of code: same best token in ${percent(sameBest, rows)}; ` +
    `where float32 is sure (${sureRows} rows) in ${percent(sameBestWhereSure, sureRows)}; ` +
    `log-probability off by ${meanDifference.toFixed(3)} on average`
  )
}

async function predictGaps(dir: string, quant: 'q4' | 'q8' | 'f32', text: string): Promise<Prediction[]> {
  const bundle = await openBundle(dir, { quant })
  const { manifest } = bundle
  const tokenizer = await readTokenizer(dir, manifest.vocab)
  const ids = tokenizer.encode(text.slice(0, 200_000))
  const width = prefixTokens + slots + suffixTokens
  const stride = Math.max(1, Math.floor((ids.length - width) / gaps))
  const engine = await openOnnxEngine(engineOptions(bundle))
  try {
    const predictions: Prediction[] = []
    for (let first = 0; first + width <= ids.length && predictions.length < gaps; first += stride) {
      const before = ids.slice(first, first + prefixTokens)
      const after = ids.slice(first + prefixTokens + slots, first + width)
      const gap = { prefixIds: before, slotCount: slots, suffixIds: after }
      predictions.push(await predictGap(engine, manifest, gap, never))
    }
    return predictions
  } finally {
    await engine.close()
  }
}
