/** One gap from text to finished completion: plan, read the context, denoise, finish. The one place that sees all rooms. */
import type { TextEdit } from '../base/spans.ts'
import type { EncodingCache } from '../cache/encodingCache.ts'
import type { CanvasContext } from '../denoise/canvas.ts'
import type { Denoised, DenoiseRequest, Denoiser } from '../denoise/denoiser.ts'
import type { Finished } from '../infill/finish.ts'
import { finish } from '../infill/finish.ts'
import { heldBackClamp, lineBreakOf, type Plan, type PlanModel, planGap, type Scope } from '../infill/plan.ts'

/** What a session needs to know of its model; plain data from the manifest, and the tokenizer's two ways. */
export interface SessionModel extends PlanModel {
  readonly name: string
  readonly decode: (ids: readonly number[]) => string
  readonly tokenText: (id: number) => string
  readonly maskId: number
  readonly endIds: readonly number[]
  readonly forbiddenIds: readonly number[]
  readonly lineBreakIds: readonly number[]
  readonly canvasSlots: number
  readonly threshold: number
  readonly window: number
}

export interface GapRequest {
  readonly text: string
  readonly offset: number // UTF-16 units
  readonly scope: Scope
  readonly maxTokens: number
  readonly languageId?: string
  /** Default `defaultFloor`. */
  readonly floor?: number
}

/** Below this product of probabilities a line is right in few cases, and showing less of it is better and faster. */
export const defaultFloor = 0.02

export interface Rooms {
  readonly model: SessionModel
  readonly prefixes: EncodingCache
  readonly suffixes: EncodingCache
  readonly denoiser: Denoiser
  readonly now: () => number // ms
}

export type Filled = (
  | { readonly kind: 'completion'; readonly edit: TextEdit }
  | { readonly kind: 'nothing'; readonly reason: string }
) & {
  readonly probability: number // product of its tokens' probabilities as they were committed
  readonly finish: Denoised['finish']
  readonly tokens: number // of the middle as the model gave it
  readonly steps: number
  readonly rows: number // canvas rows over all steps
  readonly encodedRows: number
  readonly ms: { readonly encode: number; readonly denoise: number; readonly total: number }
}

/**
 * @param onProgress called after each step with the edit as it would be now, when there is one to show.
 * @throws {Aborted} when the signal fires; context encoded until then is kept.
 * @throws {RangeError} when the offset is outside the text.
 */
export async function fillGap(
  rooms: Rooms,
  request: GapRequest,
  signal: AbortSignal,
  onProgress: (edit: TextEdit) => void = () => {},
): Promise<Filled> {
  const { model, denoiser, now } = rooms
  const started = now()
  const encodedBefore = rooms.prefixes.encodedRows + rooms.suffixes.encodedRows
  const plan = planGap(request.text, request.offset, model)
  const progress = (leading: readonly number[]) => {
    const edit = editOf(finished(leading, plan, request, model, false), request)
    if (edit) onProgress(edit)
  }
  const suffix = await rooms.suffixes.encode(plan.suffixIds, signal)
  let denoised: Denoised
  let encoded: number
  try {
    const prefix = await rooms.prefixes.encode(plan.prefixIds.slice(0, -1), signal)
    encoded = now()
    const context = { prefix: prefix.id, suffix: suffix.id }
    denoised = await denoiser
      .denoise(denoiseRequest(plan, request, model, context), signal, progress)
      .finally(prefix.end)
  } finally {
    suffix.end()
  }
  const result = finished(denoised.ids, plan, request, model, denoised.finish === 'ended')
  const edit = editOf(result, request)
  return {
    ...(edit ? { kind: 'completion', edit } : { kind: 'nothing', reason: reasonOf(result, denoised.finish) }),
    probability: denoised.probability,
    finish: denoised.finish,
    tokens: denoised.ids.length,
    steps: denoised.steps,
    rows: denoised.rows,
    encodedRows: rooms.prefixes.encodedRows + rooms.suffixes.encodedRows - encodedBefore,
    ms: { encode: encoded - started, denoise: now() - encoded, total: now() - started },
  }
}

function denoiseRequest(
  plan: Plan,
  { scope, maxTokens, floor = defaultFloor }: GapRequest,
  model: SessionModel,
  context: CanvasContext,
): DenoiseRequest {
  const { prefixIds, suffixIds, held } = plan
  const { canvasSlots, maskId, threshold, window, endIds, forbiddenIds, lineBreakIds, tokenText } = model
  return {
    prefixIds,
    suffixIds,
    context,
    canvasSlots,
    maxTokens,
    floor,
    maskId,
    schedule: { threshold, window },
    rules: {
      endIds: new Set(scope === 'line' ? [...endIds, ...lineBreakIds] : endIds),
      forbiddenIds: new Set([maskId, ...forbiddenIds]),
      clamp: heldBackClamp(held, scope, tokenText),
    },
  }
}

function finished(
  ids: readonly number[],
  plan: Plan,
  request: GapRequest,
  model: SessionModel,
  complete: boolean,
): Finished {
  const middle = model.decode(ids)
  if (!middle.startsWith(plan.held))
    return { kind: 'nothing', reason: 'too little was filled to reach past the cursor' }
  return finish(middle.slice(plan.held.length), {
    before: plan.before,
    after: plan.after,
    scope: request.scope,
    complete,
    ...(request.languageId === undefined ? {} : { languageId: request.languageId }),
  })
}

function editOf(result: Finished, { text, offset }: GapRequest): TextEdit | undefined {
  if (result.kind === 'nothing') return undefined
  return {
    span: { start: offset, end: offset + result.replaceAfter },
    text: result.text.replaceAll('\n', lineBreakOf(text)),
  }
}

function reasonOf(result: Finished, end: string): string {
  if (end === 'stuck') return 'no likely token fits what is already typed'
  return result.kind === 'nothing' ? result.reason : ''
}
