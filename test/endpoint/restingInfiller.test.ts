/** After a failure nothing is sent for a while; who asks meanwhile is told at once. */
import { expect, test } from 'vitest'
import { Aborted, UserError } from '../../server/base/errors.ts'
import { RestingInfiller } from '../../server/endpoint/restingInfiller.ts'
import { NoInfill } from '../../server/infill/infiller.ts'
import { ManualClock } from '../base/manualClock.ts'

const gap = { before: '', after: '', scope: 'line', maxTokens: 1 } as const
const signal = new AbortController().signal

function resting(meanwhile: string | null = 'nothing comes') {
  const outcomes: Error[] = []
  const told: string[] = []
  const clock = new ManualClock()
  const counted = { asked: 0 }
  const inner = {
    shown: 'a.example',
    async infill() {
      counted.asked++
      const failure = outcomes.shift()
      if (failure) throw failure
      return { text: 'x', complete: true }
    },
    close() {},
  }
  const onChange = (sentence: string) => void told.push(sentence)
  const infiller = new RestingInfiller(inner, { clock, onChange, meanwhile: meanwhile ?? undefined })
  const ask = () =>
    infiller
      .infill(gap, signal, () => {})
      .then(
        ({ text }) => text,
        (error: Error) => error.message,
      )
  return { outcomes, told, clock, counted, ask }
}

test('is asked again after five seconds, and says so once when it is back', async () => {
  const { outcomes, told, clock, counted, ask } = resting()
  outcomes.push(new NoInfill('gone'), new NoInfill('gone'))
  expect([await ask(), await ask(), counted.asked]).toEqual(['gone', 'gone', 1])
  await clock.pass(5000)
  expect([await ask(), counted.asked]).toEqual(['gone', 2])
  await clock.pass(5000)
  expect([await ask(), await ask(), counted.asked]).toEqual(['x', 'x', 4])
  expect(told).toEqual(['gone; nothing comes', 'a.example: it is back'])
})

test('rests as long as it was told to, and longer where somebody must do something', async () => {
  const { outcomes, told, clock, counted, ask } = resting()
  outcomes.push(new NoInfill('too many', 60_000), new UserError('no token'))
  await ask()
  await clock.pass(59_000)
  expect([await ask(), counted.asked]).toEqual(['too many', 1])
  await clock.pass(1000)
  expect([await ask(), counted.asked]).toEqual(['no token', 2])
  await clock.pass(29_000)
  expect([await ask(), counted.asked]).toEqual(['no token', 2])
  expect(told).toEqual(['too many; nothing comes', 'no token; nothing comes'])
})

test('is not left alone for what was given up, or is a mistake of ours', async () => {
  const { outcomes, told, counted, ask } = resting()
  outcomes.push(new Aborted('superseded'), new TypeError('ours'))
  expect([await ask(), await ask(), await ask(), counted.asked]).toEqual(['superseded', 'ours', 'x', 3])
  expect(told).toEqual([])
})

test('is silent where nobody goes on: who asks is told by the failure', async () => {
  const { outcomes, told, clock, ask } = resting(null)
  outcomes.push(new NoInfill('gone'))
  expect([await ask(), await ask()]).toEqual(['gone', 'gone'])
  await clock.pass(5000)
  await ask()
  expect(told).toEqual(['a.example: it is back'])
})

test('rests at least a second, whatever it was told', async () => {
  const { outcomes, clock, counted, ask } = resting()
  outcomes.push(new NoInfill('too many', 0))
  expect([await ask(), await ask(), counted.asked]).toEqual(['too many', 'too many', 1])
  await clock.pass(1000)
  expect([await ask(), counted.asked]).toEqual(['x', 2])
})
