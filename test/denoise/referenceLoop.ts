/**
 * The plain way to fill a gap with a bidirectional model: every step computes everything, through the raw graph. Shares
 * no code with `server/denoise`.
 */
import * as ort from 'onnxruntime-node'
import type { Manifest } from '../../server/model/manifest.ts'

export interface ReferenceGap {
  readonly mode: 'end-token' | 'search' | 'expand-delete'
  readonly prefix: readonly number[]
  readonly suffix: readonly number[]
  readonly ends: ReadonlySet<number>
  readonly forbidden: ReadonlySet<number> // the mask among them
  readonly expandId: number
  readonly slots: number
  readonly lengths: readonly number[]
  readonly threshold: number
  readonly maxTokens: number
}

export async function fillPlainly(session: ort.InferenceSession, manifest: Manifest, gap: ReferenceGap) {
  const { mode, ends, forbidden, expandId, threshold, maxTokens } = gap
  const mask = manifest.maskId
  const end = -1
  const masks = (count: number): number[] => Array(count).fill(mask)
  const done: number[] = []
  let canvas = masks(mode === 'expand-delete' ? Math.min(gap.slots, maxTokens) : gap.slots)
  /** A distribution for each slot; with shifted logits the row before it gives it. */
  const look = async (slots: readonly number[]): Promise<number[][]> => {
    const before = [...gap.prefix, ...done]
    const rows = slots.map((_, slot) => Math.max(0, before.length + slot - manifest.logitsShift))
    return distributions(session, manifest, [...before, ...slots, ...gap.suffix], rows)
  }
  let rows: number[][] | undefined
  let best = Number.NEGATIVE_INFINITY
  for (const length of mode === 'search' ? gap.lengths.filter((slots) => slots <= maxTokens) : []) {
    const seen = await look(masks(length))
    const phi = seen.reduce((sum, row) => sum + Math.max(...row), 0) / length
    const score = phi / (Math.exp(-1.77 * length) + 0.56 * Math.exp(-0.06 * length) + 0.24)
    if (score > best) [best, canvas, rows] = [score, masks(length), seen]
  }
  for (let steps = 1, expanded = 0; ; steps++) {
    rows ??= await look(canvas)
    const grows = mode === 'expand-delete' && canvas.length < maxTokens && expanded < maxTokens
    const open = [...canvas.keys()].filter((slot) => canvas[slot] === mask)
    const guesses = open.map((slot) => {
      const row = rows![slot]!
      const token = row.reduce((top, p, id) => {
        const barred = ends.has(id) || (id === expandId ? !grows : forbidden.has(id))
        return barred || (top >= 0 && p <= row[top]!) ? top : id
      }, -1)
      const ending = [...ends].reduce((sum, id) => sum + row[id]!, 0)
      return ending > row[token]! ? { slot, id: end, p: ending } : { slot, id: token, p: row[token]! }
    })
    rows = undefined
    const may = guesses.filter(({ id, slot }) => id !== end || mode === 'expand-delete' || slot === open[0])
    const surest = may.reduce((top, guess) => (guess.p > top.p ? guess : top))
    let ended = false
    if (mode === 'expand-delete') {
      const put = surest.id === end ? [] : surest.id === expandId ? masks(2) : [surest.id]
      expanded += put.length === 2 ? 1 : 0
      canvas.splice(surest.slot, 1, ...put)
    } else {
      for (const { slot, id, p } of guesses) {
        if (ended || (slot !== surest.slot && p < threshold)) continue
        if (id !== end) canvas[slot] = id
        else ended = canvas.indexOf(mask) === slot
      }
    }
    const full = !canvas.includes(mask)
    const middle = [...done, ...canvas.slice(0, full ? canvas.length : canvas.indexOf(mask))]
    if (ended || middle.length >= maxTokens || (full && mode !== 'end-token'))
      return { ids: middle.slice(0, maxTokens), steps }
    if (!full) continue
    done.push(...canvas)
    canvas = masks(gap.slots)
  }
}

/** `[rows][vocab]`, softmax of the graph's logits, everything in sight of everything. */
async function distributions(
  session: ort.InferenceSession,
  manifest: Manifest,
  ids: readonly number[],
  rows: readonly number[],
) {
  const count = ids.length
  const { layers, kvHeads, headDim, vocab } = manifest
  const int64 = (values: readonly number[]) =>
    new ort.Tensor('int64', BigInt64Array.from(values, BigInt), [1, values.length])
  const feeds: Record<string, ort.Tensor> = {
    input_ids: int64(ids),
    position_ids: int64([...ids.keys()]),
    past_position_ids: int64([]),
    attention_bias: new ort.Tensor('float32', new Float32Array(count * count), [1, 1, count, count]),
    rows: int64(rows),
    score_ids: int64(rows.map(() => 0)),
    set_ids: new ort.Tensor('int64', BigInt64Array.of(0n), [1]),
  }
  for (let layer = 0; layer < layers; layer++) {
    for (const part of ['key', 'value'])
      feeds[`past.${layer}.${part}`] = new ort.Tensor('float32', new Float32Array(), [1, kvHeads, 0, headDim])
  }
  const logits = (await session.run(feeds, ['logits'])).logits!.data as Float32Array
  return rows.map((_, i) => {
    const weights = Array.from(logits.subarray(i * vocab, (i + 1) * vocab))
    const most = Math.max(...weights)
    const sum = weights.reduce((total, weight) => total + Math.exp(weight - most), 0)
    return weights.map((weight) => Math.exp(weight - most) / sum)
  })
}
