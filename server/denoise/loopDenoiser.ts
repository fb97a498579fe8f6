/**
 * Gaps written whole by a `GapLoop`: asked once, and once more only where what it wrote is not what would have been
 * committed here, by a clamp or a second opinion; it then goes on behind what was. So the middle is the same as step by step.
 */
import type { Recalled } from '../base/recall.ts'
import type { TokenIds } from '../engine/engine.ts'
import type { GapLoop, GapTexts, WrittenGap } from '../engine/gapLoop.ts'
import { type Denoised, type DenoiseRequest, type OnStep, openHoles } from './denoiser.ts'
import { type OpenHole, product } from './hole.ts'

export class LoopDenoiser {
  private readonly loop: GapLoop
  private lastRead: GapTexts | undefined

  constructor(loop: GapLoop) {
    this.loop = loop
  }

  get available(): boolean {
    return this.loop.available
  }

  /**
   * Has the texts of a gap to come read, where they are not those of the last one: a key in a line changes neither.
   *
   * @throws as `Engine.encode`.
   */
  async readAhead(texts: GapTexts, signal: AbortSignal): Promise<void> {
    const { startIds, suffixIds } = texts
    const last = this.lastRead
    const isThere = (ids: TokenIds, read: TokenIds = []) => ids.length === 0 || same(ids, read)
    if (isThere(startIds, last?.startIds) && isThere(suffixIds, last?.suffixIds)) return
    await this.loop.readAhead(texts, signal)
    this.lastRead = texts
  }

  /**
   * @param request of its context only the kind and `begun` are read.
   * @param onStep called after each answer.
   * @returns undefined for what is to be denoised step by step: several holes, canvases of another kind, nobody there.
   * @throws as `Denoiser.denoise`.
   */
  async denoise(request: DenoiseRequest, signal: AbortSignal, onStep: OnStep): Promise<Denoised | undefined> {
    const { texts, holes, context, endIds } = request
    const { length, maxTokens, floor, ownEndIds } = holes[0]!
    if (holes.length > 1 || context.kind !== 'drafted' || length.kind !== 'drafted' || ownEndIds) return undefined
    const hole = openHoles(request)[0]!
    const [before, suffixIds] = texts as [TokenIds, TokenIds]
    let steps = 0
    while (!hole.finish) {
      const { ids, probabilities } = hole.progress()
      const canvas = hole.ask()[0]!.canvas
      const committed = canvas.leftmostOpen()
      const begun = committed === ids.length ? (context.begun ?? 0) : 0 // of the first canvas
      const known = 1 + begun + committed
      const prefixIds = [...before, ...ids]
      const written = await this.loop.infill(
        {
          ...{ prefixIds, suffixIds, known, most: maxTokens - ids.length },
          slots: { now: canvas.slots.length - committed, later: length.slots },
          ...{ endIds: [...endIds], threshold: length.threshold, floor: leftOf(floor, product(probabilities)) },
          hints: hintsBehind(ids, request),
        },
        signal,
      )
      if (!written) return undefined
      this.lastRead = { startIds: prefixIds.slice(0, -known), suffixIds }
      steps += written.passes
      take(hole, written)
      onStep([hole.progress()])
    }
    return { middles: [{ ...hole.progress(), finish: hole.finish }], steps, rows: 0 }
  }
}

const same = (a: TokenIds, b: TokenIds): boolean => a.length === b.length && a.every((id, i) => id === b[i])

const mostHints = 16

/** What the second opinion says as long as it is followed. */
function hintsBehind(ids: TokenIds, { holes, endIds, forbiddenIds }: DenoiseRequest): Recalled[] {
  const hints: Recalled[] = []
  const path = [...ids]
  while (hints.length < mostHints) {
    const recalled = holes[0]!.recall?.(path)[0]
    if (!recalled || (recalled.id !== 'end' && forbiddenIds.has(recalled.id))) break
    const { id, weight } = recalled
    if (id === 'end' || endIds.has(id)) return [...hints, { id: 'end', weight }]
    hints.push({ id, weight })
    path.push(id)
  }
  return hints
}

/** What of the floor is left for tokens still to come; none where their probabilities are too small to be told. */
function leftOf(floor: number, sofar: number): number {
  const left = floor / sofar
  return left > 0 ? Math.min(1, left) : 0
}

/** Commits canvas after canvas, until something else is committed than was written: the rest was written behind that. */
function take(hole: OpenHole, { ids, rows }: WrittenGap): void {
  const count = rows.setLogProbs.length
  for (let at = 0; at < count && !hole.finish; ) {
    const done = hole.progress().ids.length
    const { canvas } = hole.ask()[0]!
    const end = Math.min(count, at + canvas.slots.length - canvas.leftmostOpen())
    const of = <Value>(values: readonly Value[]): Value[] => values.slice(at, end)
    const said = { topIds: of(rows.topIds), topLogProbs: of(rows.topLogProbs), setLogProbs: of(rows.setLogProbs) }
    const isFull = hole.take([{ ...said, entropy: [], scoreLogProbs: [], kept: [] }], ids.slice(at, end - 1))
    const now = hole.progress().ids.slice(done)
    if (isFull) hole.folded()
    if (now.some((id, i) => id !== ids[at + i])) return
    at += now.length
    if (!isFull) return
  }
}
