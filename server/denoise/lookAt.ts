/**
 * Tokens of a known text, each masked by itself with all the others in sight: what the model gives the one that stands
 * there. Nothing is filled.
 */
import type { EncodingId, Engine, TokenIds } from '../engine/engine.ts'
import { Canvas } from './canvas.ts'
import { type CanvasContext, surround } from './canvasContext.ts'

export interface LookRequest {
  readonly ids: TokenIds // of the whole window
  /** Which of them are asked: indices, none of them 0. */
  readonly at: readonly number[]
  readonly maskId: number
  readonly context: LookContext
}

export type LookContext =
  /** Models whose rows all see each other: the window is one pass for each token. */
  | { readonly kind: 'whole' }
  /** The text before is read once for all, so many tokens of the text behind anew for each. */
  | {
      readonly kind: 'causal'
      /** Encoding of the ids from the first on, as far as the last one that is asked needs it. */
      readonly prefix: EncodingId | undefined
      readonly suffixTokens: number
      /** Where rows write from the left there is no mask: the row before says the token, what follows stands so far behind it. */
      readonly distance?: number
    }

export interface Look {
  readonly probability: number // of the token that stands there
  readonly topIds: TokenIds // best first
}

/**
 * All in one step: a keystroke waits for no more than that.
 *
 * @throws {Aborted} when the signal fires, between two passes.
 */
export async function lookAt(
  engine: Engine,
  { ids, at, maskId, context }: LookRequest,
  signal: AbortSignal,
): Promise<Look[]> {
  const reach = context.kind === 'whole' ? ids.length : context.suffixTokens
  const suffixes = at.map((token) => ids.slice(token + 1, token + 1 + reach))
  const pieces = context.kind === 'whole' ? [] : suffixes.filter(({ length }) => length > 0).map((ids) => ({ ids }))
  const read = pieces.length > 0 ? await engine.encode(pieces, signal) : []
  try {
    const left = [...read]
    const jobs = at.map((token, i) => {
      const texts = [ids.slice(0, token), suffixes[i]!]
      const suffix = suffixes[i]!.length > 0 ? left.shift()?.id : undefined
      const hole = { canvas: new Canvas(1, maskId), slots: [0], draft: { ids: [], beside: 0, behind: 0 } }
      const job = surround(engine, texts, canvasContext(context, token, suffix)).stepJob([hole], [])
      return { ...job, scoreIds: [ids[token]!] }
    })
    const predictions = await engine.step(jobs, signal)
    return predictions.map(({ scoreLogProbs, topIds }) => ({
      probability: Math.exp(scoreLogProbs[0]!),
      topIds: topIds[0]!,
    }))
  } finally {
    engine.release(read.map(({ id }) => id))
  }
}

function canvasContext(context: LookContext, token: number, suffix: EncodingId | undefined): CanvasContext {
  if (context.kind === 'whole') return { kind: 'whole', keep: 'nothing', refreshEvery: 1, freshRows: 0 }
  const { prefix, distance } = context
  const encodings = [token > 1 ? prefix : undefined, suffix] // the token before is a row of the canvas
  if (distance === undefined) return { kind: 'causal', encodings }
  return { kind: 'drafted', encodings, distance, keeps: false }
}
