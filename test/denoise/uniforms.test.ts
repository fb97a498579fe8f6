import { expect, test } from 'vitest'
import { type Purpose, seededUniforms } from '../../server/denoise/sampling/uniforms.ts'

const purposes: Purpose[] = ['transfer', 'token', 'order']

/** Of 2 seeds, 2 canvases, 16 steps, 3 purposes and 64 slots. */
function all(): number[] {
  const found: number[] = []
  for (const seed of [0, 1])
    for (const stream of [0, 1 << 16]) {
      const uniforms = seededUniforms(seed, stream)
      for (let step = 0; step < 16; step++)
        for (const purpose of purposes) for (let slot = 0; slot < 64; slot++) found.push(uniforms(step, purpose, slot))
    }
  return found
}

test('are below 1, as float32 too, and as good as different from each other', () => {
  const numbers = all()
  for (const number of numbers) {
    expect(number >= 0 && number < 1).toBe(true)
    expect(Math.fround(number)).toBe(number)
  }
  // Of 12,288 numbers out of 2²⁴ about 4 meet another by chance.
  expect(numbers.length - new Set(numbers).size).toBeLessThan(20)
})

test('fall into sixteen parts evenly', () => {
  const numbers = all()
  const parts = Array<number>(16).fill(0)
  for (const number of numbers) parts[Math.trunc(number * 16)]!++
  const each = numbers.length / 16
  const chiSquared = parts.reduce((sum, count) => sum + (count - each) ** 2 / each, 0)
  expect(chiSquared).toBeLessThan(37.7) // 15 degrees of freedom: above in one of 1,000 cases
})

test('depend on nothing but what they are for', () => {
  const [one, other] = [seededUniforms(7, 3), seededUniforms(7, 3)]
  one(0, 'token', 0)
  expect(one(5, 'order', 2)).toBe(other(5, 'order', 2))
})
