import { expect, test } from 'vitest'
import { Usage } from '../../server/lsp/usage.ts'

test('shown once, taken in parts whose lengths are told whole, then taken', () => {
  const usage = new Usage()
  const command = usage.offer(10)
  const item = { command }
  usage.shown({ item })
  usage.shown({ item })
  usage.partlyAccepted({ item, acceptedLength: 3 })
  expect(usage.counts).toEqual({ offered: 1, shown: 1, accepted: 0, partlyAccepted: 1, acceptedUnits: 3 })
  usage.partlyAccepted({ item, acceptedLength: 7 })
  usage.partlyAccepted({ item, acceptedLength: 5 })
  expect(usage.counts.acceptedUnits).toBe(7)
  usage.accepted(command.arguments![0])
  usage.accepted(command.arguments![0])
  expect(usage.counts).toEqual({ offered: 1, shown: 1, accepted: 1, partlyAccepted: 0, acceptedUnits: 10 })
})

test('taken whole, part by part', () => {
  const usage = new Usage()
  const item = { command: usage.offer(4) }
  usage.partlyAccepted({ item, acceptedLength: 99 })
  expect(usage.counts).toMatchObject({ accepted: 1, partlyAccepted: 0, acceptedUnits: 4 })
})

test('what is told of no item of ours is not counted', () => {
  const usage = new Usage()
  const { command } = { command: usage.offer(4) }
  for (const params of [undefined, {}, { item: null }, { item: {} }, { item: { command: { arguments: ['x'] } } }]) {
    usage.shown(params as never)
    usage.partlyAccepted(params as never)
  }
  usage.partlyAccepted({ item: { command }, acceptedLength: 1.5 })
  usage.partlyAccepted({ item: { command }, acceptedLength: -1 })
  for (const id of [undefined, null, 'x', 99]) usage.accepted(id)
  for (let i = 0; i < 256; i++) usage.offer(1)
  usage.shown({ item: { command } })
  expect(usage.counts).toEqual({ offered: 257, shown: 0, accepted: 0, partlyAccepted: 0, acceptedUnits: 0 })
})
