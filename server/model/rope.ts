/** Rotary position embedding: how fast each pair of a head's numbers turns, with the scalings of public models. */

/** `config.json`: `rope_theta`, and `rope_scaling` where it is not null. Lengths are positions. */
export interface Rope {
  readonly theta: number
  readonly scaling?: RopeScaling
}

export type RopeScaling =
  | { readonly kind: 'linear'; readonly factor: number }
  | {
      readonly kind: 'llama3'
      readonly factor: number
      readonly lowFrequencyFactor: number
      readonly highFrequencyFactor: number
      readonly originalLength: number
    }
  | {
      readonly kind: 'yarn'
      readonly factor: number
      readonly betaFast: number
      readonly betaSlow: number
      readonly originalLength: number
      readonly amplitude: number // of cos and sin
    }

/**
 * @returns `inverseFrequencies [headDim/2]` in radians per position, and what cos and sin are multiplied by.
 * Source: transformers `modeling_rope_utils.py`.
 */
export function ropeOf(
  { theta, scaling }: Rope,
  headDim: number,
): { readonly inverseFrequencies: readonly number[]; readonly amplitude: number } {
  const plain = Array.from({ length: headDim / 2 }, (_, i) =>
    // As the public code rounds it: a last bit here is 3e-3 of a logit at position 30,000.
    Math.fround(1 / Math.fround(Math.fround(theta) ** Math.fround((2 * i) / headDim))),
  )
  if (!scaling) return { inverseFrequencies: plain, amplitude: 1 }
  switch (scaling.kind) {
    case 'linear':
      return { inverseFrequencies: plain.map((frequency) => frequency / scaling.factor), amplitude: 1 }
    case 'llama3': {
      const { factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalLength } = scaling
      const scaled = (frequency: number): number => {
        const turns = (originalLength * frequency) / (2 * Math.PI) // over the original length
        if (turns > high) return frequency
        if (turns < low) return frequency / factor
        const share = (turns - low) / (high - low)
        return ((1 - share) * frequency) / factor + share * frequency
      }
      return { inverseFrequencies: plain.map(scaled), amplitude: 1 }
    }
    case 'yarn': {
      const { factor, betaFast, betaSlow, originalLength, amplitude } = scaling
      const pairOf = (turns: number): number =>
        (headDim * Math.log(originalLength / (turns * 2 * Math.PI))) / (2 * Math.log(theta))
      const first = Math.max(0, Math.floor(pairOf(betaFast)))
      const last = Math.min(headDim - 1, Math.ceil(pairOf(betaSlow)))
      const scaled = (frequency: number, i: number): number => {
        const slowed = Math.max(0, Math.min(1, (i - first) / Math.max(last - first, 0.001)))
        return (frequency / factor) * slowed + frequency * (1 - slowed)
      }
      return { inverseFrequencies: plain.map(scaled), amplitude }
    }
  }
}
