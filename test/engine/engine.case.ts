/**
 * What every engine promises, as tests. "Same" means log-probabilities within 1e-4: the order in which a sum is taken
 * may differ.
 */
import { setMaxListeners } from 'node:events'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Aborted, EngineError } from '../../server/base/errors.ts'
import type { ContextPiece, Encoding, Engine, Prediction, StepJob, TokenIds } from '../../server/engine/engine.ts'

export interface EngineUnderTest {
  readonly engine: Engine
  readonly vocab: number // ids that are predicted: 0 … vocab-1
  readonly inputIds: number // ids that may stand in a canvas: 0 … inputIds-1
  readonly maxPositions: number // rows may stand at 0 … maxPositions-1
  readonly maskId: number
  readonly logitsShift: 0 | 1
}

export interface EngineSuite {
  readonly name: string
  readonly open: () => Promise<EngineUnderTest>
  /**
   * Activations are rounded to 8 bits per row. Where the order of a sum decides a rounding, a row parts by more than the
   * tolerance; allowed for at most one row in ten, and never by more than 0.5.
   */
  readonly roundsActivations?: boolean
  /** Reasons by the title of a test. */
  readonly skip?: Readonly<Record<string, string>>
}

const never = new AbortController().signal
setMaxListeners(0, never)

const tolerance = 1e-4

export function runEngineSuite({ name, open, roundsActivations = false, skip = {} }: EngineSuite): void {
  describe(name, () => {
    let it: EngineUnderTest
    let engine: Engine
    const differences: number[] = [] // of rows that are to be the same
    beforeAll(async () => {
      it = await open()
      engine = it.engine
    })
    afterAll(async () => {
      await engine?.close()
      const parted = differences.filter((difference) => difference > tolerance).length
      const largest = Math.max(...differences).toExponential(1)
      process.stderr.write(`${name}: ${differences.length} rows, largest difference ${largest}, ${parted} above 1e-4\n`)
      expect(parted).toBeLessThanOrEqual(roundsActivations ? differences.length / 10 : 0)
    })
    const pin = (title: string, body: () => Promise<void>) =>
      skip[title] ? test.skip(`${title} (${skip[title]})`, body) : test(title, body)

    const ids = (seed: number, count: number): number[] => someIds(seed, count, it.maskId)
    const encode = async (sequence: TokenIds): Promise<Encoding> =>
      (await engine.encode([{ ids: sequence }], never))[0]!
    const context = ({ id, rows }: Encoding, firstPosition: number): ContextPiece => ({ id, rows, firstPosition })
    const one = async (job: StepJob): Promise<Prediction> => (await engine.step([job], never))[0]!
    /** A canvas of `count` rows from position `first` on: one known token, then masks; every slot is asked. */
    const canvas = (seed: number, first: number, count: number, pieces: readonly ContextPiece[] = []): StepJob => ({
      ids: [ids(seed, 1)[0]!, ...Array<number>(count - 1).fill(it.maskId)],
      positions: range(first, count),
      context: pieces,
      asked: range(first + 1, count - 1),
      setIds: [5, 7],
    })
    const expectSame = (found: Prediction, wanted: Prediction, what = ''): void => {
      const parts = rowDifferences(found, wanted)
      differences.push(...parts)
      for (const difference of parts) expect(difference, what).toBeLessThan(roundsActivations ? 0.5 : tolerance)
    }

    pin('answers branches of a tree of rows as if each stood alone behind the trunk', async () => {
      if (it.logitsShift !== 1) return
      const piece = context(await encode(ids(40, 7)), 0)
      const [trunk, branch] = [ids(41, 3), ids(42, 2)]
      const masks = [it.maskId, it.maskId]
      const span = (first: number, count: number) => ({ first, count })
      const causal = trunk.map((_, i) => [span(0, i + 1)])
      const tree = await one({
        ids: [...trunk, ...branch, ...masks],
        positions: [7, 8, 9, 10, 11, 10, 11],
        context: [piece],
        sees: [...causal, [span(0, 4)], [span(0, 5)], [span(0, 3), span(5, 2)], [span(0, 3), span(5, 2)]],
        asked: [],
        askedRows: [1, 2, 3, 4, 5, 6],
        setIds: [5, 7],
        keep: [span(0, 3)],
      })
      const line = [...trunk, ...branch]
      const alone = await one({
        ...{ ids: line, positions: range(7, 5), context: [piece], setIds: [5, 7] },
        ...{ sees: line.map((_, i) => [span(0, i + 1)]), asked: range(9, 4) },
      })
      expectSame(pick(tree, range(0, 4)), alone, 'trunk and first branch')
      const keptTrunk = { ...tree.kept[0]!, firstPosition: 7 }
      const open = await one({
        ...{ ids: masks, positions: [10, 11], context: [piece, keptTrunk], setIds: [5, 7], asked: [11, 12] },
      })
      expectSame(pick(tree, [4, 5]), open, 'second branch, over the kept trunk')
      engine.release([keptTrunk.id, piece.id])
    })

    pin('refuses rows that see what is not there, or not themselves', async () => {
      const job = { ids: ids(43, 2), positions: [0, 1], context: [], asked: [1], setIds: [] }
      const of = (...sees: { first: number; count: number }[][]) => one({ ...job, sees })
      await expect(of([{ first: 0, count: 1 }])).rejects.toThrow(RangeError)
      await expect(of([{ first: 0, count: 1 }], [{ first: 1, count: 2 }])).rejects.toThrow(RangeError)
      await expect(of([{ first: 0, count: 1 }], [{ first: 0, count: 1 }])).rejects.toThrow(RangeError)
      await expect(one({ ...job, askedRows: [2] })).rejects.toThrow(RangeError)
    })

    pin('asks the row that scores a position: the one before it with shifted logits, else its own', async () => {
      const job = { ids: ids(1, 5), positions: range(10, 5), context: [], setIds: [] }
      const [first, last] = [10 + it.logitsShift, 14 + it.logitsShift]
      const edges = await one({ ...job, asked: [first, last] })
      expect(edges.topIds).toHaveLength(2)
      await expect(one({ ...job, asked: [first - 1] })).rejects.toThrow(RangeError)
      await expect(one({ ...job, asked: [last + 1] })).rejects.toThrow(RangeError)
      expectSame(await one({ ...job, asked: [last, first] }), pick(edges, [1, 0]))
    })

    pin(
      'gives each asked row its own prediction, whatever part of a canvas is asked and in whatever order',
      async () => {
        const prefix = await encode(ids(2, 40))
        const job = canvas(3, 40, 12, [context(prefix, 0)])
        const all = await one(job)
        expectSame(await one({ ...job, asked: [45, 46, 47, 48] }), pick(all, [4, 5, 6, 7]))
        expectSame(await one({ ...job, asked: [48, 45, 51] }), pick(all, [7, 4, 10]))
        expect(differenceOf(pick(all, [4]), pick(all, [5]))).toBeGreaterThan(tolerance)
        engine.release([prefix.id])
      },
    )

    pin('answers in eight ids, best first, with entropy and the mass of a set', async () => {
      const job = canvas(4, 0, 9)
      const prediction = await one(job)
      for (const [row, top] of prediction.topIds.entries()) {
        const logProbs = prediction.topLogProbs[row]!
        expect(new Set(top).size).toBe(8)
        expect(top.every((id) => id >= 0 && id < it.vocab)).toBe(true)
        expect(logProbs).toEqual(logProbs.toSorted((a, b) => b - a))
        expect(prediction.entropy[row]).toBeGreaterThan(0)
        expect(prediction.entropy[row]).toBeLessThanOrEqual(Math.log(it.vocab) + 1e-4)
      }
      const [best, second] = prediction.topIds[0]! as [number, number]
      const asked = [job.asked[0]!]
      const [a, b] = prediction.topLogProbs[0]! as [number, number]
      const mass = async (setIds: TokenIds) => (await one({ ...job, asked, setIds })).setLogProbs[0]!
      expect(await mass([best])).toBeCloseTo(a, 3)
      expect(await mass([second, best])).toBeCloseTo(Math.log(Math.exp(a) + Math.exp(b)), 3)
      expect(await mass(range(0, it.vocab))).toBeCloseTo(0, 3)
      expect(await mass([])).toBe(Number.NEGATIVE_INFINITY)
    })

    pin('scores the tokens it is given, and tells the whole distribution to who wants it', async () => {
      const job = { ...canvas(4, 0, 5), scoreIds: [0, 9, 1, it.vocab - 1] }
      const [scored, whole, plain] = (await engine.step([job, { ...job, logits: true }, canvas(4, 0, 5)], never)) as [
        Prediction,
        Prediction,
        Prediction,
      ]
      expect([scored.logits, plain.logits, plain.scoreLogProbs]).toEqual([undefined, undefined, []])
      expectSame(scored, { ...whole, scoreLogProbs: scored.scoreLogProbs })
      for (const [row, logits] of whole.logits!.entries()) {
        expect(logits).toHaveLength(it.vocab)
        const normalizer = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0))
        for (const [k, id] of whole.topIds[row]!.entries())
          expect(logits[id]! - normalizer).toBeCloseTo(whole.topLogProbs[row]![k]!, 3)
        expect(logits[job.scoreIds[row]!]! - normalizer).toBeCloseTo(whole.scoreLogProbs[row]!, 3)
      }
      await expect(one({ ...job, scoreIds: [1] })).rejects.toThrow(/one for each/)
      await expect(one({ ...job, scoreIds: [1, 2, 3, it.vocab] })).rejects.toThrow(RangeError)
    })

    pin('reads text as it encodes it: no row sees what comes after, and what is kept is an encoding', async () => {
      const sequence = ids(60, 24)
      const asked = range(it.logitsShift, 24)
      const whole = await one({ kind: 'text', ids: sequence, positions: range(0, 24), context: [], asked, setIds: [5] })
      const half = await encode(sequence.slice(0, 12))
      const changed = [...sequence.slice(12, 18), ...ids(61, 6)]
      const rest = await one({
        kind: 'text',
        ids: changed,
        positions: range(12, 12),
        context: [context(half, 0)],
        asked: asked.slice(12, 18),
        setIds: [5],
        keep: [{ first: 0, count: 6 }],
      })
      expectSame({ ...rest, kept: [] }, pick(whole, range(12, 6)))
      const read = await encode(sequence.slice(0, 18))
      const [first, second] = [context(half, 0), context(rest.kept[0]!, 12)]
      const onEncoded = await one(canvas(62, 18, 5, [context(read, 0)]))
      expectSame(await one(canvas(62, 18, 5, [first, second])), onEncoded)
      engine.release([half.id, read.id, rest.kept[0]!.id])
    })

    pin('steps a batch as it steps its jobs one by one', async () => {
      const [left, other, right] = (await engine.encode(
        [{ ids: ids(5, 70) }, { ids: ids(6, 33) }, { ids: ids(7, 20) }],
        never,
      )) as [Encoding, Encoding, Encoding]
      const [a, b, c] = [context(left, 0), context(other, 0), (at: number) => context(right, at)]
      const batches: Record<string, StepJob[]> = {
        'other contexts': [canvas(8, 70, 9, [a]), canvas(9, 33, 9, [b])],
        'the same context': [canvas(8, 70, 9, [a, c(79)]), canvas(9, 70, 9, [a, c(79)])],
        'the same context elsewhere': [canvas(8, 70, 9, [c(79), a]), canvas(9, 33, 9, [c(42), b])],
        'more and fewer rows of a context': [
          canvas(8, 70, 9, [a]),
          canvas(8, 30, 9, [{ ...a, rows: 30 }]),
          canvas(8, 65, 5, [{ ...a, rows: 65 }]),
        ],
        'other lengths': [canvas(8, 70, 17, [a, c(87)]), canvas(9, 33, 3, [b]), canvas(10, 0, 2)],
        'rows of text between canvases': [
          canvas(8, 70, 9, [a, c(79)]),
          { ...canvas(9, 70, 5, [a]), kind: 'text' },
          canvas(10, 33, 4, [b]),
          { ...canvas(11, 33, 3, [b]), kind: 'text' },
        ],
        'other counts of asked rows': [
          { ...canvas(8, 70, 9, [a]), asked: [71] },
          { ...canvas(9, 33, 9, [b]), asked: [34, 35, 36, 41] },
        ],
        'one that asks nothing': [{ ...canvas(8, 70, 9, [a]), asked: [] }, canvas(9, 33, 9, [b])],
        'other sets': [
          { ...canvas(8, 70, 9, [a]), setIds: [1, 2, 3] },
          { ...canvas(9, 33, 9, [b]), setIds: [] },
          canvas(8, 70, 9, [a]),
        ],
        'more rows than a pass has': Array.from({ length: 6 }, (_, i) => canvas(20 + i, 70, 17, [a, c(87)])),
        'five places for one context': Array.from({ length: 5 }, (_, i) => canvas(30 + i, 100 - i, 5, [c(50 + i)])),
      }
      for (const [what, jobs] of Object.entries(batches)) {
        const together = await engine.step(jobs, never)
        expect(together).toHaveLength(jobs.length)
        for (const [i, job] of jobs.entries()) expectSame(together[i]!, await one(job), `${what}, job ${i}`)
      }
      expect(await engine.step([], never)).toEqual([])
      const nothing = await one({ ...canvas(8, 70, 9, [a]), asked: [] })
      expect(nothing).toEqual({
        topIds: [],
        topLogProbs: [],
        entropy: [],
        setLogProbs: [],
        scoreLogProbs: [],
        kept: [],
      })
      engine.release([left.id, other.id, right.id])
    })

    pin('takes a past of 0, 1 and 300 rows, the order of its pieces being free', async () => {
      const without = await one(canvas(11, 0, 9))
      const [nothing] = await engine.encode([{ ids: [] }], never)
      expect(nothing!.rows).toBe(0)
      expectSame(await one(canvas(11, 0, 9, [context(nothing!, 0)])), without)

      const single = await encode(ids(12, 1))
      const withOne = await one(canvas(11, 1, 9, [context(single, 0)]))
      expect(differenceOf(withOne, without)).toBeGreaterThan(tolerance)

      const [long, suffix] = await engine.encode([{ ids: ids(13, 300) }, { ids: ids(14, 30) }], never)
      expect([long!.rows, suffix!.rows]).toEqual([300, 30])
      const pieces = [context(long!, 0), context(suffix!, 309)]
      const forwards = await one(canvas(11, 300, 9, pieces))
      expectSame(await one(canvas(11, 300, 9, pieces.toReversed())), forwards)
      expect(differenceOf(await one(canvas(11, 300, 9, pieces.slice(0, 1))), forwards)).toBeGreaterThan(tolerance)
      expectSame(await one(canvas(11, 0, 9)), without, 'after a long one')
      engine.release([nothing!.id, single.id, long!.id, suffix!.id])
    })

    pin('encodes at once, bit by bit and one by one to the same', async () => {
      const sequence = ids(15, 150)
      const whole = await encode(sequence)
      const asked = async (encoding: Encoding) => one(canvas(16, 150, 9, [context(encoding, 0)]))
      const wanted = await asked(whole)
      const made = [whole.id]
      for (const cuts of [[64, 128], [1, 2, 66], [149], range(1, 149)]) {
        let encoding: Encoding | undefined
        for (const [i, from] of [0, ...cuts].entries()) {
          const chunk = sequence.slice(from, cuts[i] ?? sequence.length)
          const [next] = await engine.encode([encoding ? { ids: chunk, after: encoding.id } : { ids: chunk }], never)
          encoding = next!
          made.push(encoding.id)
        }
        expect(encoding!.rows).toBe(150)
        expectSame(await asked(encoding!), wanted, `cut at ${cuts.slice(0, 3).join()} …`)
      }
      const [again] = await engine.encode([{ ids: [], after: whole.id }], never)
      expect(again!.rows).toBe(150)
      expectSame(await asked(again!), wanted, 'continued by nothing')
      engine.release([...made, again!.id])
    })

    pin('branches off in the middle of an encoding', async () => {
      const sequence = ids(17, 100)
      const trunk = await encode(sequence)
      const added = ids(18, 30)
      for (const rows of [0, 10, 64, 80, 100]) {
        const [branch] = await engine.encode([{ ids: added, after: trunk.id, rows }], never)
        const plain = await encode([...sequence.slice(0, rows), ...added])
        expect(branch!.rows).toBe(rows + 30)
        const asked = (encoding: Encoding) => one(canvas(19, rows + 30, 9, [context(encoding, 0)]))
        expectSame(await asked(branch!), await asked(plain), `after ${rows} rows`)
        engine.release([branch!.id, plain.id])
      }
      const part = { id: trunk.id, rows: 40, firstPosition: 0 }
      const short = await encode(sequence.slice(0, 40))
      expectSame(await one(canvas(19, 40, 9, [part])), await one(canvas(19, 40, 9, [context(short, 0)])))
      engine.release([trunk.id, short.id])
    })

    /** Known rows, of which the last is the first of 9 whose other 8 are masks and asked, then known rows. */
    const wholeCanvas = (seed: number, before: number, after: number): StepJob => ({
      ids: [...ids(seed, before + 1), ...Array<number>(8).fill(it.maskId), ...ids(seed + 1, after)],
      positions: range(0, before + 9 + after),
      context: [],
      asked: range(before + 1, 8),
      setIds: [5, 7],
    })

    pin('keeps rows of a pass as it saw them: a window over them gives what the whole pass gave', async () => {
      const full = wholeCanvas(40, 40, 20)
      const plain = await one(full)
      expect(plain.kept).toEqual([])
      const [before, after] = [
        { first: 0, count: 40 },
        { first: 49, count: 20 },
      ]
      // In the order they were asked, overlaps, everything and nothing allowed.
      const kept = await one({ ...full, keep: [after, before, { first: 0, count: 69 }, { first: 30, count: 0 }] })
      expectSame(kept, plain)
      expect(kept.kept.map(({ rows }) => rows)).toEqual([20, 40, 69, 0])
      const [suffix, prefix, all, none] = kept.kept as [Encoding, Encoding, Encoding, Encoding]
      const window = { ...full, ids: full.ids.slice(40, 49), positions: range(40, 9) }
      const both = [context(suffix, 49), context(prefix, 0)]
      expectSame(await one({ ...window, context: both }), plain, 'prefix and suffix kept')
      expectSame(await one({ ...window, context: both.toReversed() }), plain, 'in the other order')
      const tail = { ...full, ids: full.ids.slice(40), positions: range(40, 29) }
      expectSame(await one({ ...tail, context: [context(prefix, 0)] }), plain, 'prefix kept')
      const start = { id: all.id, rows: 40, firstPosition: 0 }
      expectSame(await one({ ...tail, context: [start, context(none, 40)] }), plain, 'the first rows of all')
      expect(differenceOf(await one({ ...window, context: both.slice(1) }), plain)).toBeGreaterThan(tolerance)
      engine.release(kept.kept.map(({ id }) => id))
      await expect(one({ ...window, context: both })).rejects.toThrow(RangeError)
    })

    pin('keeps rows of every job of a batch, and what was kept may move and be kept again', async () => {
      for (const [before, after] of [
        [12, 6], // three jobs in a pass
        [40, 20], // a pass each
      ] as const) {
        const [a, b] = [wholeCanvas(42, before, after), wholeCanvas(44, before, after)]
        const small: StepJob = { ...canvas(46, 0, 5), kind: 'text' }
        const keep = [
          { first: 0, count: before },
          { first: before + 9, count: after },
        ]
        const jobs = [{ ...a, keep }, small, { ...b, keep: keep.slice(0, 1) }]
        const [first, second, third] = await engine.step(jobs, never)
        expect([first, second, third].map((prediction) => prediction!.kept.length)).toEqual([2, 0, 1])
        expectSame(second!, await one(small))
        for (const [job, { kept }] of [
          [a, first!],
          [b, third!],
        ] as const) {
          const plain = await one(job)
          const start = context(kept[0]!, 0)
          const tail = { ...job, ids: job.ids.slice(before), positions: range(before, 9 + after), context: [start] }
          const again = await one({ ...tail, keep: [{ first: 9, count: after }] })
          expectSame(again, plain, 'over the kept start')
          const window = { ...job, ids: job.ids.slice(before, before + 9), positions: range(before, 9) }
          const end = context(again.kept[0]!, before + 9)
          expectSame(await one({ ...window, context: [start, end] }), plain, 'over both')
          const moved = { ...end, firstPosition: before + 12 }
          const further = await one({ ...window, context: [start, moved] })
          expect(differenceOf(further, plain)).toBeGreaterThan(tolerance)
          engine.release(again.kept.map(({ id }) => id))
        }
        engine.release([...first!.kept, ...third!.kept].map(({ id }) => id))
      }
    })

    pin('refuses ids out of range and rows that are not there, and goes on', async () => {
      const encoding = await encode(ids(20, 10))
      const job = canvas(21, 10, 5, [context(encoding, 0)])
      const before = await one(job)
      const bad: Promise<unknown>[] = []
      for (const id of [-1, it.inputIds, 2 ** 31, 1.5]) {
        bad.push(engine.step([{ ...job, ids: [...job.ids.slice(1), id] }], never))
        bad.push(engine.encode([{ ids: [...ids(22, 70), id] }], never))
      }
      for (const keep of [
        { first: 0, count: 6 },
        { first: -1, count: 2 },
        { first: 4, count: 2 },
      ])
        bad.push(engine.step([job, { ...job, keep: [keep] }], never))
      bad.push(engine.step([{ ...job, setIds: [it.vocab] }], never))
      bad.push(engine.step([job, { ...job, setIds: [-1] }], never))
      bad.push(engine.step([{ ...job, context: [{ ...context(encoding, 0), rows: 11 }] }], never))
      bad.push(engine.encode([{ ids: [1], after: encoding.id, rows: 11 }], never))
      bad.push(engine.encode([{ ids: [1], after: 1e9 }], never))
      for (const outcome of await Promise.allSettled(bad))
        expect(outcome).toMatchObject({ status: 'rejected', reason: expect.any(RangeError) })
      expectSame(await one(job), before)
      engine.release([encoding.id])
    })

    pin('refuses positions beyond those of the model', async () => {
      const [last, short] = [it.maxPositions - 1, await encode(ids(47, 10))]
      const job = canvas(48, last - 4, 5)
      const edge = await one({ ...job, asked: [last], context: [context(short, 0)] })
      expect(edge.topIds).toHaveLength(1)
      const refused = async (result: Promise<unknown>) => {
        await expect(result).rejects.toThrow(RangeError)
        await expect(result).rejects.toThrow(`0 to ${last}`)
      }
      await refused(one({ ...job, positions: range(last - 3, 5), asked: [last] }))
      await refused(one({ ...job, positions: range(-1, 5), asked: [2] }))
      await refused(one({ ...job, asked: [last], context: [context(short, last - 8)] }))
      const full = await encode(ids(49, last + 1))
      await refused(engine.encode([{ ids: [3], after: full.id }], never))
      engine.release([short.id, full.id])
    })

    pin('rejects what is aborted, before and while it runs, and goes on', async () => {
      const job = canvas(23, 0, 17)
      const wanted = await one(job)
      const before = new AbortController()
      before.abort(new Aborted('superseded'))
      await expect(engine.step([job], before.signal)).rejects.toThrow(Aborted)
      await expect(engine.encode([{ ids: [1] }], before.signal)).rejects.toThrow(Aborted)
      const keep = [{ first: 0, count: 17 }]
      const calls: ((signal: AbortSignal) => Promise<unknown>)[] = [
        (signal) => engine.step([job], signal),
        (signal) => engine.step(Array<StepJob>(6).fill({ ...job, keep }), signal),
        (signal) => engine.encode([{ ids: ids(24, 500) }, { ids: ids(25, 500) }], signal),
      ]
      for (const call of calls) {
        for (const when of ['at once', 'a turn later'] as const) {
          const during = new AbortController()
          const running = call(during.signal)
          if (when === 'a turn later') await new Promise((resolve) => setImmediate(resolve))
          during.abort(new Aborted('superseded'))
          const outcome = await running.then(
            () => 'done',
            (error: unknown) => error,
          )
          // It may have been done in that one turn.
          if (outcome !== 'done' || when === 'at once') expect(outcome).toMatchObject({ why: 'superseded' })
          expectSame(await one(job), wanted)
        }
      }
    })

    pin('forgets what is released, and keeps what others continue', async () => {
      engine.release([1e9, -1])
      engine.release([])
      const sequence = ids(26, 80)
      const [parent] = await engine.encode([{ ids: sequence.slice(0, 70) }], never)
      const [child] = await engine.encode([{ ids: sequence.slice(70), after: parent!.id }], never)
      const job = canvas(27, 80, 5, [context(child!, 0)])
      const before = await one(job)
      engine.release([parent!.id])
      engine.release([parent!.id])
      expectSame(await one(job), before)
      const gone = context(parent!, 0)
      await expect(one(canvas(27, 70, 5, [gone]))).rejects.toThrow(RangeError)
      await expect(engine.encode([{ ids: [1], after: parent!.id }], never)).rejects.toThrow(RangeError)
      engine.release([child!.id])
      await expect(one(job)).rejects.toThrow(RangeError)
    })

    pin('ends: what runs and what comes later rejects with EngineError', async () => {
      const running = [engine.step([canvas(28, 0, 9)], never), engine.encode([{ ids: ids(29, 640) }], never)]
      const settled = Promise.allSettled(running)
      await Promise.all([engine.close(), engine.close()])
      for (const outcome of await settled) {
        if (outcome.status === 'rejected') expect(outcome.reason).toBeInstanceOf(EngineError)
      }
      await expect(engine.step([canvas(28, 0, 9)], never)).rejects.toThrow(EngineError)
      await expect(engine.encode([{ ids: [1] }], never)).rejects.toThrow(EngineError)
      engine.release([1])
    })
  })
}

export function range(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => first + i)
}

/** Ids 3 … limit-1 from a seed. */
export function someIds(seed: number, count: number, limit: number): number[] {
  let state = seed * 7919 + 17
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return 3 + ((state >>> 8) % (limit - 3))
  })
}

function pick(prediction: Prediction, rows: readonly number[]): Prediction {
  const of = <Value>(values: readonly Value[]): Value[] => rows.map((row) => values[row]!)
  return {
    topIds: of(prediction.topIds),
    topLogProbs: of(prediction.topLogProbs),
    entropy: of(prediction.entropy),
    setLogProbs: of(prediction.setLogProbs),
    scoreLogProbs: prediction.scoreLogProbs.length > 0 ? of(prediction.scoreLogProbs) : [],
    kept: [],
  }
}

/**
 * Largest difference of two predictions in any number. Ids are compared by their log-probability, so two that are as good
 * as equal may change places; the number of rows must be the same.
 */
export function differenceOf(a: Prediction, b: Prediction): number {
  return Math.max(0, ...rowDifferences(a, b))
}

function rowDifferences(a: Prediction, b: Prediction): number[] {
  expect(a.topIds.length).toBe(b.topIds.length)
  return range(0, a.topIds.length).map((row) => {
    let largest = 0
    const compare = (x: number, y: number) => {
      const difference = x === y ? 0 : Math.abs(x - y)
      largest = Math.max(largest, Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference)
    }
    for (const [k, id] of a.topIds[row]!.entries()) {
      compare(a.topLogProbs[row]![k]!, b.topLogProbs[row]![k]!)
      const at = b.topIds[row]!.indexOf(id)
      // Absent there: then it is at most as likely as the last of them.
      compare(a.topLogProbs[row]![k]!, b.topLogProbs[row]![at < 0 ? 7 : at]!)
    }
    compare(a.entropy[row]!, b.entropy[row]!)
    compare(a.setLogProbs[row]!, b.setLogProbs[row]!)
    if (a.scoreLogProbs.length > 0) compare(a.scoreLogProbs[row]!, b.scoreLogProbs[row]!)
    return largest
  })
}
