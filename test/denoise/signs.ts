/** Canvases as strings and predictions as short rows, for tests of schedules and lengths. */
import { Canvas } from '../../server/denoise/canvas.ts'
import { type CommitRules, noClamp } from '../../server/denoise/commitRules.ts'
import type { Prediction } from '../../server/engine/engine.ts'

export const mask = 99
export const end = 50
export const rules: CommitRules = {
  endIds: new Set([end, end + 1]),
  ends: 'last',
  forbiddenIds: new Set([mask]),
  clamp: noClamp,
}

/** A canvas of which `_` slots are open and others hold their digit. */
export function canvasOf(slots: string): Canvas {
  const canvas = new Canvas(slots.length, mask)
  for (const [slot, sign] of [...slots].entries()) if (sign !== '_') canvas.commit(slot, Number(sign), 1)
  return canvas
}

export const signs = (canvas: Canvas): string => canvas.slots.map((id) => (id === mask ? '_' : String(id))).join('')

/** What is said of one slot: ids with their probabilities, best first, and the mass of all ends. */
export interface Row {
  readonly top: readonly (readonly [id: number, probability: number])[]
  readonly end: number
}

/** One row per asked slot. */
export function prediction(...rows: Row[]): Prediction {
  return {
    topIds: rows.map(({ top }) => top.map(([id]) => id)),
    topLogProbs: rows.map(({ top }) => top.map(([, probability]) => Math.log(probability))),
    entropy: rows.map(() => 1),
    setLogProbs: rows.map((row) => Math.log(row.end)),
    scoreLogProbs: [],
    kept: [],
  }
}

export const row = (id: number, probability: number): Row => tops([id], [probability])

/** Best first; `ends` is the mass of all ends. */
export function tops(ids: number[], probabilities: number[], ends = 0): Row {
  return { top: ids.map((id, k) => [id, probabilities[k]!] as const), end: ends }
}
