/**
 * Gaps, one or several, from text to finished completions: plan, read the context, denoise, finish. The one place that
 * sees all rooms.
 */
import { UserError } from '../base/errors.ts'
import { toLineFeeds } from '../base/lineFeeds.ts'
import type { Recall } from '../base/recall.ts'
import type { TextEdit } from '../base/spans.ts'
import type { CanvasCache } from '../cache/canvasCache.ts'
import type { EncodingCache, Lease } from '../cache/encodingCache.ts'
import type { CanvasContext } from '../denoise/canvasContext.ts'
import type { CausalContext } from '../denoise/causalSurroundings.ts'
import type { Denoised, DenoiseRequest, Denoiser, OnStep } from '../denoise/denoiser.ts'
import type { DraftedContext } from '../denoise/draftedSurroundings.ts'
import type { Finish, Progress } from '../denoise/hole.ts'
import type { HoleOrder } from '../denoise/holeOrder.ts'
import type { LoopDenoiser } from '../denoise/loopDenoiser.ts'
import { type Infiller, NoInfill } from '../infill/infiller.ts'
import { nearbyNgram } from '../infill/nearbyNgram.ts'
import { endsInWord, type HolesPlan, heldBackClamp, otherThanClamp, planHoles, type Scope } from '../infill/plan.ts'
import { fillElsewhere } from './fillElsewhere.ts'
import {
  type Filled,
  type FilledHoles,
  filledHole,
  type GapRequest,
  type HolesRequest,
  type Outcome,
  outcomesOf,
} from './gaps.ts'
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

export interface Rooms {
  readonly model: SessionModel
  readonly prefixes: EncodingCache
  readonly suffixes: EncodingCache
  /** Without, no row of a canvas outlives its request. */
  readonly canvases?: CanvasCache | undefined
  readonly denoiser: Denoiser
  /** Who fills a single gap in one request, where that is offered; everything else goes step by step. */
  readonly loop?: LoopDenoiser | undefined
  readonly now: () => number // ms
  /** Who fills gaps instead of the model, and whether the model does where they do not. */
  readonly elsewhere?: { readonly infiller: Infiller; readonly orHere: boolean } | undefined
}

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
  const onStep = (progress: readonly Progress[]) => onProgress(finished(progress).map(({ edit }) => edit))
  let encoded = started
  const stepByStep = async (): Promise<Denoised> => {
    const leases: Lease[] = []
    const came = areLines(request.holes) ? denoiser.expect() : () => {}
    try {
      const context = await readContext(rooms, plan, way, signal, leases)
      encoded = now()
      const denoising = denoiser.denoise(denoiseRequest(plan, request, model, way, context), signal, onStep)
      came()
      return await denoising
    } finally {
      came()
      for (const lease of leases) lease.end()
    }
  }
  const denoised = (await writtenWhole(rooms, plan, request, way, signal, onStep)) ?? (await stepByStep())
  const { middles, steps, rows } = denoised
  const holes = finished(middles).map((outcome, i) => filledHole(outcome, middles[i]!))
  return {
    ...{ holes, writtenBy: model.name },
    steps,
    rows,
    encodedRows: rooms.prefixes.encodedRows + rooms.suffixes.encodedRows - encodedBefore,
    ms: { encode: encoded - started, denoise: now() - encoded, total: now() - started },
  }
}

/** How the gaps of a request are filled. */
interface Way {
  readonly order: HoleOrder
  /** Where committed rows write from the left: what they were taught with. */
  readonly drafting: Drafting | undefined
  /** Tokens before the first gap that are rows of its canvas. */
  readonly begun: number
}

/** Rows that write from the left fill gap after gap; for another order all rows see each other. */
function wayOf(model: SessionModel, { texts }: HolesPlan, wanted: HoleOrder | undefined): Way {
  const order = wanted ?? holeOrderOf(model)
  const drafting = order.kind === 'left-to-right' ? draftingOf(model) : undefined
  return { order, drafting, begun: drafting ? begunOf(model, texts[0]!) : 0 }
}

/** By who fills a gap in one request; undefined where nobody does, or not a gap like this. */
async function writtenWhole(
  { loop, model }: Rooms,
  plan: HolesPlan,
  request: HolesRequest,
  way: Way,
  signal: AbortSignal,
  onStep: OnStep,
): Promise<Denoised | undefined> {
  const { drafting, begun } = way
  if (!loop?.available || !drafting) return undefined
  const context = draftedContext(drafting, begun, [])
  return loop.denoise(denoiseRequest(plan, request, model, way, context), signal, onStep)
}

function draftedContext(
  { distance }: Drafting,
  begun: number,
  encodings: DraftedContext['encodings'],
  canvases?: CanvasCache,
): DraftedContext {
  return { kind: 'drafted', encodings, begun, distance, keeps: true, ...(canvases ? { canvases } : {}) }
}

/** Encodings that are exact for as long as the text stays; where there are none, the denoiser reads the text itself. */
async function readContext(
  { model, prefixes, suffixes, canvases }: Rooms,
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
      return drafting ? draftedContext(drafting, begun, encodings, canvases) : { kind: 'causal', encodings }
    }
  }
}

function denoiseRequest(
  { pieces, texts, held }: HolesPlan,
  { text, nearby = [], holes, maxTokens: wanted, certainty }: HolesRequest,
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
    return nearbyNgram(before.slice(0, before.length - held[i]!.length), toLineFeeds(text.slice(span.end)), nearby, {
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
