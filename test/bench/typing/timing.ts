/**
 * How long a person waits before each key. Pure; knows keys by kind, nothing of editors.
 *
 * Log-normal intervals: of the common two-parameter families one of the two that fit free text well (González et al.
 * 2021, Heliyon 7, e08413; log-logistic fits a little better). The medians are our assumption of somebody who types code
 * fluently, chosen so that a recording runs at about the mean of 168,000 volunteers, 52 words (260 characters) a minute
 * (Dhakal et al. 2018, "Observations on typing from 136 million keystrokes"); no recording of a real programmer is
 * behind them.
 */

/** What the hand or the head does before the key. */
export type Wait = 'in-word' | 'boundary' | 'line' | 'place' | 'noticing' | 'correcting'

/** Median in milliseconds, and spread: the standard deviation of the natural logarithm. */
const intervals: Readonly<Record<Wait, { readonly medianMs: number; readonly spread: number }>> = {
  'in-word': { medianMs: 150, spread: 0.4 },
  boundary: { medianMs: 210, spread: 0.5 }, // to or from a space, bracket or operator
  line: { medianMs: 650, spread: 0.6 }, // before the first character of a line
  place: { medianMs: 1500, spread: 0.5 }, // looking for where to go on, and what to paste or take back
  noticing: { medianMs: 320, spread: 0.4 }, // that the key before was wrong
  correcting: { medianMs: 130, spread: 0.3 },
}

/** Milliseconds, at least 30: nobody's fingers are faster for long. */
export function drawWait(kind: Wait, random: () => number): number {
  const { medianMs, spread } = intervals[kind]
  return Math.max(30, medianMs * Math.exp(spread * normal(random)))
}

/** From seeing ghost text to the key that takes it, milliseconds: reading and deciding (assumed). */
export const reactionMs = { least: 250, most: 300 }

export function drawReaction(random: () => number): number {
  return reactionMs.least + random() * (reactionMs.most - reactionMs.least)
}

/** Before a character that follows `before` in its line ('' at the line's beginning, indentation aside). */
export function waitBefore(before: string, character: string): Wait {
  if (before === '') return 'line'
  return /\w/.test(before) && /\w/.test(character) ? 'in-word' : 'boundary'
}

/** A standard normal number (Box and Muller). */
function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
}
