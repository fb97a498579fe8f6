/**
 * Commits slots wherever they are, under the rules of what may stand there: all that the samplers of bidirectional models
 * share. In what they differ is a `Rule`.
 */
import type { Prediction } from '../../engine/engine.ts'
import type { Canvas } from '../canvas.ts'
import { type CommitRules, clampedGuess, type Pick } from '../commitRules.ts'
import { type Draw, needsLogits, type Reading, read } from './draw.ts'
import type { Sampler } from './sampler.ts'
import type { Uniforms } from './uniforms.ts'

/** What would be committed in a slot; of use only beside others of the same step. */
export interface Candidate extends Pick {
  readonly confidence: number // higher is surer
}

/** Pure functions; steps count from 0. */
export interface Rule {
  /** Of the open slots, from the left, those that the step asks: the leftmost among them, or none where it commits nothing. */
  asks(open: readonly number[], step: number): readonly number[]
  confidence(reading: Reading): number
  /** What to commit of candidates from the left. @param openCount how many slots were open, candidates or not. */
  choose(candidates: readonly Candidate[], step: number, openCount: number): readonly Candidate[]
}

export class AnywhereSampler implements Sampler {
  readonly logits: boolean
  private readonly rule: Rule
  private readonly draw: Draw
  private readonly uniforms: Uniforms
  private step = -1
  private openCount = 0

  constructor(rule: Rule, draw: Draw, uniforms: Uniforms) {
    this.logits = needsLogits(draw)
    this.rule = rule
    this.draw = draw
    this.uniforms = uniforms
  }

  ask(open: readonly number[]): readonly number[] {
    this.openCount = open.length
    let asked: readonly number[] = []
    while (asked.length === 0 && open.length > 0) asked = this.rule.asks(open, ++this.step)
    return asked
  }

  /**
   * What the rule chooses; where nothing of that may be committed yet, the surest that may.
   *
   * While the text that is known to begin the middle is not spelled out, the leftmost open slot is held to it and
   * committed alone. It is not among the candidates: known text is no choice.
   */
  pick(canvas: Canvas, asked: readonly number[], prediction: Prediction, rules: CommitRules): Pick[] {
    const leading = canvas.leadingRun()
    const picks: Pick[] = []
    if (!rules.clamp.isOver(leading)) {
      const clamped = clampedGuess(prediction, 0, rules, leading)
      if (!clamped) return []
      picks.push({ slot: asked[0]!, ...clamped })
      if (!rules.clamp.isOver([...leading, clamped.id])) return picks
    }
    const known = picks.length
    const candidates = asked.flatMap((slot, row) => (row < known ? [] : this.candidates(slot, row, prediction, rules)))
    const waits = ({ id }: Pick) => id === 'end' && rules.ends === 'last'
    const free = (pick: Pick) => !waits(pick) || pick.slot === asked[0]
    const chosen = new Set(this.rule.choose(candidates, this.step, this.openCount))
    if (known === 0 && ![...chosen].some(free)) {
      const [surest] = bySureness(candidates.filter(free))
      if (surest) chosen.add(surest)
    }
    const open = canvas.openSlots()
    for (const candidate of candidates) {
      if (!chosen.has(candidate)) continue
      const { slot, id, probability } = candidate
      const allLeft = picks.length === open.indexOf(slot) // slots left of this one are committed or picked
      if (!waits(candidate) || allLeft) picks.push({ slot, id, probability })
      if (waits(candidate) && allLeft) break
    }
    return picks
  }

  /** One, or none where no token that may stand there is among the best. */
  private candidates(slot: number, row: number, prediction: Prediction, rules: CommitRules): Candidate[] {
    const reading = read(prediction, row, this.draw, this.uniforms(this.step, 'token', slot), rules)
    if (!reading) return []
    return [{ slot, id: reading.id, probability: reading.probability, confidence: this.rule.confidence(reading) }]
  }
}

/** Surest first, the leftmost of equals. */
export function bySureness(candidates: readonly Candidate[]): Candidate[] {
  return candidates.toSorted((a, b) => b.confidence - a.confidence || a.slot - b.slot)
}
