/**
 * Does a bundle answer sensibly? One pass over a fixed gap, and what can be said of any diffusion model that was
 * converted with the right facts: finite numbers, no mask proposed, an entropy in range, slots that differ.
 */
import { EngineError } from '../base/errors.ts'
import type { Prediction } from '../engine/engine.ts'
import { openOnnxEngine } from '../engine/onnx/onnxEngine.ts'
import type { Manifest } from '../model/manifest.ts'
import { openBundle } from '../model/openBundle.ts'
import { readTokenizer } from '../model/tokenizer.ts'
import { engineOptions } from './openRooms.ts'
import { predictGap } from './predictGap.ts'

/** No space before the gap: it would belong to the first token of the middle. */
const before = 'def add(left, right):\n    total ='
const after = '\n    return total\n'
const slotCount = 8

export interface SelfTest {
  /** Clauses; none when the model passed. */
  readonly problems: readonly string[]
  readonly firstGuess: string
  readonly entropies: readonly number[] // nats, one per slot
}

/** @param bundleDir of a bundle just verified. @throws {BundleError} when it cannot be opened. */
export async function selfTest(bundleDir: string, signal: AbortSignal): Promise<SelfTest> {
  const bundle = await openBundle(bundleDir, { check: 'sizes' })
  const { manifest } = bundle
  const tokenizer = await readTokenizer(bundleDir, manifest.vocab)
  const start = manifest.documentStartId === undefined ? [] : [manifest.documentStartId]
  const prefixIds = [...start, ...tokenizer.encode(before)]
  const suffixIds = tokenizer.encode(after)
  const engine = await openOnnxEngine(engineOptions(bundle))
  try {
    const prediction = await predictGap(engine, manifest, { prefixIds, slotCount, suffixIds }, signal)
    return {
      problems: problemsOf(prediction, manifest),
      firstGuess: tokenizer.tokenText(prediction.topIds[0]?.[0] ?? -1),
      entropies: prediction.entropy,
    }
  } catch (error) {
    if (!(error instanceof EngineError)) throw error
    return { problems: [error.message], firstGuess: '', entropies: [] }
  } finally {
    await engine.close()
  }
}

/** @returns one clause for each thing that no sound model says. */
export function problemsOf(
  { topIds, topLogProbs, entropy }: Pick<Prediction, 'topIds' | 'topLogProbs' | 'entropy'>,
  { vocab, maskId, topK }: Pick<Manifest, 'vocab' | 'maskId' | 'topK'>,
): string[] {
  const numbers = [...entropy, ...topLogProbs.flat()]
  const odd = numbers.filter((value) => !Number.isFinite(value)).length
  if (odd > 0) return [`${odd} of ${numbers.length} numbers are NaN or infinite`] // nothing else can be said then
  const problems: string[] = []
  const masks = topIds.filter(([best]) => best === maskId).length
  if (masks > 0) problems.push(`the best token of ${masks} of ${topIds.length} slots is the mask itself`)
  const mean = entropy.reduce((sum, value) => sum + value, 0) / entropy.length
  const most = Math.log(vocab)
  if (mean <= 0 || mean >= 0.999 * most)
    problems.push(`the entropy is ${mean.toFixed(3)} nats on average, wanted above 0 and below ${most.toFixed(3)}`)
  const distinct = new Set(topIds.flat()).size
  if (distinct <= topK) problems.push(`all slots propose the same ${distinct} tokens, whatever stands around them`)
  return problems
}
