/** What answerers over the model use of the rooms that `openRooms` opens, and what they say of them. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { OpenRooms, RoomOptions } from '../../../server/cli/openRooms.ts'
import { openBundle } from '../../../server/model/openBundle.ts'

export type BaseRooms = Pick<OpenRooms, 'engine' | 'model' | 'prefixes' | 'now'>

/** The facts of a model's figures: which weights, how they are multiplied, how its canvas is filled. */
export async function aboutRooms(
  { dir, model, report }: OpenRooms,
  { weights = 'fastest' }: Pick<RoomOptions, 'weights'> = {},
): Promise<Readonly<Record<string, unknown>>> {
  const { graph, int8 } = await openBundle(dir, { check: 'sizes' })
  const inEight = weights === 'fastest' && int8 !== undefined && report.provider === 'cpu'
  return {
    model: model.name,
    // With the sha256 of all of its files in it.
    manifest: createHash('sha256')
      .update(readFileSync(join(dir, 'lacuna.json')))
      .digest('hex')
      .slice(0, 12),
    quantisation: inEight ? `${graph.quant}, multiplied in 8 bits` : graph.quant,
    provider: report.provider,
    attention: model.attention,
    canvas: model.canvasSlots,
    threshold: model.threshold,
    window: model.window,
    length: model.lengthMode,
    context: `${model.prefixTokens} + ${model.suffixTokens} tokens`,
  }
}
