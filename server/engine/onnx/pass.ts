/**
 * One forward pass: groups of rows from any number of jobs. Those over the same context are packed into one sequence; those of
 * other contexts are further sequences of a batch. Who sees whom is the bias: the rows of a group see its context and each other
 * (causally or fully), never another group. So where rows of text and of canvases have a session each, a pass over both is two,
 * and nobody sees anything else.
 */
import * as ort from 'onnxruntime-node'
import type { Positions, Prediction, RowSpan, TokenIds } from '../engine.ts'
import { DevicePast } from './devicePast.ts'
import { ContextBuffer, type KeyValueShape, type Run, rowsIn } from './encodings.ts'
import { type HeldLanes, Lanes } from './lanes.ts'
import { releaseSessions, type Sessions } from './openSessions.ts'
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
const mostPadded = 1.5 // times the rows that there are; beyond, each lane has a pass of its own
const lanesKept = 64 // passes without any, after which their memory is given back

export class PassRunner {
  private readonly sessions: Sessions
  private readonly options: EngineOptions
  private readonly shape: KeyValueShape
  private readonly buffers: ContextBuffer[] = []
  private readonly empty: ContextBuffer // never written to
  private readonly devicePast: DevicePast | undefined
  private pass = 0
  private lanes: Lanes | undefined
  private sinceLanes = 0

  constructor(sessions: Sessions, options: EngineOptions) {
    this.sessions = sessions
    this.options = options
    this.shape = options
    this.empty = new ContextBuffer(options)
    this.devicePast = sessions.carrier && new DevicePast(sessions.carrier)
  }

  /** Closes the sessions too. */
  async release(): Promise<void> {
    this.devicePast?.drop()
    await releaseSessions(this.sessions)
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

  /** Groups that share a context are one lane of a batch, rows one after the other; others have a lane of their own. */
  private async runOn(
    session: ort.InferenceSession,
    groups: readonly RowGroup[],
    setIds: TokenIds,
  ): Promise<GroupResult[]> {
    const lanes = lanesOf(groups)
    const widest = Math.max(...lanes.map(({ rows }) => rows))
    const padded = widest * lanes.length > mostPadded * lanes.reduce((sum, { rows }) => sum + rows, 0)
    const results = new Map<RowGroup, GroupResult>()
    for (const together of padded ? lanes.map((lane) => [lane]) : [lanes])
      for (const [group, result] of await this.runLanes(session, together, setIds)) results.set(group, result)
    return groups.map((group) => results.get(group)!)
  }

  private async runLanes(
    session: ort.InferenceSession,
    lanes: readonly Lane[],
    setIds: TokenIds,
  ): Promise<(readonly [RowGroup, GroupResult])[]> {
    const { layers, kvHeads, headDim } = this.shape
    const { held, ...past } = this.hold(lanes)
    const pastCount = past.capacity
    const batch = lanes.length
    const rowCount = Math.max(...lanes.map(({ rows }) => rows))
    const width = pastCount + rowCount
    // The head divides by the number of rows: none would end the process.
    const askedCount = Math.max(1, ...lanes.map(({ groups }) => askedIn(groups)))

    const inputIds = new BigInt64Array(batch * rowCount)
    const positions = new BigInt64Array(batch * rowCount)
    const pastPositions = new BigInt64Array(batch * pastCount)
    const denoising = new Float32Array(batch * rowCount)
    const bias = new Float32Array(batch * rowCount * width).fill(masked)
    const headRows = new BigInt64Array(batch * askedCount)
    const scoreIds = new BigInt64Array(batch * askedCount)
    const placed: Placed[] = []
    for (const [i, { groups }] of lanes.entries()) {
      const { lane, buffer } = held[i]!
      let [firstRow, firstAsked] = [0, lane * askedCount]
      for (const group of groups) {
        const spans: [number, number][] = group.runs.map((run, i) => {
          const column = buffer.columnOf(run)
          for (let j = 0; j < run.count; j++)
            pastPositions[lane * pastCount + column + j] = BigInt(group.firstPositions[i]! + j)
          return [column, column + run.count]
        })
        for (let i = 0; i < group.ids.length; i++) {
          const row = lane * rowCount + firstRow + i
          inputIds[row] = BigInt(group.ids[i]!)
          positions[row] = BigInt(group.positions[i]!)
          denoising[row] = group.kind === 'canvas' ? 1 : 0
          for (const [from, to] of spans) bias.fill(0, row * width + from, row * width + to)
          const seen = group.sees?.[i] ?? [{ first: 0, count: group.kind === 'canvas' ? group.ids.length : i + 1 }]
          const column = row * width + pastCount + firstRow
          for (const { first, count } of seen) bias.fill(0, column + first, column + first + count)
        }
        for (const [i, row] of group.askedRows.entries()) {
          headRows[firstAsked + i] = BigInt(firstRow + row)
          scoreIds[firstAsked + i] = BigInt(group.scoreIds?.[i] ?? 0)
        }
        placed.push({ group, lane, firstRow, firstAsked })
        firstRow += group.ids.length
        firstAsked += group.askedRows.length
      }
    }

    const int64 = (data: BigInt64Array, dims: number[]) => new ort.Tensor('int64', data, dims)
    const feeds: Record<string, ort.Tensor> = {
      input_ids: int64(inputIds, [batch, rowCount]),
      position_ids: int64(positions, [batch, rowCount]),
      past_position_ids: int64(pastPositions, [batch, pastCount]),
      attention_bias: new ort.Tensor('float32', bias, [batch, 1, rowCount, width]),
      rows: int64(headRows, [batch, askedCount]),
      score_ids: int64(scoreIds, [batch, askedCount]),
      set_ids: int64(BigInt64Array.from(setIds.length ? setIds : [0], BigInt), [setIds.length || 1]),
    }
    // With two sessions the adapter, where it is, is in the matrices.
    if (this.options.hasAdapter && this.sessions.text === this.sessions.canvas)
      feeds.denoising = new ort.Tensor('float32', denoising, [batch, rowCount])
    const pastFeeds: Record<string, ort.Tensor> = {}
    for (let layer = 0; layer < layers; layer++) {
      const dims = [batch, kvHeads, pastCount, headDim]
      pastFeeds[`past.${layer}.key`] = new ort.Tensor('float32', past.keys[layer] ?? new Float32Array(), dims)
      pastFeeds[`past.${layer}.value`] = new ort.Tensor('float32', past.values[layer] ?? new Float32Array(), dims)
    }
    const stays = this.devicePast && batch === 1 && pastCount > 0
    Object.assign(feeds, stays ? await this.devicePast!.of(held[0]!.buffer, pastFeeds) : pastFeeds)
    const all = placed.map(({ group }) => group)
    const fetches = askedIn(all) > 0 ? ['top_ids', 'top_logprobs', 'entropy', 'set_logprobs'] : []
    if (all.some(({ scoreIds }) => scoreIds)) fetches.push('score_logprobs')
    if (all.some(({ logits, askedRows }) => logits && askedRows.length > 0)) fetches.push('logits')
    if (all.some(({ keep }) => keep.length > 0)) {
      for (let layer = 0; layer < layers; layer++) fetches.push(`present.${layer}.key`, `present.${layer}.value`)
    }
    // Nothing is asked and nothing kept: no pass, and the runtime refuses an empty list.
    const outputs = fetches.length > 0 ? await session.run(feeds, fetches) : {}
    const results = this.split(placed, outputs, rowCount, setIds.length > 0)
    for (const output of Object.values(outputs)) output.dispose()
    return results
  }

  private split(
    placed: readonly Placed[],
    outputs: ort.InferenceSession.ReturnType,
    rowCount: number,
    hasSet: boolean,
  ): (readonly [RowGroup, GroupResult])[] {
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
    return placed.map(({ group, lane, firstRow, firstAsked }) => {
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
          const start = ((lane * kvHeads + head) * rowCount + firstRow + first) * headDim
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
      return [group, { prediction, kept }]
    })
  }

  /** One lane lies in a buffer that outlives the pass; several lie one above the other, for as long as there are several. */
  private hold(lanes: readonly Lane[]): HeldLanes {
    if (lanes.length > 1) {
      this.sinceLanes = 0
      this.lanes ??= new Lanes(this.shape)
      return this.lanes.hold(lanes.map(({ runs }) => runs))
    }
    if (++this.sinceLanes > lanesKept) this.lanes = undefined
    const buffer = this.bufferFor(lanes[0]!.runs)
    const { capacity, keys, values } = buffer
    return { held: [{ lane: 0, buffer }], capacity, keys, values }
  }

  /** The one that already holds most of the runs, brought up to date; without runs no columns. */
  private bufferFor(runs: readonly Run[]): ContextBuffer {
    if (runs.length === 0) return this.empty
    let best = this.buffers.toSorted((a, b) => b.overlap(runs) - a.overlap(runs))[0]
    if (!best || best.overlap(runs) < rowsIn(runs) / 2) {
      best = this.buffers.length < bufferCount ? undefined : this.buffers.toSorted((a, b) => a.lastUsed - b.lastUsed)[0]
    }
    if (!best) this.buffers.push((best = new ContextBuffer(this.shape)))
    best.hold(runs)
    best.lastUsed = ++this.pass
    return best
  }
}

/** Groups whose rows stand in one sequence, and all that they see. */
interface Lane {
  readonly runs: readonly Run[]
  readonly groups: readonly RowGroup[]
  readonly rows: number
}

/** Where a group stands: its first row in its lane, its first asked row among all. */
interface Placed {
  readonly group: RowGroup
  readonly lane: number
  readonly firstRow: number
  readonly firstAsked: number
}

function askedIn(groups: readonly RowGroup[]): number {
  return groups.reduce((sum, { askedRows }) => sum + askedRows.length, 0)
}

/** Puts groups together that have some of their context in common, and agree on where it stands; and those without any. */
function lanesOf(groups: readonly RowGroup[]): Lane[] {
  const lanes: { runs: Run[]; groups: RowGroup[]; rows: number; positions: Map<Run['segment'], number> }[] = []
  for (const group of groups) {
    const agrees = ({ positions }: (typeof lanes)[number]) => {
      const shared = group.runs.map(({ segment }) => positions.get(segment))
      return (
        (group.runs.length === 0 ? positions.size === 0 : shared.some((position) => position !== undefined)) &&
        shared.every((position, i) => position === undefined || position === group.firstPositions[i])
      )
    }
    let lane = lanes.find(agrees)
    if (!lane) lanes.push((lane = { runs: [], groups: [], rows: 0, positions: new Map() }))
    lane.groups.push(group)
    lane.rows += group.ids.length
    for (const [i, run] of group.runs.entries()) {
      lane.positions.set(run.segment, group.firstPositions[i]!)
      const known = lane.runs.findIndex(({ segment }) => segment === run.segment)
      if (known < 0) lane.runs.push(run)
      else if (lane.runs[known]!.count < run.count) lane.runs[known] = run
    }
  }
  return lanes
}
