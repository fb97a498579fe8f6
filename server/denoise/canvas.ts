/** The token ids being denoised: the last prefix token, then the slots of one mask span. */
import type { EncodingId, Positions, StepJob, TokenIds } from '../engine/engine.ts'

/** Encodings of the context of a canvas, causal each by itself. */
export interface CanvasContext {
  /** Of `prefixIds` without the last; `undefined` when there is only one. */
  readonly prefix: EncodingId | undefined
  /** Of the suffix; `undefined` when it is empty. */
  readonly suffix: EncodingId | undefined
}

export class Canvas {
  /** Position of slot 0: the number of prefix tokens. */
  readonly firstSlot: number
  readonly slots: number[]
  private readonly probabilities: number[]
  private readonly lastPrefixId: number
  private readonly suffixRows: number
  private readonly context: CanvasContext
  private readonly maskId: number

  constructor(prefixIds: TokenIds, suffixRows: number, context: CanvasContext, slotCount: number, maskId: number) {
    this.firstSlot = prefixIds.length
    this.lastPrefixId = prefixIds.at(-1)!
    this.suffixRows = suffixRows
    this.context = context
    this.maskId = maskId
    this.slots = Array<number>(slotCount).fill(maskId)
    this.probabilities = Array<number>(slotCount).fill(1)
  }

  isOpen(slot: number): boolean {
    return this.slots[slot] === this.maskId
  }

  /** Index of the leftmost open slot; the slot count when none is open. */
  leftmostOpen(): number {
    const at = this.slots.indexOf(this.maskId)
    return at < 0 ? this.slots.length : at
  }

  /** @param probability what the model gave the token when it was committed. */
  commit(slot: number, id: number, probability: number): void {
    this.slots[slot] = id
    this.probabilities[slot] = probability
  }

  /** The committed tokens up to the first open slot. */
  leadingRun(): number[] {
    return this.slots.slice(0, this.leftmostOpen())
  }

  /** What the model gave each token of the leading run. */
  leadingProbabilities(): number[] {
    return this.probabilities.slice(0, this.leftmostOpen())
  }

  /** The forward pass that predicts `asked` slots: all canvas rows see all of the context and each other. */
  stepJob(askedSlots: readonly number[], setIds: TokenIds): StepJob {
    const { firstSlot, slots } = this
    const positions: Positions = Array.from({ length: slots.length + 1 }, (_, i) => firstSlot - 1 + i)
    const { prefix, suffix } = this.context
    const context = []
    // Suffix first: the prefix grows while the user types, and what lies before it in a buffer need not move.
    if (suffix !== undefined)
      context.push({ id: suffix, rows: this.suffixRows, firstPosition: firstSlot + slots.length })
    if (prefix !== undefined) context.push({ id: prefix, rows: firstSlot - 1, firstPosition: 0 })
    return {
      ids: [this.lastPrefixId, ...slots],
      positions,
      context,
      asked: askedSlots.map((slot) => firstSlot + slot),
      setIds,
    }
  }
}
