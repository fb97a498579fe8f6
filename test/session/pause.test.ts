import { expect, test } from 'vitest'
import { Pause } from '../../server/session/pause.ts'

const after = (...answers: readonly number[]) => {
  const pause = new Pause()
  for (const ms of answers) pause.took(ms)
  return pause.ms
}

test('is half of what the last answers took, whatever a single one did, and never long', () => {
  expect(after()).toBe(0)
  expect(after(200)).toBe(100)
  expect(after(200, 5000, 220)).toBe(110)
  expect(after(...Array<number>(20).fill(5000), ...Array<number>(9).fill(100))).toBe(50)
  expect(after(60_000)).toBe(300)
})
