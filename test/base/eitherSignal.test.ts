import { getEventListeners } from 'node:events'
import { expect, test } from 'vitest'
import { eitherSignal } from '../../server/base/eitherSignal.ts'
import { Aborted } from '../../server/base/errors.ts'

test('fires with the first of both', () => {
  for (const first of [0, 1]) {
    const two = [new AbortController(), new AbortController()] as const
    const { signal } = eitherSignal(two[0].signal, two[1].signal)
    expect(signal.aborted).toBe(false)
    two[first]!.abort(new Aborted('superseded'))
    two[1 - first]!.abort(new Aborted('closed'))
    expect(signal.reason).toMatchObject({ why: 'superseded' })
  }
  const fired = AbortSignal.abort(new Aborted('closed'))
  expect(eitherSignal(new AbortController().signal, fired).signal.reason).toBe(fired.reason)
})

test('leaves nothing behind', () => {
  const long = new AbortController().signal
  const { end } = eitherSignal(new AbortController().signal, long)
  expect(getEventListeners(long, 'abort')).toHaveLength(1)
  end()
  expect(getEventListeners(long, 'abort')).toEqual([])
})
