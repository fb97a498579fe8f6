/** Random numbers from a counter: each is a pure function of what it is for, so none depends on which others were drawn. */

/** `transfer`: whether a slot is committed; `token`: which token; `order`: which slots, one after the other. */
export type Purpose = 'transfer' | 'token' | 'order'

/** In [0, 1). @param index the slot, or the number of the draw. */
export type Uniforms = (step: number, purpose: Purpose, index: number) => number

const purposes: Readonly<Record<Purpose, number>> = { transfer: 1, token: 2, order: 3 }

/** Multiples of 2⁻²⁴: exact in float32. @param stream which canvas of a request: each has numbers of its own. */
export function seededUniforms(seed: number, stream: number): Uniforms {
  const start = chained(chained(0, seed), stream)
  return (step, purpose, index) => {
    const word = chained(chained(chained(start, step), purposes[purpose]), index)
    return (word >>> 8) / 2 ** 24
  }
}

const chained = (word: number, value: number): number => mix(word ^ mix(value + 0x9e3779b9))

/** MurmurHash3's finalizer, one to one on 32 bits. */
function mix(word: number): number {
  let mixed = Math.imul(word ^ (word >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return mixed ^ (mixed >>> 16)
}
