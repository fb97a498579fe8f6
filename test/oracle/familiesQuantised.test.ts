/**
 * Families in 8 and 4 bits: the quantised graph against the float32 numbers that its own blocks stand for. How far those
 * are from the weights they came from is printed only: random weights are the worst case, and say nothing of real ones.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as ort from 'onnxruntime-node'
import { expect, test } from 'vitest'
import { convertModel } from '../../server/model/convert.ts'
import { floatBundle } from '../../server/model/dequantize.ts'
import { openBundle } from '../../server/model/openBundle.ts'
import { wholePass } from './familyGraph.ts'
import { type FamilyModel, readFamilies, writeFamilyFolder } from './familyModels.ts'

const families = readFamilies()
/** Between them: an odd number of blocks a row, biases everywhere, query and key norms, heads tied and not, 7 heads a key. */
const names = ['llama-smollm2', 'llama-biases', 'coda', 'a2d-qwen2']

// Activations are rounded to 8 bits, per row and block: logits of standard deviation 3 move by 0.04 to 0.2.
const rounding = 0.3

test.each(families.models.filter(({ name }) => names.includes(name)).map((model) => [model.name, model] as const))(
  'the graph of %s multiplies what its blocks stand for',
  async (name, model) => {
    const root = await mkdtemp(join(tmpdir(), 'lacuna-family-'))
    try {
      const [source, f32, q8, q4, q4Floats] = ['source', 'f32', 'q8', 'q4', 'q4-floats'].map((dir) =>
        join(root, dir),
      ) as [string, string, string, string, string]
      await writeFamilyFolder(source, model)
      for (const [quant, dir] of [['f32', f32] as const, ['q8', q8] as const, ['q4', q4] as const])
        await convertModel(source, dir, { quant, name, facts: model.facts })
      await floatBundle(q4, q4Floats)

      const [exact, eight, four, fourExact] = [
        await logits(f32, model),
        await logits(q8, model),
        await logits(q4, model),
        await logits(q4Floats, model),
      ]
      const own = compare(four, fourExact)
      const [q8Off, q4Off] = [compare(eight, exact), compare(four, exact)]
      process.stderr.write(
        `${name}: root mean square off: q4 from its own numbers ${own.off.toFixed(3)}, q8 from float32 ${q8Off.off.toFixed(3)} ` +
          `(same best in ${q8Off.same}), q4 from float32 ${q4Off.off.toFixed(2)} (same best in ${q4Off.same})\n`,
      )
      expect(own.off).toBeGreaterThan(0)
      expect(own.off).toBeLessThan(rounding)
      expect(q8Off.off).toBeLessThan(rounding)
    } finally {
      await rm(root, { recursive: true, force: true })
    }
  },
)

/** Of every canvas row of the longest case. */
async function logits(dir: string, model: FamilyModel): Promise<Float32Array[]> {
  const { manifest, graphPath } = await openBundle(dir)
  const options = { intraOpNumThreads: 1, executionMode: 'sequential', logSeverityLevel: 3 } as const
  const session = await ort.InferenceSession.create(graphPath, options)
  const [sequence] = families.cases.find((one) => one.model === model.name && one.window)!.sequences
  const { prefix, canvas, rows } = sequence!
  const all = Array.from({ length: canvas }, (_, i) => ({ ...rows[0]!, row: prefix + i }))
  const whole = await wholePass(session, manifest, model, families, [{ ...sequence!, rows: all }])
  await session.release()
  return all.map((_, i) => whole.logits.slice(i * manifest.vocab, (i + 1) * manifest.vocab))
}

function compare(found: readonly Float32Array[], wanted: readonly Float32Array[]): { off: number; same: string } {
  const best = (row: Float32Array): number => row.indexOf(row.reduce((most, logit) => Math.max(most, logit)))
  let [squares, count, same] = [0, 0, 0]
  for (const [i, row] of found.entries()) {
    if (best(row) === best(wanted[i]!)) same++
    for (const [id, logit] of row.entries()) squares += (logit - wanted[i]![id]!) ** 2
    count += row.length
  }
  return { off: Math.sqrt(squares / count), same: `${same} of ${found.length} rows` }
}
