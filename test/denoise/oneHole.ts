/** A request with a single hole, flat, as most tests want it. */
import type { Clamp } from '../../server/denoise/commitRules.ts'
import type { DenoiseRequest, Denoiser } from '../../server/denoise/denoiser.ts'
import type { Progress } from '../../server/denoise/hole.ts'
import type { Length } from '../../server/denoise/length.ts'
import type { TokenIds } from '../../server/engine/engine.ts'

export interface OneHole {
  readonly prefixIds: TokenIds
  readonly suffixIds: TokenIds
  readonly context: DenoiseRequest['context']
  readonly length: Length
  readonly maxTokens: number
  readonly floor: number
  readonly maskId: number
  readonly schedule: DenoiseRequest['schedule']
  readonly rules: Pick<DenoiseRequest, 'endIds' | 'forbiddenIds'> & { readonly clamp: Clamp }
  readonly urgent?: boolean
}

export function requestOf({ prefixIds, suffixIds, rules, context, schedule, maskId, ...hole }: OneHole) {
  const { length, maxTokens, floor, urgent = true } = hole
  const { clamp, ...ids } = rules
  return {
    texts: [prefixIds, suffixIds],
    holes: [{ length, maxTokens, floor, clamp }],
    ...{ context, schedule, maskId, urgent, ...ids },
  } satisfies DenoiseRequest
}

export async function fillOne(
  denoiser: Denoiser,
  request: OneHole,
  signal: AbortSignal,
  onStep: (progress: Progress) => void = () => {},
) {
  const { middles, steps, rows } = await denoiser.denoise(requestOf(request), signal, ([one]) => onStep(one!))
  return { ...middles[0]!, steps, rows }
}
