import { describe, expect, test } from 'vitest'
import { type Clamp, noClamp } from '../../server/denoise/commitRules.ts'
import { Denoiser } from '../../server/denoise/denoiser.ts'
import { type EarlyEnd, EarlyEndFilling } from '../../server/denoise/earlyEnd.ts'
import { byteIds, knows, ScriptedEngine } from '../engine/scriptedEngine.ts'
import { fillOne } from './oneHole.ts'
import { end, mask, prediction, type Row, row, signs, tops } from './signs.ts'

const anywhere: EarlyEnd['rule'] = { kind: 'anywhere' }
const fromRight: EarlyEnd['rule'] = { kind: 'from-right', sure: 0.7 }

function filling(slots: number, rule: EarlyEnd['rule'], clamp: Clamp = noClamp) {
  const it = new EarlyEndFilling(
    { kind: 'early-end', slots, rule },
    {
      schedule: { kind: 'leftmost-first', threshold: 0.9, window: 4 },
      rules: { endIds: new Set([end, end + 1]), forbiddenIds: new Set([mask]), clamp },
      maskId: mask,
    },
  )
  /** What is said of the asked slots, from the left; the canvas after it, `E` where it has ended. */
  return (...rows: Row[]): string => {
    expect(it.ask()[0]!.slots).toHaveLength(rows.length)
    return `${it.take([prediction(...rows)])} ${signs(it.canvas).replaceAll(String(end), 'E')}`
  }
}

const ends = (probability: number): Row => tops([1], [0.01], probability)

describe('an end anywhere', () => {
  test('closes all that is right of it, and the slots left of it are filled', () => {
    const say = filling(6, anywhere)
    expect(say(row(1, 0.5), row(2, 0.4), ends(0.95), row(4, 0.95))).toBe('open 1_EEEE')
    expect(say(row(2, 0.4))).toBe('ended 12')
  })

  test('may be followed by one further left', () => {
    const say = filling(4, anywhere)
    expect(say(row(1, 0.5), row(2, 0.4), row(3, 0.2), ends(0.95))).toBe('open 1__E')
    expect(say(ends(0.5), row(3, 0.2))).toBe('ended 1')
  })

  test('waits where it is not sure enough, and takes what stood right of it with it', () => {
    const say = filling(4, anywhere)
    expect(say(row(1, 0.5), ends(0.8), row(3, 0.95), row(4, 0.1))).toBe('open 1_3_')
    expect(say(ends(0.8), row(4, 0.1))).toBe('ended 1')
  })

  test('is not needed: a canvas fills up without', () =>
    expect(filling(2, anywhere)(row(1, 0.5), row(2, 0.95))).toBe('filled 12'))
})

describe('ends from the right', () => {
  test('are a run at the right edge, as far as they are sure; the sampler fills what is left', () => {
    const say = filling(6, fromRight)
    expect(say(row(1, 0.5), row(2, 0.4), ends(0.99), ends(0.6), ends(0.8), ends(0.75))).toBe('open 1___EE')
    expect(say(row(2, 0.95), row(3, 0.95), row(4, 0.95))).toBe('ended 1234')
  })

  test('do not stand before a token: the best token is committed in the place of such an end', () => {
    const say = filling(3, fromRight)
    expect(say(ends(0.99), row(2, 0.5), row(3, 0.2))).toBe('open 1__')
    expect(say(row(2, 0.95), row(3, 0.95))).toBe('filled 123')
  })

  test('are all of them however unsure, when no open slot says otherwise', () =>
    expect(filling(3, fromRight)(ends(0.5), ends(0.4), ends(0.3))).toBe('ended '))

  test('stand right of known text only', () => {
    const clamp: Clamp = { isOver: (leading) => leading.length > 0, allows: (_, id) => id === 3 }
    const says = (second: Row) => filling(3, fromRight, clamp)(tops([1, 3], [0.9, 0.01], 0.95), second, ends(0.9))
    expect(says(ends(0.5))).toBe('open 3_E')
    expect(says(ends(0.9))).toBe('ended 3')
  })
})

test.each([anywhere, fromRight])('fills a text that an engine knows, canvas after canvas: $kind', async (rule) => {
  const text = [...Buffer.from('print(value, other)')]
  const denoiser = new Denoiser(new ScriptedEngine(knows(text, (position) => (position % 3 ? 0.95 : 0.6))))
  const request = {
    ...{ prefixIds: text.slice(0, 6), suffixIds: [], maxTokens: 40, floor: 0, maskId: byteIds.mask },
    context: { kind: 'whole', keep: 'nothing', refreshEvery: 1, freshRows: 0 },
    length: { kind: 'early-end', slots: 8, rule },
    schedule: { kind: 'leftmost-first', threshold: 0.9, window: 4 },
    rules: { endIds: new Set([byteIds.end]), forbiddenIds: new Set<number>(), clamp: noClamp },
  } as const
  const { ids, finish } = await fillOne(denoiser, request, new AbortController().signal)
  expect([Buffer.from(ids).toString(), finish]).toEqual(['value, other)', 'ended'])
})
