/**
 * From what a model wrote to what may be offered: one chain of filters, each of which only takes away. Pure; knows
 * nothing of tokens and nothing of editors.
 *
 * The chain runs until nothing changes, since what one filter cuts can lay bare what another one looks for; so a finished
 * text stays as it is when it is finished again.
 */
import { cutAtLineEnd } from './filters/cutAtLineEnd.ts'
import { dropControlCharacters } from './filters/dropControlCharacters.ts'
import { dropHalfMade } from './filters/dropHalfMade.ts'
import { dropRepetition } from './filters/dropRepetition.ts'
import { dropSuffixOverlap } from './filters/dropSuffixOverlap.ts'
import { dropTrailingBlanks } from './filters/dropTrailingBlanks.ts'
import type { Filter, FinishContext } from './filters/filter.ts'
import { keepBracketSingle } from './filters/keepBracketSingle.ts'
import { replacedAfter } from './filters/replacedAfter.ts'
import { stopAtDedent } from './filters/stopAtDedent.ts'

export type { FinishContext } from './filters/filter.ts'

export type Finished =
  /** `replaceAfter`: how many UTF-16 units right of the cursor, on its line, the text takes the place of. */
  | { readonly kind: 'text'; readonly text: string; readonly replaceAfter: number }
  /** `reason` is for the log; it holds no text of the document. */
  | { readonly kind: 'nothing'; readonly reason: string }

/** In the order they run. The names are what a reason says. */
const chain: Readonly<Record<string, Filter>> = {
  cutAtLineEnd,
  stopAtDedent,
  dropControlCharacters,
  dropSuffixOverlap,
  keepBracketSingle,
  dropTrailingBlanks,
  dropRepetition,
}

export function finish(text: string, context: FinishContext): Finished {
  if (text === '') return { kind: 'nothing', reason: 'the model left the gap empty' }
  let finished = dropHalfMade(text, context)
  if (finished === '') return { kind: 'nothing', reason: 'dropHalfMade left nothing' }
  for (let before = ''; before !== finished; ) {
    before = finished
    for (const [name, filter] of Object.entries(chain)) {
      finished = filter(finished, context)
      if (finished === '') return { kind: 'nothing', reason: `${name} left nothing` }
    }
  }
  return { kind: 'text', text: finished, replaceAfter: replacedAfter(finished, context) }
}
