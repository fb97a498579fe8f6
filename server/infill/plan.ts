/**
 * Document and cursor → what is to be denoised: token ids left and right of the gap, what is held back of the prefix,
 * and where the gap ends. Pure.
 */
import type { Span } from '../base/spans.ts'
import { contextWindow, type WindowSize } from './contextWindow.ts'
import type { Encode } from './tokenizeIncrementally.ts'

/** 'line': the rest of the cursor's line is wanted; 'block': as much as belongs there. */
export type Scope = 'line' | 'block'

/** What planning needs to know of a model. */
export interface PlanModel {
  readonly encode: Encode
  readonly documentStartId: number | undefined
  readonly prefixTokens: number
  readonly suffixTokens: number
  readonly maxPositions: number
}

export interface Plan {
  readonly prefixIds: readonly number[] // at least one
  readonly suffixIds: readonly number[]
  /** The end of the text left of the cursor that is not in `prefixIds`: the middle must begin with it. */
  readonly held: string
  readonly before: string // text of the window left and right of the cursor, LF line ends only
  readonly after: string
}

export const windowSize: WindowSize = { prefix: 768, jump: 512, suffix: 512 }

/**
 * @param offset UTF-16 units into `text`.
 * @throws {RangeError} when the offset is outside the text.
 */
export function planGap(text: string, offset: number, model: PlanModel, size = windowSize): Plan {
  const window: Span = contextWindow(text, offset, size)
  const before = toLineFeeds(text.slice(window.start, offset))
  const after = toLineFeeds(text.slice(offset, window.end))
  const held = heldBack(before)
  const ids = model.encode(before.slice(0, before.length - held.length))
  const startIds = window.start === 0 && model.documentStartId !== undefined ? [model.documentStartId] : []
  const suffixIds = model.encode(after).slice(0, model.suffixTokens)
  const told = limited([...startIds, ...ids], model)
  // Slots need a token before them (with shifted logits its row scores the first one): at least a line break.
  const prefixIds = told.length > 0 ? told : model.encode('\n')
  return { prefixIds, suffixIds, held, before, after }
}

/** Dense text (a token a character, say) exceeds the budget: the start then moves on by half budgets. */
function limited(ids: readonly number[], { prefixTokens, maxPositions }: PlanModel): readonly number[] {
  const limit = Math.min(1.5 * prefixTokens, maxPositions / 2)
  const jump = Math.ceil(Math.min(prefixTokens, limit) / 2)
  return ids.length <= limit ? ids : ids.slice(Math.ceil((ids.length - limit) / jump) * jump)
}

/**
 * What to hold back so that tokens break as they do in files: one trailing space (a token takes the space before its
 * word), or a trailing blank run that ends in a line break (a token takes the indentation after it).
 */
export function heldBack(before: string): string {
  if (before.endsWith(' ')) return ' '
  if (!before.endsWith('\n')) return ''
  const run = /\S([^\S\n]*\n\s*)$/.exec(before.slice(-9))
  return run ? run[1]! : '\n'
}

/** Whether the last token that is told ends in a letter, a digit or the like: a word that may go on. */
export function endsInWord({ before, held }: Plan): boolean {
  return held === '' && /[\p{L}\p{M}\p{N}_]$/u.test(before)
}

/**
 * Holds the middle to `held`: its first tokens must spell that. What the last of them adds must not hold a line break
 * where the rest of a line is wanted.
 *
 * @param textOf the text of one token.
 */
export function heldBackClamp(held: string, scope: Scope, textOf: (id: number) => string) {
  const rest = (leading: readonly number[]): string =>
    held.slice(leading.reduce((sum, id) => sum + textOf(id).length, 0))
  return {
    isOver: (leading: readonly number[]) => rest(leading) === '',
    allows(leading: readonly number[], id: number): boolean {
      const wanted = rest(leading)
      const text = textOf(id)
      if (text === '' || wanted.startsWith(text)) return text !== ''
      return text.startsWith(wanted) && !(scope === 'line' && text.includes('\n', wanted.length))
    },
  }
}

export function toLineFeeds(text: string): string {
  return text.includes('\r') ? text.replace(/\r\n?/g, '\n') : text
}

/** The line break a document uses: that of its first line. */
export function lineBreakOf(text: string): '\n' | '\r\n' {
  const first = text.indexOf('\n')
  return first > 0 && text[first - 1] === '\r' ? '\r\n' : '\n'
}
