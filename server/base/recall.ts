/** A second opinion on what comes next in a middle, as `infill/` gives it and `denoise/` hears it. */

/** A token, or the end of the middle, and the share of the probability that this opinion has. */
export interface Recalled {
  readonly id: number | 'end'
  readonly weight: number
}

/** What is recalled behind the first tokens of a middle: the next tokens, from the left; none where there is no opinion. */
export type Recall = (leading: readonly number[]) => readonly Recalled[]
