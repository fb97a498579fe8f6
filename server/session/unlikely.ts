/**
 * How likely each token of a span is, masked by itself, with the true text on both sides of it: what may be a slip.
 */
import { throwIfAborted } from '../base/errors.ts'
import type { Span } from '../base/spans.ts'
import type { LookContext } from '../denoise/lookAt.ts'
import { contextWindow } from '../infill/contextWindow.ts'
import { windowSize, withinBudget } from '../infill/plan.ts'
import type { Rooms } from './fillGap.ts'
import { draftingOf, type SessionModel } from './sessionModel.ts'

export interface UnlikelyRequest {
  readonly text: string
  readonly span: Span
}

export interface ScoredToken {
  readonly span: Span // UTF-16 units into the text
  readonly probability: number
  /** What the model would have put there. */
  readonly expected: string
}

const mostTokens = 96
const mostUnits = 2_000 // of a span, UTF-16: more tokens than are asked
const jobsPerStep = 16 // a keystroke waits for one step at most
const suffixTokens = 32 // read anew for each token

/**
 * @param onProgress tokens done, of how many.
 * @returns all tokens of the span that are more than blanks, in their order; of a long span the first `mostTokens`.
 * @throws {Aborted} when the signal fires, between two passes.
 */
export async function scoreTokens(
  rooms: Rooms,
  { text, span }: UnlikelyRequest,
  signal: AbortSignal,
  onProgress: (done: number, of: number) => void,
): Promise<ScoredToken[]> {
  const { model } = rooms
  const { ids, asked: wanted } = withinLimits(
    tokensOf(text, { start: span.start, end: Math.min(span.end, span.start + mostUnits) }, model),
    model,
  )
  const scored: ScoredToken[] = []
  const last = wanted.at(-1)
  if (!last) return []
  const prefix =
    model.attention === 'bidirectional' ? undefined : await rooms.prefixes.encode(ids.slice(0, last.at), signal)
  const context = contextOf(model, prefix?.id)
  try {
    for (let done = 0; done < wanted.length; done += jobsPerStep) {
      throwIfAborted(signal)
      const batch = wanted.slice(done, done + jobsPerStep)
      const request = { ids, at: batch.map(({ at }) => at), maskId: model.maskId, context }
      const looks = await rooms.denoiser.look(request, signal)
      for (const [i, { at, span: place }] of batch.entries()) {
        const { probability, topIds } = looks[i]!
        const expected = topIds.find((id) => !model.endIds.includes(id) && !model.forbiddenIds.includes(id))
        scored.push({
          span: place,
          probability,
          expected: expected === undefined || expected === ids[at] ? '' : model.tokenText(expected).trim(),
        })
      }
      onProgress(Math.min(wanted.length, done + jobsPerStep), wanted.length)
    }
  } finally {
    prefix?.end()
  }
  return scored
}

interface Token {
  readonly at: number // among the ids of the window
  readonly span: Span
}

interface Window {
  readonly ids: readonly number[]
  readonly asked: readonly Token[] // from the left
}

/** As many as may be asked, and no more around them than the model is to read. */
function withinLimits({ ids, asked }: Window, model: SessionModel): Window {
  const some = asked.slice(0, mostTokens)
  const first = some[0]?.at ?? 0
  const dropped = first - withinBudget(ids.slice(0, first), model).length
  const end = (some.at(-1)?.at ?? 0) + 1 + model.suffixTokens
  return { ids: ids.slice(dropped, end), asked: some.map(({ at, span }) => ({ at: at - dropped, span })) }
}

/** The window around the span in tokens, as it breaks as a whole; and those of the span. */
function tokensOf(text: string, span: Span, model: SessionModel): Window {
  const start = contextWindow(text, span.start, windowSize).start
  const end = contextWindow(text, span.end, windowSize).end
  const { plain, offsets } = withoutReturns(text, start, end)
  const isStart = start === 0 && model.documentStartId !== undefined
  const body = model.encode(plain)
  const ids = [...(isStart ? [model.documentStartId!] : []), ...body]
  const asked: Token[] = []
  let from = 0
  for (const [i, id] of body.entries()) {
    const words = model.tokenText(id)
    // Part of a character: from there on it cannot be told by lengths where a token stands.
    const to =
      words.includes('\ufffd') || words === ''
        ? model.decode(body.slice(0, i + 1)).replace(/\ufffd+$/, '').length
        : from + words.length
    const blanks = plain.slice(from, to).length - plain.slice(from, to).trimStart().length
    const place = { start: offsets[from + blanks] ?? end, end: to > 0 ? offsets[to - 1]! + 1 : start }
    const at = i + ids.length - body.length
    const isIn = span.start <= place.start && place.end <= span.end && plain.slice(from, to).trim() !== ''
    if (isIn && at > 0) asked.push({ at, span: place })
    from = to
  }
  return { ids, asked }
}

/** The window with LF line ends only, and where each of its units stands in the text. */
function withoutReturns(text: string, start: number, end: number): { plain: string; offsets: number[] } {
  const offsets: number[] = []
  let plain = ''
  for (let at = start; at < end; at++) {
    const isReturn = text[at] === '\r'
    if (isReturn && text[at + 1] === '\n') continue
    offsets.push(at)
    plain += isReturn ? '\n' : text[at]
  }
  offsets.push(end)
  return { plain, offsets }
}

function contextOf(model: SessionModel, prefix: number | undefined): LookContext {
  switch (model.attention) {
    case 'bidirectional':
      return { kind: 'whole' }
    case 'causal-context': {
      const drafting = draftingOf(model)
      return { kind: 'causal', prefix, suffixTokens, ...(drafting ? { distance: drafting.distance } : {}) }
    }
  }
}
