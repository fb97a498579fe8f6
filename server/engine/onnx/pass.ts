/**
 * One forward pass: groups of rows from any number of jobs, packed into one sequence. Who sees whom is the bias: the
 * rows of a group see its context and each other (causally or fully), never another group. So where rows of text and of
 * canvases have a session each, a pass over both is two, and nobody sees anything else.
 */
import * as ort from 'onnxruntime-node'
import type { Positions, Prediction, RowSpan, TokenIds } from '../engine.ts'
import { ContextBuffer, type KeyValueShape, type Run } from './encodings.ts'
import type { Sessions } from './openSessions.ts'
import type { EngineOptions } from './protocol.ts'

/** Rows `[Q]` that belong together. `runs[i]` stands at positions `firstPositions[i]` and up. */
export interface RowGroup {
  readonly ids: TokenIds
  readonly positions: Positions
  readonly runs: readonly Run[]
  readonly firstPositions: readonly number[]
  readonly kind: 'text' | 'canvas'
  readonly sees?: readonly (readonly RowSpan[])[] | undefined // [Q]: rows of `ids`, where the kind does not say it
  readonly askedRows: readonly number[] // indices into `ids`
  readonly scoreIds: TokenIds | undefined // [askedRows]
  readonly logits: boolean
  readonly keep: readonly RowSpan[] // of `ids`
}

/** Rows that are read only to be kept. */
export function textGroup(group: Pick<RowGroup, 'ids' | 'positions' | 'runs' | 'firstPositions' | 'keep'>): RowGroup {
  return { ...group, kind: 'text', askedRows: [], scoreIds: undefined, logits: false }
}

/** Keys and values of some rows: per layer `[kvHeads, count, headDim]`. */
export interface KeptRows {
  readonly count: number
  readonly keys: readonly Float32Array[]
  readonly values: readonly Float32Array[]
}

export interface GroupResult {
  readonly prediction: Omit<Prediction, 'kept'>
  readonly kept: readonly KeptRows[] // one for each span of `keep`
}

const masked = -1e9 // finite: with −Infinity a row that sees nothing becomes NaN
const bufferCount = 2

export class PassRunner {
  private readonly sessions: Sessions
  private readonly options: EngineOptions
  private readonly shape: KeyValueShape
  private readonly buffers: ContextBuffer[] = []
  private readonly empty: ContextBuffer // never written to
  private pass = 0

  constructor(sessions: Sessions, options: EngineOptions) {
    this.sessions = sessions
    this.options = options
    this.shape = options
    this.empty = new ContextBuffer(options)
  }

  async run(groups: readonly RowGroup[], setIds: TokenIds): Promise<GroupResult[]> {
    const { text, canvas } = this.sessions
    if (text === canvas) return this.runOn(text, groups, setIds)
    const [read, denoised] = [
      groups.filter(({ kind }) => kind === 'text'),
      groups.filter(({ kind }) => kind === 'canvas'),
    ]
    const ofText = read.length > 0 ? await this.runOn(text, read, setIds) : []
    const ofCanvases = denoised.length > 0 ? await this.runOn(canvas, denoised, setIds) : []
    return groups.map(({ kind }) => (kind === 'text' ? ofText : ofCanvases).shift()!)
  }

  private async runOn(
    session: ort.InferenceSession,
    groups: readonly RowGroup[],
    setIds: TokenIds,
  ): Promise<GroupResult[]> {
    const { layers, kvHeads, headDim } = this.shape
    const rowCount = groups.reduce((sum, group) => sum + group.ids.length, 0)
    const placements = place(groups)
    const buffers: ContextBuffer[] = []
    for (const placement of placements) buffers.push(this.bufferFor(placement, buffers))
    // Groups whose contexts stand at different positions cannot share columns: each placement has a buffer of its own,
    // and the pass takes them one after the other. One placement is the rule.
    const buffer = buffers.length === 1 ? buffers[0]! : joined(this.shape, buffers)
    const offsets = buffers.map((_, i) => buffers.slice(0, i).reduce((sum, other) => sum + other.capacity, 0))
    const pastCount = buffer.capacity
    const width = pastCount + rowCount

    const inputIds = new BigInt64Array(rowCount)
    const positions = new BigInt64Array(rowCount)
    const pastPositions = new BigInt64Array(pastCount)
    const denoising = new Float32Array(rowCount)
    const bias = new Float32Array(rowCount * width).fill(masked)
    const asked: number[] = []
    const scored: number[] = []
    let firstRow = 0
    for (const group of groups) {
      const at = placements.findIndex((placement) => placement.groups.includes(group))
      const spans: [number, number][] = group.runs.map((run, i) => {
        const column = offsets[at]! + buffers[at]!.columnOf(run)
        for (let j = 0; j < run.count; j++) pastPositions[column + j] = BigInt(group.firstPositions[i]! + j)
        return [column, column + run.count]
      })
      for (let i = 0; i < group.ids.length; i++) {
        const row = firstRow + i
        inputIds[row] = BigInt(group.ids[i]!)
        positions[row] = BigInt(group.positions[i]!)
        denoising[row] = group.kind === 'canvas' ? 1 : 0
        for (const [from, to] of spans) bias.fill(0, row * width + from, row * width + to)
        const seen = group.sees?.[i] ?? [{ first: 0, count: group.kind === 'canvas' ? group.ids.length : i + 1 }]
        const column = row * width + pastCount + firstRow
        for (const { first, count } of seen) bias.fill(0, column + first, column + first + count)
      }
      asked.push(...group.askedRows.map((row) => firstRow + row))
      scored.push(...(group.scoreIds ?? group.askedRows.map(() => 0)))
      firstRow += group.ids.length
    }

    // The head divides by the number of rows: none would end the process.
    const headRows = asked.length > 0 ? asked : [0]
    const scoreIds = asked.length > 0 ? scored : [0]

    const int64 = (data: BigInt64Array, dims: number[]) => new ort.Tensor('int64', data, dims)
    const feeds: Record<string, ort.Tensor> = {
      input_ids: int64(inputIds, [1, rowCount]),
      position_ids: int64(positions, [1, rowCount]),
      past_position_ids: int64(pastPositions, [1, pastCount]),
      attention_bias: new ort.Tensor('float32', bias, [1, 1, rowCount, width]),
      rows: int64(BigInt64Array.from(headRows, BigInt), [1, headRows.length]),
      score_ids: int64(BigInt64Array.from(scoreIds, BigInt), [1, scoreIds.length]),
      set_ids: int64(BigInt64Array.from(setIds.length ? setIds : [0], BigInt), [setIds.length || 1]),
    }
    // With two sessions the adapter, where it is, is in the matrices.
    if (this.options.hasAdapter && this.sessions.text === this.sessions.canvas)
      feeds.denoising = new ort.Tensor('float32', denoising, [1, rowCount])
    for (let layer = 0; layer < layers; layer++) {
      const dims = [1, kvHeads, pastCount, headDim]
      feeds[`past.${layer}.key`] = new ort.Tensor('float32', buffer.keys[layer] ?? new Float32Array(), dims)
      feeds[`past.${layer}.value`] = new ort.Tensor('float32', buffer.values[layer] ?? new Float32Array(), dims)
    }
    const fetches = asked.length > 0 ? ['top_ids', 'top_logprobs', 'entropy', 'set_logprobs'] : []
    if (groups.some(({ scoreIds }) => scoreIds)) fetches.push('score_logprobs')
    if (groups.some(({ logits, askedRows }) => logits && askedRows.length > 0)) fetches.push('logits')
    if (groups.some(({ keep }) => keep.length > 0)) {
      for (let layer = 0; layer < layers; layer++) fetches.push(`present.${layer}.key`, `present.${layer}.value`)
    }
    // Nothing is asked and nothing kept: no pass, and the runtime refuses an empty list.
    const outputs = fetches.length > 0 ? await session.run(feeds, fetches) : {}
    const results = this.split(groups, outputs, rowCount, setIds.length > 0)
    for (const output of Object.values(outputs)) output.dispose()
    return results
  }

  private split(
    groups: readonly RowGroup[],
    outputs: ort.InferenceSession.ReturnType,
    rowCount: number,
    hasSet: boolean,
  ): GroupResult[] {
    const floats = (name: string) => outputs[name]?.data as Float32Array | undefined
    const topIds = outputs.top_ids?.data as BigInt64Array | undefined
    const topLogProbs = floats('top_logprobs')
    if (topLogProbs?.some(Number.isNaN))
      throw new Error('the network answers NaN: its weights are no numbers; run "lacuna model verify"')
    const entropy = floats('entropy')
    const set = floats('set_logprobs')
    const score = floats('score_logprobs')
    const logits = floats('logits')
    const columns = logits ? logits.length / entropy!.length : 0
    const { layers, kvHeads, headDim } = this.shape
    let firstRow = 0
    let firstAsked = 0
    return groups.map((group) => {
      const asked = group.askedRows.map((_, i) => firstAsked + i)
      const top = asked.length ? topIds!.length / (entropy!.length || 1) : 0
      const prediction = {
        topIds: asked.map((row) => Array.from(topIds!.subarray(row * top, (row + 1) * top), Number)),
        topLogProbs: asked.map((row) => Array.from(topLogProbs!.subarray(row * top, (row + 1) * top))),
        entropy: asked.map((row) => entropy![row]!),
        setLogProbs: asked.map((row) => (hasSet ? set![row]! : Number.NEGATIVE_INFINITY)),
        scoreLogProbs: group.scoreIds ? asked.map((row) => score![row]!) : [],
        ...(group.logits ? { logits: asked.map((row) => logits!.slice(row * columns, (row + 1) * columns)) } : {}),
      }
      const slice = (name: string, { first, count }: RowSpan): Float32Array => {
        const data = floats(name)!
        const own = new Float32Array(kvHeads * count * headDim)
        for (let head = 0; head < kvHeads; head++) {
          const start = (head * rowCount + firstRow + first) * headDim
          own.set(data.subarray(start, start + count * headDim), head * count * headDim)
        }
        return own
      }
      const perLayer = (part: 'key' | 'value', span: RowSpan): Float32Array[] =>
        Array.from({ length: layers }, (_, layer) => slice(`present.${layer}.${part}`, span))
      const kept = group.keep.map((span) => ({
        count: span.count,
        keys: perLayer('key', span),
        values: perLayer('value', span),
      }))
      const result = { prediction, kept }
      firstRow += group.ids.length
      firstAsked += group.askedRows.length
      return result
    })
  }

  /** The buffer, none of `taken`, that already holds most of the runs, brought up to date; without runs no columns. */
  private bufferFor({ runs }: Placement, taken: readonly ContextBuffer[]): ContextBuffer {
    if (runs.length === 0) return this.empty
    const free = this.buffers.filter((buffer) => !taken.includes(buffer))
    const total = runs.reduce((sum, run) => sum + run.count, 0)
    let best = free.toSorted((a, b) => b.overlap(runs) - a.overlap(runs))[0]
    if (!best || best.overlap(runs) < total / 2) {
      best = this.buffers.length < bufferCount ? undefined : free.toSorted((a, b) => a.lastUsed - b.lastUsed)[0]
    }
    if (!best) this.buffers.push((best = new ContextBuffer(this.shape)))
    best.hold(runs)
    best.lastUsed = ++this.pass
    return best
  }
}

interface Placement {
  readonly runs: Run[]
  readonly groups: RowGroup[]
}

/** Puts groups together whose contexts agree on where each shared row stands. */
function place(groups: readonly RowGroup[]): Placement[] {
  const placements: {
    runs: Run[]
    groups: RowGroup[]
    positions: Map<Run['segment'], number>
    counts: Map<Run['segment'], number>
  }[] = []
  for (const group of groups) {
    const fits = (placement: (typeof placements)[number]) =>
      group.runs.every(
        (run, i) => (placement.positions.get(run.segment) ?? group.firstPositions[i]) === group.firstPositions[i],
      )
    let placement = placements.find(fits)
    if (!placement) placements.push((placement = { runs: [], groups: [], positions: new Map(), counts: new Map() }))
    placement.groups.push(group)
    for (const [i, run] of group.runs.entries()) {
      placement.positions.set(run.segment, group.firstPositions[i]!)
      const known = placement.runs.findIndex(({ segment }) => segment === run.segment)
      if (known < 0) placement.runs.push(run)
      else if (placement.runs[known]!.count < run.count) placement.runs[known] = run
    }
  }
  return placements
}

/** Buffers side by side, for a pass over several placements. */
function joined(
  shape: KeyValueShape,
  buffers: readonly ContextBuffer[],
): { capacity: number; keys: Float32Array[]; values: Float32Array[] } {
  const { layers, kvHeads, headDim } = shape
  const capacity = buffers.reduce((sum, buffer) => sum + buffer.capacity, 0)
  const join = (part: 'keys' | 'values') =>
    Array.from({ length: layers }, (_, layer) => {
      const to = new Float32Array(kvHeads * capacity * headDim)
      let column = 0
      for (const buffer of buffers) {
        for (let head = 0; head < kvHeads; head++) {
          const size = buffer.capacity * headDim
          to.set(buffer[part][layer]!.subarray(head * size, (head + 1) * size), (head * capacity + column) * headDim)
        }
        column += buffer.capacity
      }
      return to
    })
  return { capacity, keys: join('keys'), values: join('values') }
}
