/**
 * Document and gaps → what is to be denoised: token ids before, between and after the gaps, and what is held back of the
 * text before each of them. Pure.
 */
import { UserError } from '../base/errors.ts'
import { toLineFeeds } from '../base/lineFeeds.ts'
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

/** One gap and what stands around it. */
export interface Plan {
  readonly prefixIds: readonly number[] // at least one
  readonly suffixIds: readonly number[]
  /** The end of the text left of the cursor that is not in `prefixIds`: the middle must begin with it. */
  readonly held: string
  readonly before: string // text of the window left and right of the cursor, LF line ends only
  readonly after: string
}

/** Any number of gaps, from the left, and the pieces of text before, between and after them. */
export interface HolesPlan {
  /** The window's text without the gaps, LF line ends only; one more than gaps. */
  readonly pieces: readonly string[]
  /** Ids of each piece, tokenized by itself, without what is held back of it; of all but the last at least one. */
  readonly texts: readonly (readonly number[])[]
  /** For each gap the end of the piece before it that is not in `texts`: the middle must begin with it. */
  readonly held: readonly string[]
}

export const windowSize: WindowSize = { prefix: 768, jump: 512, suffix: 512 }
/** Of those who write elsewhere: larger models, with room for more. All of it leaves the machine. */
export const textWindowSize: WindowSize = { prefix: 4096, jump: 1024, suffix: 2048 }

/**
 * @param offset UTF-16 units into `text`.
 * @throws {RangeError} when the offset is outside the text.
 */
export function planGap(text: string, offset: number, model: PlanModel, size = windowSize): Plan {
  const { pieces, texts, held } = planHoles(text, [{ start: offset, end: offset }], model, size)
  return { prefixIds: texts[0]!, suffixIds: texts[1]!, held: held[0]!, before: pieces[0]!, after: pieces[1]! }
}

/**
 * The window goes from where that of the first gap starts to where that of the last one ends.
 *
 * @param gaps what is to be replaced, UTF-16 units into `text`; at least one, from the left, with text between any two.
 * @throws {RangeError} when a gap is outside the text, or touches the one before it.
 * @throws {UserError} when there is more text between the first and the last of them than the model should read.
 */
export function planHoles(text: string, gaps: readonly Span[], model: PlanModel, size = windowSize): HolesPlan {
  const { pieces, atStart } = piecesAround(text, gaps, size)
  const before = beforeIds(pieces[0]!, atStart, model)
  const between = pieces.slice(1, -1).map((piece) => betweenIds(piece, model))
  checkBetween(between, model)
  const suffixIds = model.encode(pieces.at(-1)!).slice(0, model.suffixTokens)
  return {
    pieces,
    texts: [before, ...between].map(({ ids }) => ids).concat([suffixIds]),
    held: [before, ...between].map(({ held }) => held),
  }
}

/**
 * The text before, between and after the gaps, LF line ends only; one piece more than gaps.
 *
 * @returns `atStart`: whether the first piece starts with the text.
 * @throws {RangeError} when a gap is outside the text, or touches the one before it.
 */
export function piecesAround(
  text: string,
  gaps: readonly Span[],
  size: WindowSize,
): { pieces: string[]; atStart: boolean } {
  for (const [i, { start, end }] of gaps.entries()) {
    const least = i === 0 ? 0 : gaps[i - 1]!.end + 1
    if (!(start >= least && end >= start && end <= text.length))
      throw new RangeError(`gap ${start}–${end} is outside of what is left of the text, ${least}–${text.length}`)
  }
  const bounds = [
    contextWindow(text, gaps[0]!.start, size).start,
    ...gaps.flatMap(({ start, end }) => [start, end]),
    contextWindow(text, gaps.at(-1)!.end, size).end,
  ]
  const pieces = Array.from({ length: gaps.length + 1 }, (_, i) =>
    toLineFeeds(text.slice(bounds[2 * i], bounds[2 * i + 1])),
  )
  return { pieces, atStart: bounds[0] === 0 }
}

/** The ids of a piece that a gap follows, and what is held back of it. */
interface Before {
  readonly ids: readonly number[]
  readonly held: string
}

function beforeIds(piece: string, isStart: boolean, model: PlanModel): Before {
  const held = heldBack(piece)
  const ids = model.encode(piece.slice(0, piece.length - held.length))
  const startIds = isStart && model.documentStartId !== undefined ? [model.documentStartId] : []
  const told = withinBudget([...startIds, ...ids], model)
  // Slots need a token before them (with shifted logits its row scores the first one): at least a line break.
  return { ids: told.length > 0 ? told : model.encode('\n'), held }
}

/** Where all would be held back, nothing is. */
function betweenIds(piece: string, { encode }: PlanModel): Before {
  const held = heldBack(piece)
  const ids = encode(piece.slice(0, piece.length - held.length))
  return ids.length > 0 ? { ids, held } : { ids: encode(piece), held: '' }
}

function checkBetween(between: readonly Before[], { prefixTokens, maxPositions }: PlanModel): void {
  const limit = Math.floor(Math.min(1.5 * prefixTokens, maxPositions / 4))
  const count = between.reduce((sum, { ids }) => sum + ids.length, 0)
  if (count <= limit) return
  throw new UserError(
    `the text between the first and the last place has ${count} tokens, and the model reads at most ${limit} there; ` +
      'fill together what is closer together, and the rest by itself',
  )
}

/** Dense text (a token a character, say) exceeds the budget: the start of a prefix then moves on by half budgets. */
export function withinBudget(
  ids: readonly number[],
  { prefixTokens, maxPositions }: Pick<PlanModel, 'prefixTokens' | 'maxPositions'>,
): readonly number[] {
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
export function endsInWord({ before, held }: Pick<Plan, 'before' | 'held'>): boolean {
  return held === '' && /[\p{L}\p{M}\p{N}_]$/u.test(before)
}

/**
 * Holds the middle to `held`: its first tokens must spell that. What the last of them adds must not hold a line break
 * where the rest of a line is wanted.
 *
 * @param textOf the text of one token.
 */
export function heldBackClamp(held: string, scope: Scope, textOf: (id: number) => string): TokenClamp {
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

interface TokenClamp {
  isOver(leading: readonly number[]): boolean
  allows(leading: readonly number[], id: number): boolean
}

/**
 * Holds the middle to all but the last of `ids`, and to another token than that one, of those that `mayStand`; within
 * `clamp` all the while. Without ids the clamp itself.
 */
export function otherThanClamp(
  ids: readonly number[],
  clamp: TokenClamp,
  mayStand: (id: number) => boolean,
): TokenClamp {
  if (ids.length === 0) return clamp
  return {
    isOver: (leading) => leading.length >= ids.length && clamp.isOver(leading),
    allows(leading, id) {
      if (leading.length < ids.length - 1) return id === ids[leading.length]
      if (leading.length === ids.length - 1 && (id === ids.at(-1) || !mayStand(id))) return false
      return clamp.isOver(leading) || clamp.allows(leading, id)
    },
  }
}

/**
 * How many of the last ids belong to the line that they end in, less whole runs of `most`: what changes while a line is
 * typed, but for a jump now and then. A pure function of the ids, and less than their number.
 */
export function lineTail(ids: readonly number[], most: number, textOf: (id: number) => string): number {
  let count = 0
  while (count < ids.length - 1 && !textOf(ids[ids.length - 1 - count]!).includes('\n')) count++
  return count % most
}

/** The line break a document uses: that of its first line. */
export function lineBreakOf(text: string): '\n' | '\r\n' {
  const first = text.indexOf('\n')
  return first > 0 && text[first - 1] === '\r' ? '\r\n' : '\n'
}
