/** How the length of a middle is found. */
import { type Drafted, DraftedFilling } from './drafted.ts'
import { type EarlyEnd, EarlyEndFilling } from './earlyEnd.ts'
import { type EndToken, EndTokenFilling } from './endToken.ts'
import { type ExpandDelete, ExpandDeleteFilling } from './expandDelete.ts'
import type { Filling, FillingRules } from './filling.ts'
import { type LengthSearch, LengthSearchFilling } from './lengthSearch.ts'
import { type Verified, VerifiedFilling } from './verified.ts'

export type Length = Drafted | EndToken | EarlyEnd | LengthSearch | ExpandDelete | Verified

/** A canvas of its own, nothing committed. */
export function openFilling(length: Length, rules: FillingRules): Filling {
  switch (length.kind) {
    case 'drafted':
      return new DraftedFilling(length, rules)
    case 'end-token':
      return new EndTokenFilling(length, rules)
    case 'early-end':
      return new EarlyEndFilling(length, rules)
    case 'search':
      return new LengthSearchFilling(length, rules)
    case 'expand-delete':
      return new ExpandDeleteFilling(length, rules)
    case 'verified':
      return new VerifiedFilling(length, rules)
  }
}

/** @throws {RangeError} when nothing could be filled. */
export function checkLength(length: Length): void {
  const counts = slotCounts(length)
  if (counts.length > 0 && counts.every((count) => count >= 1)) return
  throw new RangeError('a canvas needs at least one slot')
}

function slotCounts(length: Length): readonly number[] {
  switch (length.kind) {
    case 'drafted':
    case 'end-token':
    case 'early-end':
    case 'verified':
      return [length.slots]
    case 'search':
      return length.lengths
    case 'expand-delete':
      return [length.slots, length.maxSlots]
  }
}
