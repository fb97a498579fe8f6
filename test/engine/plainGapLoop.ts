/** Gaps written by committed rows alone, one a pass, nothing guessed and nothing kept, over any engine: what every loop must write. */
import type { Engine, TokenIds } from '../../server/engine/engine.ts'
import type { GapJob, GapLoop, GapTexts, WrittenGap } from '../../server/engine/gapLoop.ts'

export interface PlainGapLoopOptions {
  readonly distance: number
  readonly neverIds: TokenIds // are not written
}

export class PlainGapLoop implements GapLoop {
  available = true
  readonly asked: GapJob[] = []
  readonly read: GapTexts[] = []
  private readonly engine: Engine
  private readonly options: PlainGapLoopOptions

  constructor(engine: Engine, options: PlainGapLoopOptions) {
    this.engine = engine
    this.options = options
  }

  async infill(job: GapJob, signal: AbortSignal): Promise<WrittenGap> {
    this.asked.push(job)
    const { most, endIds, floor, hints } = job
    const ids: number[] = []
    const rows: { topIds: TokenIds[]; topLogProbs: (readonly number[])[]; setLogProbs: number[] } = {
      ...{ topIds: [], topLogProbs: [], setLogProbs: [] },
    }
    let text = job.prefixIds.slice(0, -job.known)
    let known = job.prefixIds.slice(-job.known)
    let [slots, product] = [job.slots.now, 1]
    while (ids.length < most && product >= floor) {
      const [top, logProbs, end] = await this.say(text, known, job, signal)
      rows.topIds.push(top)
      rows.topLogProbs.push(logProbs)
      rows.setLogProbs.push(end)
      const best = top.findIndex((id) => !endIds.includes(id) && !this.options.neverIds.includes(id))
      const ends = best < 0 || end > logProbs[best]!
      let [said, probability]: [number | 'end', number] = ends
        ? ['end', Math.exp(end)]
        : [top[best]!, Math.exp(logProbs[best]!)]
      const hint = hints[ids.length]
      if (hint && ids.every((id, i) => id === hints[i]!.id)) {
        const at = top.indexOf(hint.id as number)
        const own = hint.id === 'end' ? Math.exp(end) : at < 0 ? 0 : Math.exp(logProbs[at]!)
        const together = (1 - hint.weight) * own + hint.weight
        probability *= 1 - hint.weight
        if (hint.id === said || together >= probability) [said, probability] = [hint.id, together]
      }
      if (said === 'end') break
      ids.push(said)
      known = [...known, said]
      product *= probability
      if (--slots === 0) {
        text = [...text, ...known.slice(0, -1)]
        known = known.slice(-1)
        slots = job.slots.later
      }
    }
    return { ids, rows, passes: rows.setLogProbs.length }
  }

  async readAhead(texts: GapTexts): Promise<void> {
    this.read.push(texts)
  }

  /** What the last of the known rows says: the best eight, their log-probabilities, that of all ends. */
  private async say(text: TokenIds, known: TokenIds, { suffixIds, endIds }: GapJob, signal: AbortSignal) {
    const pieces = [
      { ids: text, firstPosition: 0 },
      { ids: suffixIds, firstPosition: text.length + 1 + this.options.distance },
    ].filter(({ ids }) => ids.length > 0)
    const encoded = await this.engine.encode(pieces, signal)
    const [said] = await this.engine.step(
      [
        {
          ids: known,
          positions: known.map((_, i) => text.length + i),
          sees: known.map((_, i) => [{ first: 0, count: i + 1 }]),
          context: encoded.map(({ id, rows }, i) => ({ id, rows, firstPosition: pieces[i]!.firstPosition })),
          asked: [],
          askedRows: [known.length - 1],
          setIds: endIds,
        },
      ],
      signal,
    )
    this.engine.release(encoded.map(({ id }) => id))
    return [said!.topIds[0]!, said!.topLogProbs[0]!, said!.setLogProbs[0]!] as const
  }
}
