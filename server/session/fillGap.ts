/**
 * Gaps, one or several, from text to finished completions: plan, read the context, denoise, finish. The one place that
 * sees all rooms.
 */
import { UserError } from '../base/errors.ts'
import type { Recall } from '../base/recall.ts'
import type { Span, TextEdit } from '../base/spans.ts'
import type { EncodingCache, Lease } from '../cache/encodingCache.ts'
import type { CanvasContext } from '../denoise/canvasContext.ts'
import type { CausalContext } from '../denoise/causalSurroundings.ts'
import type { Denoised, DenoiseRequest, Denoiser } from '../denoise/denoiser.ts'
import type { Finish, Progress } from '../denoise/hole.ts'
import type { HoleOrder } from '../denoise/holeOrder.ts'
import { fileNgram } from '../infill/fileNgram.ts'
import { finishHoles, type Middle } from '../infill/finishHoles.ts'
import { type Infiller, NoInfill } from '../infill/infiller.ts'
import {
  endsInWord,
  type HolesPlan,
  heldBackClamp,
  lineBreakOf,
  otherThanClamp,
  type Plan,
  piecesAround,
  planHoles,
  type Scope,
  textWindowSize,
  toLineFeeds,
} from '../infill/plan.ts'
import { sureRun } from './gate.ts'
import {
  begunOf,
  type Drafting,
  draftedLength,
  draftingOf,
  holeOrderOf,
  lengthOf,
  type SessionModel,
  scheduleOf,
} from './sessionModel.ts'
import { writeElsewhere } from './writeElsewhere.ts'

export interface GapRequest {
  readonly text: string
  readonly offset: number // UTF-16 units
  readonly scope: Scope
  readonly maxTokens: number
  readonly languageId?: string
  readonly certainty: Certainty
  /** The middle begins with all but the last of these tokens, and goes on with another one than that. */
  readonly otherThan?: readonly number[]
}

/** Several gaps of one text, filled together. */
export interface HolesRequest extends Omit<GapRequest, 'offset' | 'scope' | 'otherThan'> {
  /** From the left, with text between any two. */
  readonly holes: readonly AskedHole[]
  readonly maxTokens: number // of each
  /** Default: that of the model. */
  readonly order?: HoleOrder
}

export type AskedHole = { readonly span: Span } & Pick<GapRequest, 'scope' | 'otherThan'>

/** How sure the model must be: products of the probabilities its tokens had when they were committed. */
export interface Certainty {
  /** Below this the work stops. */
  readonly giveUp: number
  /** What is shown of work that stopped: the longest beginning of at least this. */
  readonly show: number
}

/**
 * For what nobody asked for. Work stops as soon as no more of it can be shown: a product only falls.
 *
 * @param showAbove probability, 0 … 1; 0 shows everything.
 */
export function unasked(showAbove: number): Certainty {
  return { giveUp: showAbove, show: showAbove }
}

/** For what was asked for by hand: whatever the model has to say. */
export const askedFor: Certainty = { giveUp: 0, show: 0 }

export interface Rooms {
  readonly model: SessionModel
  readonly prefixes: EncodingCache
  readonly suffixes: EncodingCache
  readonly denoiser: Denoiser
  readonly now: () => number // ms
  /** Who fills gaps instead of the model, and whether the model does where they do not. */
  readonly elsewhere?: { readonly infiller: Infiller; readonly orHere: boolean } | undefined
}

/** What became of one gap. */
export type FilledHole = (
  | { readonly kind: 'completion'; readonly edit: TextEdit }
  | { readonly kind: 'nothing'; readonly reason: string }
) & {
  readonly probabilities: readonly number[] // of its tokens, as they were committed
  readonly ids: readonly number[]
  readonly finish: Finish
  readonly tokens: number // of the middle as the model gave it
}

/** What all gaps of a request cost together; of what was written elsewhere only the time is known. */
export interface Cost {
  readonly writtenBy: string // for the user
  readonly steps: number
  readonly rows: number // computed over all steps
  readonly encodedRows: number
  readonly ms: { readonly encode: number; readonly denoise: number; readonly total: number }
}

export type Filled = FilledHole & Cost
export type FilledHoles = Cost & { readonly holes: readonly FilledHole[] }

/**
 * @param onProgress called after each step with the edit as it would be now, when there is one to show.
 * @throws {Aborted} when the signal fires; context encoded until then is kept.
 * @throws {RangeError} when the offset is outside the text.
 */
export async function fillGap(
  rooms: Rooms,
  { offset, scope, otherThan, ...request }: GapRequest,
  signal: AbortSignal,
  onProgress: (edit: TextEdit) => void = () => {},
): Promise<Filled> {
  const holes = [{ span: { start: offset, end: offset }, scope, ...(otherThan ? { otherThan } : {}) }]
  const filled = await fillHoles(rooms, { ...request, holes }, signal, ([edit]) => {
    if (edit) onProgress(edit)
  })
  const { holes: outcomes, ...cost } = filled
  return { ...outcomes[0]!, ...cost }
}

/**
 * All gaps in one canvas, each in sight of the others.
 *
 * @param onProgress called after each step with the edits as they would be now; `undefined` where there is none to show.
 * @throws {Aborted} when the signal fires; context encoded until then is kept.
 * @throws {RangeError} when a gap is outside the text, or touches another one.
 * @throws {UserError} when they are too far apart.
 */
export async function fillHoles(
  rooms: Rooms,
  request: HolesRequest,
  signal: AbortSignal,
  onProgress: (edits: readonly (TextEdit | undefined)[]) => void = () => {},
): Promise<FilledHoles> {
  const { elsewhere } = rooms
  if (!elsewhere) return fillHere(rooms, request, signal, onProgress)
  try {
    return await fillElsewhere(elsewhere.infiller, rooms.now, request, signal, onProgress)
  } catch (error) {
    if (!elsewhere.orHere || !(error instanceof NoInfill || error instanceof UserError)) throw error
    return fillHere(rooms, request, signal, onProgress)
  }
}

async function fillHere(
  rooms: Rooms,
  request: HolesRequest,
  signal: AbortSignal,
  onProgress: (edits: readonly (TextEdit | undefined)[]) => void,
): Promise<FilledHoles> {
  const { model, denoiser, now } = rooms
  const started = now()
  const encodedBefore = rooms.prefixes.encodedRows + rooms.suffixes.encodedRows
  const spans = request.holes.map(({ span }) => span)
  const plan = planHoles(request.text, spans, model)
  const way = wayOf(model, plan, request.order)
  const finished = (middles: readonly (Progress & { finish?: Finish })[]): Outcome[] => {
    const written = middles.map((progress, i) => {
      const complete = progress.finish === 'ended'
      const ids = complete ? progress.ids : sureRun(progress, request.certainty.show)
      return { text: model.decode(ids), scope: request.holes[i]!.scope, complete }
    })
    return outcomesOf(request, plan, written)
  }
  const leases: Lease[] = []
  const came = areLines(request.holes) ? denoiser.expect() : () => {}
  let denoised: Denoised
  let encoded: number
  try {
    const context = await readContext(rooms, plan, way, signal, leases)
    encoded = now()
    const denoising = denoiser.denoise(denoiseRequest(plan, request, model, way, context), signal, (progress) =>
      onProgress(finished(progress).map(({ edit }) => edit)),
    )
    came()
    denoised = await denoising
  } finally {
    came()
    for (const lease of leases) lease.end()
  }
  const { middles, steps, rows } = denoised
  const holes = finished(middles).map(({ edit, reason }, i): FilledHole => {
    const { ids, probabilities, finish } = middles[i]!
    return {
      ...(edit ? { kind: 'completion', edit } : { kind: 'nothing', reason: reasonOf(reason, middles[i]!) }),
      ...{ probabilities, ids, finish, tokens: ids.length },
    }
  })
  return {
    ...{ holes, writtenBy: model.name },
    steps,
    rows,
    encodedRows: rooms.prefixes.encodedRows + rooms.suffixes.encodedRows - encodedBefore,
    ms: { encode: encoded - started, denoise: now() - encoded, total: now() - started },
  }
}

/** As text: neither ids nor probabilities, so whatever the filters leave is shown. */
async function fillElsewhere(
  infiller: Infiller,
  now: Rooms['now'],
  request: HolesRequest,
  signal: AbortSignal,
  onProgress: (edits: readonly (TextEdit | undefined)[]) => void,
): Promise<FilledHoles> {
  const started = now()
  const { holes: asked, maxTokens } = request
  const spans = asked.map(({ span }) => span)
  const { pieces } = piecesAround(request.text, spans, textWindowSize)
  const plan = { pieces, held: spans.map(() => '') }
  const finished = (written: readonly { text: string; complete: boolean }[]): Outcome[] => {
    const middles = asked.map(({ scope }, i) => ({ text: '', complete: false, ...written[i], scope }))
    return outcomesOf(request, plan, middles)
  }
  const gaps = { pieces, scopes: asked.map(({ scope }) => scope), maxTokens }
  const written = await writeElsewhere(infiller, gaps, signal, (soFar) =>
    onProgress(finished(soFar).map(({ edit }) => edit)),
  )
  const holes = finished(written).map(({ edit, reason }, i): FilledHole => {
    const finish = written[i]!.complete ? 'ended' : 'length'
    return {
      ...(edit
        ? { kind: 'completion', edit }
        : { kind: 'nothing', reason: reasonOf(reason, { finish, ...written[i]! }) }),
      ...{ probabilities: [], ids: [], finish, tokens: 0 },
    }
  })
  const took = now() - started
  const cost = { writtenBy: infiller.shown, steps: 0, rows: 0, encodedRows: 0 }
  return { holes, ...cost, ms: { encode: 0, denoise: took, total: took } }
}

/** What became of a middle: an edit, or why there is none. */
interface Outcome {
  readonly edit: TextEdit | undefined
  readonly reason: string
}

/** @param middles one for each gap, what was held back for it included. */
function outcomesOf(
  { text, holes, languageId }: HolesRequest,
  plan: Pick<HolesPlan, 'pieces' | 'held'>,
  middles: readonly Middle[],
): Outcome[] {
  return finishHoles(plan, middles, languageId).map((one, i) => {
    if (one.kind === 'nothing') return { edit: undefined, reason: one.reason }
    const { start, end } = holes[i]!.span
    const edit = { span: { start, end: end + one.replaceAfter }, text: one.text.replaceAll('\n', lineBreakOf(text)) }
    return { edit, reason: '' }
  })
}

/** How the gaps of a request are filled. */
interface Way {
  readonly order: HoleOrder
  /** Where committed rows write from the left: what they were taught with. */
  readonly drafting: Drafting | undefined
  /** Tokens before the first gap that are rows of its canvas. */
  readonly begun: number
}

function firstOf({ texts, pieces, held }: HolesPlan): Pick<Plan, 'prefixIds' | 'before' | 'held'> {
  return { prefixIds: texts[0]!, before: pieces[0]!, held: held[0]! }
}

/** Rows that write from the left fill gap after gap; for another order all rows see each other. */
function wayOf(model: SessionModel, plan: HolesPlan, wanted: HoleOrder | undefined): Way {
  const order = wanted ?? holeOrderOf(model)
  const drafting = order.kind === 'left-to-right' ? draftingOf(model) : undefined
  return { order, drafting, begun: drafting ? begunOf(model, firstOf(plan)) : 0 }
}

/** Encodings that are exact for as long as the text stays; where there are none, the denoiser reads the text itself. */
async function readContext(
  { model, prefixes, suffixes }: Rooms,
  { texts }: HolesPlan,
  { drafting, begun }: Way,
  signal: AbortSignal,
  leases: Lease[],
): Promise<CanvasContext> {
  switch (model.attention) {
    case 'bidirectional':
      return { kind: 'whole', ...model.whole }
    case 'causal-context': {
      const encodings: CausalContext['encodings'][number][] = []
      // The prefix last: it is the longest, and what an abandoned request leaves behind is of use all the same.
      for (const [i, text] of [...texts.entries()].reverse()) {
        const ids = i === texts.length - 1 ? text : text.slice(0, text.length - 1 - (i === 0 ? begun : 0))
        const lease = await (i === 0 ? prefixes : suffixes).encode(ids, signal)
        leases.push(lease)
        encodings[i] = lease.id
      }
      if (drafting) return { kind: 'drafted', encodings, begun, distance: drafting.distance, keeps: true }
      return { kind: 'causal', encodings }
    }
  }
}

function denoiseRequest(
  { pieces, texts, held }: HolesPlan,
  { text, holes, maxTokens: wanted, certainty }: HolesRequest,
  model: SessionModel,
  { order, drafting, begun }: Way,
  context: CanvasContext,
): DenoiseRequest {
  const { canvasSlots, maskId, endIds, expandId, lineBreakIds, lengthMode, maxPositions, tokenText } = model
  // The last canvas of each must fit too, with all of its slots.
  const told = texts.reduce((sum, { length }) => sum + length, 0)
  const room = Math.floor((maxPositions - told) / holes.length) - (canvasSlots - 1)
  const maxTokens = Math.max(1, Math.min(wanted, room))
  // Where the length is not found by an end, a line break is a token like others, and what follows it is cut off later.
  const lineEnds = lengthMode === 'end-token' ? lineBreakIds : []
  const allAreLines = areLines(holes)
  const recallOf = (i: number): Recall => {
    const { span, scope } = holes[i]!
    const before = toLineFeeds(text.slice(0, span.start))
    return fileNgram(before.slice(0, before.length - held[i]!.length), toLineFeeds(text.slice(span.end)), {
      ...{ held: held[i]!, encode: model.encode, decode: model.decode, endsAtLineBreak: scope === 'line' },
    })
  }
  return {
    texts,
    holes: holes.map(({ scope, otherThan = [] }, i) => ({
      length: drafting ? draftedLength(drafting, i === 0 ? begun : 0) : lengthOf(model, maxTokens),
      maxTokens,
      floor: certainty.giveUp,
      clamp: otherThanClamp(otherThan, heldBackClamp(held[i]!, scope, tokenText), (id) =>
        mayStand(tokenText(id), scope),
      ),
      ...(drafting ? { recall: recallOf(i) } : {}),
      ...(scope === 'line' && !allAreLines ? { ownEndIds: new Set(lineEnds) } : {}),
    })),
    context,
    schedule: scheduleOf(
      model,
      held.some((back, i) => endsInWord({ before: pieces[i]!, held: back })),
    ),
    order,
    maskId,
    // A pass adds up one set for all of its rows: that of line breaks only where each of them may end a middle.
    endIds: new Set([...endIds, ...(allAreLines ? lineEnds : [])]),
    // The denoiser never commits the mask, and an expand token only where it expands.
    forbiddenIds: new Set([...model.forbiddenIds, ...(expandId === undefined ? [] : [expandId])]),
    urgent: allAreLines,
  }
}

/** No end of what is wanted. */
function mayStand(token: string, scope: Scope): boolean {
  return token !== '' && !(scope === 'line' && token.includes('\n'))
}

/** Rests of lines are what a person waits for while typing. */
function areLines(holes: HolesRequest['holes']): boolean {
  return holes.every(({ scope }) => scope === 'line')
}

/** @param middle as ids or as text. */
function reasonOf(
  reason: string,
  { finish, ids = [], text = '' }: { finish: Finish; ids?: readonly number[]; text?: string },
): string {
  if (finish === 'stuck') return 'no likely token fits what is already typed'
  if (finish === 'ended' && ids.length === 0 && text === '') return 'the model left the gap empty'
  return reason
}
