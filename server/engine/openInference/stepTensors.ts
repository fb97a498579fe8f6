/**
 * The step contract in tensors: what belongs to several jobs lies one after the other, and counts say where a job's part
 * ends. Both directions, since a server of the same contract is part of the tests. Shapes: `serving/README.md`.
 */
import type { RowSpan } from '../engine.ts'
import type { PassAnswer, PassFacts, PassJob, PassPrediction, PassRequest } from './passes.ts'
import { type Datatype, MalformedBody, type Tensor, type Tensors } from './tensors.ts'

/** Version of all that is said here. */
export const stepContract = 'lacuna.step/1'

export interface Slot {
  readonly datatype: Datatype
  readonly shape: readonly number[] // −1: any
}

export const slot = (datatype: Datatype, ...shape: number[]): Slot => ({ datatype, shape })

/** J jobs, N rows, C pieces of context, S spans of what rows see, R asked rows, T sets of M ids, K spans to keep, F handles. */
export const stepInputs = {
  kind: slot('UINT8', -1), // [J] 0 canvas, 1 text
  row_counts: slot('INT32', -1), // [J]
  ids: slot('INT32', -1), // [N]
  positions: slot('INT32', -1), // [N]
  context_counts: slot('INT32', -1), // [J]
  context_handles: slot('INT64', -1), // [C]
  context_spans: slot('INT32', -1, 2), // [C, 2] rows, first position
  sees_counts: slot('INT32', -1), // [N] 0: as the kind says
  sees: slot('INT32', -1, 2), // [S, 2] first row of the job, count
  asked_counts: slot('INT32', -1), // [J]
  asked_rows: slot('INT32', -1), // [R] of the job
  score_ids: slot('INT32', -1), // [R] 0 where none was given
  set_index: slot('INT32', -1), // [J] which set
  set_counts: slot('INT32', -1), // [T]
  set_ids: slot('INT32', -1), // [M]
  wants_logits: slot('UINT8', -1), // [J]
  keep_counts: slot('INT32', -1), // [J]
  keep_handles: slot('INT64', -1), // [K]
  keep_spans: slot('INT32', -1, 2), // [K, 2] first row of the job, count
  release: slot('INT64', -1), // [F]
} as const

export const stepOutputs = {
  missing: slot('INT64', -1), // handles that are not here; then nothing was computed, and all else is empty
  top_ids: slot('INT32', -1, 8), // [R, 8]
  top_logprobs: slot('FP32', -1, 8), // [R, 8]
  entropy: slot('FP32', -1), // [R]
  set_logprobs: slot('FP32', -1), // [R]
  score_logprobs: slot('FP32', -1), // [R]
  logits: slot('FP32', -1, -1), // [rows asked by jobs that want them, vocab]
  facts: slot('BYTES', -1), // [1] JSON, only when there are no jobs
} as const

export const top = 8

export function requestTensors({ jobs, release }: PassRequest): Tensors {
  const sets = new Map<string, { index: number; ids: readonly number[] }>()
  for (const { setIds } of jobs) {
    const key = setIds.join()
    if (!sets.has(key)) sets.set(key, { index: sets.size, ids: setIds })
  }
  const each = <Value>(values: (job: PassJob) => readonly Value[]): Value[] => jobs.flatMap(values)
  const values: Readonly<Record<keyof typeof stepInputs, readonly number[]>> = {
    kind: jobs.map(({ kind }) => (kind === 'text' ? 1 : 0)),
    row_counts: jobs.map(({ ids }) => ids.length),
    ids: each(({ ids }) => ids),
    positions: each(({ positions }) => positions),
    context_counts: jobs.map(({ context }) => context.length),
    context_handles: each(({ context }) => context.map(({ handle }) => handle)),
    context_spans: each(({ context }) => context.flatMap(({ rows, firstPosition }) => [rows, firstPosition])),
    sees_counts: each(({ ids, sees }) => (sees ? sees.map(({ length }) => length) : ids.map(() => 0))),
    sees: each(({ sees = [] }) => sees.flat().flatMap(({ first, count }) => [first, count])),
    asked_counts: jobs.map(({ askedRows }) => askedRows.length),
    asked_rows: each(({ askedRows }) => askedRows),
    score_ids: each(({ askedRows, scoreIds }) => scoreIds ?? askedRows.map(() => 0)),
    set_index: jobs.map(({ setIds }) => sets.get(setIds.join())!.index),
    set_counts: [...sets.values()].map(({ ids }) => ids.length),
    set_ids: [...sets.values()].flatMap(({ ids }) => ids),
    wants_logits: jobs.map(({ logits }) => (logits ? 1 : 0)),
    keep_counts: jobs.map(({ keep }) => keep.length),
    keep_handles: each(({ keep }) => keep.map(({ handle }) => handle)),
    keep_spans: each(({ keep }) => keep.flatMap(({ first, count }) => [first, count])),
    release,
  }
  return Object.fromEntries(
    Object.entries(stepInputs).map(([name, { datatype, shape }]) => {
      const data = values[name as keyof typeof stepInputs]
      return [name, { datatype, shape: shape.length > 1 ? [data.length / 2, 2] : [data.length], data }]
    }),
  )
}

/** @throws {MalformedBody} when tensors are missing, of another kind, or do not fit together. */
export function readRequest(tensors: Tensors): PassRequest {
  const read = (name: keyof typeof stepInputs): number[] => [...(checked(tensors, name, stepInputs[name]) as number[])]
  const kinds = read('kind')
  const cursorOf = (name: keyof typeof stepInputs) => new Cursor(name, read(name))
  const pairsOf = (name: keyof typeof stepInputs) => new Cursor(name, pairs(read(name)))
  const [rowCounts, contextCounts, askedCounts, keepCounts, logits, setIndex] = (
    ['row_counts', 'context_counts', 'asked_counts', 'keep_counts', 'wants_logits', 'set_index'] as const
  ).map((name) => new Cursor(name, read(name))) as [Cursor, Cursor, Cursor, Cursor, Cursor, Cursor]
  const [ids, positions, seesCounts] = [cursorOf('ids'), cursorOf('positions'), cursorOf('sees_counts')]
  const [handles, spans, sees] = [cursorOf('context_handles'), pairsOf('context_spans'), pairsOf('sees')]
  const [asked, scores, keepHandles, keepSpans] = [
    ...[cursorOf('asked_rows'), cursorOf('score_ids')],
    ...[cursorOf('keep_handles'), pairsOf('keep_spans')],
  ] as [Cursor, Cursor, Cursor, Cursor<[number, number]>]
  const setIds = cursorOf('set_ids')
  const sets = read('set_counts').map((count) => setIds.take(count))
  const jobs = kinds.map((kind): PassJob => {
    const rows = rowCounts.one()
    const counts = seesCounts.take(rows)
    const seen = counts.map((count) => sees.take(count).map(([first, count]): RowSpan => ({ first, count })))
    const askedCount = askedCounts.one()
    const [contextCount, keepCount, set] = [contextCounts.one(), keepCounts.one(), sets[setIndex.one()]]
    if (!set) throw new MalformedBody('set_index: there is no such set')
    return {
      kind: kind === 1 ? 'text' : 'canvas',
      ids: ids.take(rows),
      positions: positions.take(rows),
      context: zip(handles.take(contextCount), spans.take(contextCount), (handle, [rows, firstPosition]) => ({
        ...{ handle, rows, firstPosition },
      })),
      sees: counts.some((count) => count > 0) ? seen : undefined,
      askedRows: asked.take(askedCount),
      scoreIds: scores.take(askedCount),
      setIds: set,
      logits: logits.one() === 1,
      keep: zip(keepHandles.take(keepCount), keepSpans.take(keepCount), (handle, [first, count]) => ({
        ...{ handle, first, count },
      })),
    }
  })
  for (const cursor of [ids, positions, handles, spans, sees, asked, scores, keepHandles, keepSpans, setIds])
    cursor.end()
  return { jobs, release: read('release') }
}

export function answerTensors(answer: PassAnswer, vocab: number): Tensors {
  const predictions = answer.kind === 'predictions' ? answer.predictions : []
  const each = <Value>(values: (one: PassPrediction) => readonly Value[]): Value[] => predictions.flatMap(values)
  const entropy = each((one) => one.entropy)
  const logits = each((one) => one.logits ?? [])
  const flat = new Float32Array(logits.length * vocab)
  for (const [i, row] of logits.entries()) flat.set(row, i * vocab)
  const tensor = ({ datatype }: Slot, shape: number[], data: Tensor['data']): Tensor => ({ datatype, shape, data })
  const missing = answer.kind === 'missing' ? answer.handles : []
  const of = stepOutputs
  return {
    missing: tensor(of.missing, [missing.length], missing),
    top_ids: tensor(of.top_ids, [entropy.length, top], each((one) => one.topIds).flat()),
    top_logprobs: tensor(of.top_logprobs, [entropy.length, top], each((one) => one.topLogProbs).flat()),
    entropy: tensor(of.entropy, [entropy.length], entropy),
    set_logprobs: tensor(
      of.set_logprobs,
      [entropy.length],
      each((one) => one.setLogProbs),
    ),
    score_logprobs: tensor(
      of.score_logprobs,
      [entropy.length],
      each((one) => (one.scoreLogProbs.length > 0 ? one.scoreLogProbs : one.entropy.map(() => 0))),
    ),
    logits: tensor(of.logits, [logits.length, vocab], flat),
  }
}

/**
 * @param vocab ids the head scores: 0 … vocab-1.
 * @throws {MalformedBody} when the answer is not one to this request, or not of this vocabulary.
 */
export function readAnswer(tensors: Tensors, { jobs }: PassRequest, vocab: number): PassAnswer {
  const read = (name: keyof typeof stepOutputs) => checked(tensors, name, stepOutputs[name]) as readonly number[]
  const missing = read('missing')
  if (missing.length > 0) return { kind: 'missing', handles: [...missing] }
  checkIds('top_ids', read('top_ids'), vocab)
  const [ids, logProbs] = [new Cursor('top_ids', rows(read('top_ids'), top)), rowsOf('top_logprobs', top)]
  const [entropy, set, score] = (['entropy', 'set_logprobs', 'score_logprobs'] as const).map(
    (name) => new Cursor(name, [...read(name)]),
  ) as [Cursor, Cursor, Cursor]
  const wantLogits = jobs.some((job) => job.logits && job.askedRows.length > 0)
  const logits = wantLogits ? rowsOf('logits', vocab) : undefined
  if (wantLogits && tensors.logits?.shape[1] !== vocab)
    throw new MalformedBody(`logits: wanted rows of ${vocab}, found ${tensors.logits?.shape[1]}`)
  const predictions = jobs.map(({ askedRows: { length: count }, scoreIds, logits: wanted }): PassPrediction => {
    const scores = score.take(count)
    const whole = wanted ? { logits: (logits?.take(count) ?? []).map((row) => Float32Array.from(row)) } : {}
    return {
      topIds: ids.take(count),
      topLogProbs: logProbs.take(count),
      entropy: entropy.take(count),
      setLogProbs: set.take(count),
      scoreLogProbs: scoreIds ? scores : [],
      ...whole,
    }
  })
  for (const cursor of [ids, logProbs, entropy, set, score]) cursor.end()
  if (predictions.some((one) => one.entropy.some(Number.isNaN))) throw new MalformedBody('the network answers NaN')
  return { kind: 'predictions', predictions }

  function rowsOf(name: keyof typeof stepOutputs, width: number): Cursor<number[]> {
    return new Cursor(name, rows(read(name), width))
  }
}

export function factsTensor(facts: PassFacts): Tensor {
  return { ...stepOutputs.facts, shape: [1], data: [JSON.stringify({ contract: stepContract, ...facts })] }
}

/** @throws {MalformedBody} for facts of another contract, or none. */
export function readFacts(tensors: Tensors): PassFacts {
  const [text] = checked(tensors, 'facts', stepOutputs.facts) as readonly string[]
  let facts: Record<string, unknown>
  try {
    facts = JSON.parse(text ?? '') as Record<string, unknown>
  } catch (error) {
    throw new MalformedBody('facts: no JSON', { cause: error })
  }
  if (facts.contract !== stepContract)
    throw new MalformedBody(`facts: wanted the contract ${stepContract}, found ${String(facts.contract)}`)
  for (const key of ['vocab', 'inputIds', 'maxPositions', 'maskId', 'rowBytes', 'passRows']) {
    if (!Number.isSafeInteger(facts[key]) || (facts[key] as number) < 1)
      throw new MalformedBody(`facts: ${key} is ${String(facts[key])}`)
  }
  for (const key of ['name', 'tokenizer', 'weights'])
    if (typeof facts[key] !== 'string') throw new MalformedBody(`facts: ${key} is ${String(facts[key])}`)
  if (facts.logitsShift !== 0 && facts.logitsShift !== 1)
    throw new MalformedBody(`facts: logitsShift is ${String(facts.logitsShift)}`)
  return facts as unknown as PassFacts
}

/** @throws {MalformedBody} for what the head does not score. */
export function checkIds(name: string, ids: readonly number[], vocab: number): void {
  const stranger = ids.find((id) => !(id >= 0 && id < vocab))
  if (stranger !== undefined)
    throw new MalformedBody(`${name}: ${stranger} is no id of the vocabulary, 0 … ${vocab - 1}`)
}

export function checked(tensors: Tensors, name: string, { datatype, shape }: Slot): Tensor['data'] {
  const tensor = tensors[name]
  if (!tensor) throw new MalformedBody(`${name}: missing`)
  const fits = shape.length === tensor.shape.length && shape.every((dim, i) => dim < 0 || dim === tensor.shape[i])
  if (tensor.datatype !== datatype || !fits)
    throw new MalformedBody(
      `${name}: wanted ${datatype} [${shape.join()}], found ${tensor.datatype} [${tensor.shape.join()}]`,
    )
  return tensor.data
}

export function rows(values: ArrayLike<number>, width: number): number[][] {
  return Array.from({ length: width > 0 ? Math.floor(values.length / width) : 0 }, (_, i) =>
    Array.from({ length: width }, (_, j) => values[i * width + j]!),
  )
}

function pairs(values: readonly number[]): [number, number][] {
  return rows(values, 2) as [number, number][]
}

function zip<A, B, C>(left: readonly A[], right: readonly B[], join: (a: A, b: B) => C): C[] {
  return left.map((value, i) => join(value, right[i]!))
}

/** Values that are taken one after the other, and must be used up. */
class Cursor<Value = number> {
  private readonly name: string
  private readonly values: readonly Value[]
  private at = 0

  constructor(name: string, values: readonly Value[]) {
    this.name = name
    this.values = values
  }

  take(count: number): Value[] {
    const taken = this.values.slice(this.at, this.at + count)
    if (!(count >= 0) || taken.length !== count)
      throw new MalformedBody(`${this.name}: wanted ${count} more, found ${this.values.length - this.at}`)
    this.at += count
    return taken
  }

  one(): Value {
    return this.take(1)[0]!
  }

  end(): void {
    if (this.at !== this.values.length)
      throw new MalformedBody(`${this.name}: ${this.values.length - this.at} belong to nothing`)
  }
}
