/**
 * Tokens of a known text, each masked by itself with all the others in sight: what the model gives the one that stands
 * there. Nothing is filled.
 */
import type { Encoding, EncodingId, StepJob, TokenIds } from '../engine/engine.ts'
import type { Denoiser } from './denoiser.ts'

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
 * All in one step.
 *
 * @throws {Aborted} when the signal fires, between two passes.
 */
export async function lookAt(
  denoiser: Denoiser,
  { ids, at, maskId, context }: LookRequest,
  signal: AbortSignal,
): Promise<Look[]> {
  const common = (token: number) => ({ asked: [token], setIds: [], scoreIds: [ids[token]!] })
  const look = (): ReturnType<Denoiser['look']> => {
    switch (context.kind) {
      case 'whole': {
        const positions = ids.map((_, i) => i)
        const jobs = at.map((token) => ({ ids: ids.with(token, maskId), positions, context: [], ...common(token) }))
        return denoiser.look([], () => jobs, signal)
      }
      case 'causal': {
        const { prefix, suffixTokens, distance } = context
        const suffixes = at.map((token) => ({ ids: ids.slice(token + 1, token + 1 + suffixTokens) }))
        const pieces = suffixes.filter((suffix) => suffix.ids.length > 0)
        const jobsOf = (read: readonly Encoding[]) =>
          at.map((token, i): StepJob => {
            const suffix = read[pieces.indexOf(suffixes[i]!)]
            const firstPosition = token + (distance ?? 1)
            const before = ids[token - 1]!
            return {
              ids: distance === undefined ? [before, maskId] : [before],
              positions: distance === undefined ? [token - 1, token] : [token - 1],
              context: [
                ...(suffix ? [{ id: suffix.id, rows: suffix.rows, firstPosition }] : []),
                ...(prefix === undefined || token < 2 ? [] : [{ id: prefix, rows: token - 1, firstPosition: 0 }]),
              ],
              ...common(token),
            }
          })
        return denoiser.look(pieces, jobsOf, signal)
      }
    }
  }
  const predictions = await look()
  return predictions.map(({ scoreLogProbs, topIds }) => ({
    probability: Math.exp(scoreLogProbs[0]!),
    topIds: topIds[0]!,
  }))
}
