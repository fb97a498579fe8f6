/** The slots of one mask span, open or committed. Knows nothing of what stands left and right of them. */

export class Canvas {
  readonly slots: number[]
  private readonly probabilities: number[]
  readonly maskId: number

  constructor(slotCount: number, maskId: number) {
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

  isFilled(): boolean {
    return this.leftmostOpen() === this.slots.length
  }

  /** From the left. */
  openSlots(): number[] {
    return [...this.slots.keys()].filter((slot) => this.isOpen(slot))
  }

  /** @param probability what the model gave the token when it was committed. */
  commit(slot: number, id: number, probability: number): void {
    this.slots[slot] = id
    this.probabilities[slot] = probability
  }

  /** Two open slots in the place of one: those right of it move on by one. */
  expand(slot: number): void {
    this.slots.splice(slot, 1, this.maskId, this.maskId)
    this.probabilities.splice(slot, 1, 1, 1)
  }

  /** Those right of it move back by one. */
  remove(slot: number): void {
    this.slots.splice(slot, 1)
    this.probabilities.splice(slot, 1)
  }

  /** Only the first slots stay. */
  cutTo(count: number): void {
    this.slots.length = Math.min(this.slots.length, count)
    this.probabilities.length = this.slots.length
  }

  /** The committed tokens up to the first open slot. */
  leadingRun(): number[] {
    return this.slots.slice(0, this.leftmostOpen())
  }

  /** What the model gave each token of the leading run. */
  leadingProbabilities(): number[] {
    return this.probabilities.slice(0, this.leftmostOpen())
  }
}
