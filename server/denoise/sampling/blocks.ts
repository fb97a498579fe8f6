/**
 * Semi-autoregressive filling: only slots of the leftmost unfinished block may be committed, by another sampler that
 * begins anew with each block.
 *
 * Source: LLaDA (arXiv 2502.09992), `block_length`; there each block has its share of the steps, here all that the other
 * sampler says.
 */
import type { Prediction } from '../../engine/engine.ts'
import type { Canvas } from '../canvas.ts'
import type { CommitRules, Pick } from '../commitRules.ts'
import type { Sampler } from './sampler.ts'

export class BlocksSampler implements Sampler {
  private readonly slots: number
  private readonly openInner: (block: number) => Sampler
  private block = 0
  private inner: Sampler

  constructor(slots: number, openInner: (block: number) => Sampler) {
    this.slots = slots
    this.openInner = openInner
    this.inner = openInner(0)
  }

  get logits(): boolean {
    return this.inner.logits
  }

  ask(open: readonly number[]): readonly number[] {
    const blockOf = (slot: number) => Math.trunc(slot / this.slots)
    const block = blockOf(open[0] ?? 0)
    if (block !== this.block) [this.block, this.inner] = [block, this.openInner(block)]
    return this.inner.ask(open.filter((slot) => blockOf(slot) === block))
  }

  pick(canvas: Canvas, asked: readonly number[], prediction: Prediction, rules: CommitRules): Pick[] {
    return this.inner.pick(canvas, asked, prediction, rules)
  }
}
