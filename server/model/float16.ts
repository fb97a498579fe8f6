/** Half precision (IEEE 754 binary16) as bit patterns in a `Uint16Array`; Node 20 has no type for it. */

const floatBits = new Float32Array(1)
const intBits = new Uint32Array(floatBits.buffer)

/** Bits of the half nearest to `value`, ties to even. Beyond ±65,520 that is ±Infinity. */
export function toHalf(value: number): number {
  floatBits[0] = value
  const bits = intBits[0]!
  const sign = (bits >>> 16) & 0x8000
  const exponent = (bits >>> 23) & 0xff
  const fraction = bits & 0x7fffff
  if (exponent === 0xff) return sign | 0x7c00 | (fraction === 0 ? 0 : 0x200)
  const shifted = exponent - 112 // the exponent a half has for it
  if (shifted >= 31) return sign | 0x7c00
  if (shifted >= 1) return sign | roundedShift((shifted << 23) | fraction, 13) // a carry moves into the exponent, as it should
  if (shifted < -10) return sign
  return sign | roundedShift(fraction | 0x800000, 14 - shifted) // subnormal
}

function roundedShift(bits: number, by: number): number {
  const kept = bits >>> by
  const rest = bits & ((1 << by) - 1)
  const half = 1 << (by - 1)
  return rest > half || (rest === half && kept & 1) ? kept + 1 : kept
}

/** Every half is a float32. */
export function fromHalf(half: number): number {
  return table()[half]!
}

let floats: Float32Array | undefined

function table(): Float32Array {
  if (floats) return floats
  const made = new Float32Array(0x10000)
  for (let half = 0; half < 0x10000; half++) {
    const exponent = (half >>> 10) & 31
    const fraction = half & 0x3ff
    const sign = half & 0x8000 ? -1 : 1
    if (exponent === 31) made[half] = fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY
    else made[half] = sign * (exponent === 0 ? fraction * 2 ** -24 : (fraction + 1024) * 2 ** (exponent - 25))
  }
  floats = made
  return made
}

export function toHalves(values: Float32Array): Uint16Array<ArrayBuffer> {
  const halves = new Uint16Array(values.length)
  for (let i = 0; i < values.length; i++) halves[i] = toHalf(values[i]!)
  return halves
}

export function fromHalves(halves: Uint16Array): Float32Array<ArrayBuffer> {
  const all = table()
  const values = new Float32Array(halves.length)
  for (let i = 0; i < halves.length; i++) values[i] = all[halves[i]!]!
  return values
}
