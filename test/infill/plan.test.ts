import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { UserError } from '../../server/base/errors.ts'
import { toLineFeeds } from '../../server/base/lineFeeds.ts'
import {
  endsInWord,
  heldBack,
  heldBackClamp,
  lineBreakOf,
  lineTail,
  otherThanClamp,
  type PlanModel,
  planGap,
  planHoles,
  type Scope,
} from '../../server/infill/plan.ts'
import { resolveModel } from '../../server/model/store.ts'
import { readTokenizer, type Tokenizer } from '../../server/model/tokenizer.ts'
import { parseMarked } from '../markup.ts'

const start = 1000
/** Ids are UTF-16 code units. */
const model: PlanModel = {
  encode: (text) => Array.from({ length: text.length }, (_, i) => text.charCodeAt(i)),
  documentStartId: start,
  prefixTokens: 512,
  suffixTokens: 64,
  maxPositions: 2048,
}

const textOf = (ids: readonly number[]): string =>
  ids.map((id) => (id === start ? '⊢' : String.fromCharCode(id))).join('')

function planOf(marked: string, options: Partial<PlanModel> = {}) {
  const { text, cursor } = parseMarked(marked)
  const { prefixIds, suffixIds, ...rest } = planGap(text, cursor!, { ...model, ...options })
  return { prefix: textOf(prefixIds), suffix: textOf(suffixIds), ...rest }
}

describe('planGap', () => {
  test('reads both sides of the cursor, the start of the file being told', () =>
    expect(planOf('print(║)\n')).toEqual({
      prefix: '⊢print(',
      suffix: ')\n',
      held: '',
      before: 'print(',
      after: ')\n',
    }))

  test('holds back one blank, so that the next token may begin with it', () =>
    expect(planOf('  return ║\n')).toMatchObject({ prefix: '⊢  return', held: ' ', before: '  return ' }))

  test('holds back the line break before an empty line', () =>
    expect(planOf('a:\n║\nb')).toMatchObject({ prefix: '⊢a:', held: '\n', suffix: '\nb' }))

  test('reads CRLF and CR as line feeds', () =>
    expect(planOf('a\r\nb\rc║\r\nd')).toMatchObject({ prefix: '⊢a\nb\nc', suffix: '\nd', after: '\nd' }))

  test('an empty file is its start alone', () =>
    expect(planOf('║')).toMatchObject({ prefix: '⊢', suffix: '', held: '' }))

  test('where a file begins there is a line break for a model that knows no start', () => {
    const documentStartId = undefined
    expect(planOf('║a', { documentStartId })).toMatchObject({ prefix: '\n', suffix: 'a', held: '', before: '' })
    expect(planOf('\n║a', { documentStartId })).toMatchObject({ prefix: '\n', held: '\n' })
    expect(planOf('a║', { documentStartId })).toMatchObject({ prefix: 'a', held: '' })
  })

  test('far from the top of the file its start is not told', () => {
    const { prefix } = planOf(`${'a line\n'.repeat(600)}x║`)
    expect(prefix).not.toContain('⊢')
    expect(prefix.endsWith('a line\nx')).toBe(true)
  })

  test('the suffix has at most its number of tokens', () => {
    expect(planOf(`x║${'y'.repeat(600)}`).suffix).toBe('y'.repeat(64))
    expect(planOf(`x║${'y'.repeat(20)}`).suffix).toBe('y'.repeat(20))
  })

  test('keeps to the budget where a character is a token, in jumps of it', () => {
    const text = 'abcdefg\n'.repeat(400)
    const firsts = new Set<number>()
    for (let offset = 1000; offset < 1700; offset++) {
      const { prefixIds, held } = planGap(text, offset, model)
      expect(prefixIds.length).toBeLessThanOrEqual(768)
      expect(prefixIds.length).toBeGreaterThan(512 - 2)
      firsts.add(offset - held.length - prefixIds.length)
    }
    expect(firsts.size).toBeLessThanOrEqual(5)
  })

  test('has a prefix and fits, however few positions the model has', () => {
    for (const maxPositions of [64, 200, 512, 1000, 4096]) {
      for (let length = 1; length < 1700; length += 13) {
        const { prefixIds } = planGap('x'.repeat(length), length, { ...model, maxPositions })
        expect(prefixIds.length).toBeGreaterThan(0)
        expect(prefixIds.length).toBeLessThanOrEqual(maxPositions / 2)
      }
    }
  })

  test('refuses an offset outside the text', () => {
    expect(() => planGap('abc', 4, model)).toThrow(RangeError)
    expect(() => planGap('abc', -1, model)).toThrow(RangeError)
  })

  test('prefix and what is held are the text left of the cursor', () => {
    const texts = fc.array(fc.constantFrom('a', ' ', '\n', '\t', '  ', '\r\n', 'word', '😀'), { maxLength: 60 })
    fc.assert(
      fc.property(texts, texts, (left, right) => {
        const [before, after] = [left.join(''), right.join('')]
        const plan = planGap(before + after, before.length, model)
        expect(textOf(plan.prefixIds) + plan.held).toBe(`⊢${toLineFeeds(before)}`)
        expect(plan.before).toBe(toLineFeeds(before))
      }),
    )
  })
})

describe('planHoles', () => {
  const holesOf = (marked: string, options: Partial<PlanModel> = {}) => {
    const { text, holes } = parseMarked(marked)
    const { texts, ...rest } = planHoles(text, holes, { ...model, ...options })
    return { texts: texts.map(textOf), ...rest }
  }

  test('reads what stands before, between and after the gaps, each by itself', () =>
    expect(holesOf('const ├x┤ = 1\nf(├a, b┤)\n')).toEqual({
      texts: ['⊢const', ' = 1\nf(', ')\n'],
      pieces: ['const ', ' = 1\nf(', ')\n'],
      held: [' ', ''],
    }))

  test('holds back before each gap', () =>
    expect(holesOf('a\n├┤\nreturn ├┤ + ├┤\n├┤')).toMatchObject({
      texts: ['⊢a', '\nreturn', ' +', '\n', ''],
      held: ['\n', ' ', ' ', ''],
    }))

  test('holds nothing back where nothing would be left', () =>
    expect(holesOf('a├┤ ├┤\n├┤b')).toMatchObject({ texts: ['⊢a', ' ', '\n', 'b'], held: ['', '', ''] }))

  test('only the first piece can begin a document', () => expect(holesOf('├┤x├┤').texts).toEqual(['⊢', 'x', '']))

  test('the window goes from before the first to after the last gap', () => {
    const far = 'a line\n'.repeat(600)
    const { texts, pieces } = holesOf(`${far}├┤${'b'.repeat(500)}├┤${far}`)
    expect(texts.map(({ length }) => length)).toEqual([expect.any(Number), 500, 64])
    expect(pieces[0]!.length).toBeGreaterThanOrEqual(768)
    expect(pieces[2]!.length).toBe(512)
    expect(pieces[0]!).toBe(planGap(far, far.length, model).before)
  })

  test('refuses what is too far apart, and says how far', () => {
    const apart = (count: number) => `a├┤${'x'.repeat(count)}├┤${'y'.repeat(count)}├┤`
    const size = { prefixTokens: 100, maxPositions: 4096 }
    expect(() => holesOf(apart(75), size)).not.toThrow()
    expect(() => holesOf(apart(76), size)).toThrow(UserError)
    expect(() => holesOf(apart(76), size)).toThrow(/has 152 tokens, .* at most 150 there; fill together what is closer/)
    expect(() => holesOf(apart(76), { ...size, maxPositions: 400 })).toThrow(/at most 100/)
  })

  test.each([
    ['an empty text between two gaps', [0, 1], [1, 2]],
    ['gaps that overlap', [0, 2], [1, 3]],
    ['the wrong order', [2, 3], [0, 1]],
    ['a gap past the end', [0, 1], [2, 9]],
    ['a gap that ends before it starts', [0, 1], [3, 2]],
  ])('refuses %s', (_, ...spans) => {
    const gaps = (spans as number[][]).map(([start, end]) => ({ start: start!, end: end! }))
    expect(() => planHoles('abcd', gaps, model)).toThrow(RangeError)
  })

  test('texts and what is held are the document without its gaps; one gap is planned as ever', () => {
    const part = fc.array(fc.constantFrom('a', ' ', '\n', '\t', '  ', '\r\n', 'word', '😀'), { maxLength: 20 })
    const between = part.map((parts) => `${parts.join('')}.`)
    fc.assert(
      fc.property(part, fc.array(fc.tuple(part, between), { minLength: 1, maxLength: 4 }), (first, others) => {
        let text = first.join('')
        const wanted = [toLineFeeds(text)]
        const gaps = others.map(([gap, after]) => {
          const start = text.length
          text += `-${gap.join('')}-`
          const span = { start, end: text.length }
          text += after
          wanted.push(toLineFeeds(after))
          return span
        })
        const plan = planHoles(text, gaps, model)
        expect(plan.pieces).toEqual(wanted)
        expect(plan.texts.map((ids, i) => textOf(ids) + (plan.held[i] ?? '')).join('')).toBe(`⊢${wanted.join('')}`)
        const { start, end } = gaps[0]!
        const alone = planGap(text.slice(0, start) + text.slice(end), start, model)
        expect(planHoles(text, gaps.slice(0, 1), model)).toEqual({
          texts: [alone.prefixIds, alone.suffixIds],
          pieces: [alone.before, alone.after],
          held: [alone.held],
        })
      }),
    )
  })
})

describe('heldBack', () => {
  const cases: [before: string, held: string][] = [
    ['', ''],
    ['x', ''],
    ['return ', ' '],
    ['x  ', ' '],
    ['x\n    ', ' '],
    ['x\t', ''],
    ['x\n\t', ''],
    ['x\n', '\n'],
    ['x  \n', '  \n'],
    ['x\n\n', '\n\n'],
    ['x\n  \n', '\n  \n'],
    ['\n', '\n'],
    [`x${' '.repeat(12)}\n`, '\n'],
    [`x${'\n'.repeat(12)}`, '\n'],
  ]
  for (const [before, held] of cases)
    test(`of ${JSON.stringify(before)} is ${JSON.stringify(held)}`, () => expect(heldBack(before)).toBe(held))
})

describe('endsInWord', () => {
  const check = (marked: string) => {
    const { text, cursor } = parseMarked(marked)
    return endsInWord(planGap(text, cursor!, model))
  }
  for (const word of ['retu║rn', 'x1║', 'snake_║', 'été║', 'a\u0301║']) test(word, () => expect(check(word)).toBe(true))
  for (const other of ['║', 'return ║', 'f(║', 'x =\t║', 'a\n║', '// 😀║'])
    test(`not ${JSON.stringify(other)}`, () => expect(check(other)).toBe(false))
})

describe('heldBackClamp', () => {
  const tokens = ['', ' ', '  ', ' x', '\n', '\n\n', '\n    ', 'x', ' \n', '\n  y\n', '  \n']
  const id = (text: string): number => tokens.indexOf(text)
  const allowed = (held: string, scope: Scope, leading: string[] = []): string[] => {
    const clamp = heldBackClamp(held, scope, (token) => tokens[token]!)
    return tokens.filter((_, token) => clamp.allows(leading.map(id), token))
  }
  const isOver = (held: string, leading: string[]): boolean =>
    heldBackClamp(held, 'line', (token) => tokens[token]!).isOver(leading.map(id))

  test('a token may begin with what is held', () => {
    expect(allowed(' ', 'block')).toEqual([' ', '  ', ' x', ' \n', '  \n'])
    expect(allowed('\n', 'block')).toEqual(['\n', '\n\n', '\n    ', '\n  y\n'])
  })

  test('what it adds holds no line break where the rest of a line is wanted', () => {
    expect(allowed(' ', 'line')).toEqual([' ', '  ', ' x'])
    expect(allowed('\n', 'line')).toEqual(['\n', '\n    '])
    expect(allowed('\n\n', 'line')).toEqual(['\n', '\n\n'])
  })

  test('a token may be a part of what is held, the next go on', () => {
    expect(allowed('  \n', 'line')).toEqual([' ', '  ', '  \n'])
    expect(allowed('  \n', 'line', [' '])).toEqual([' ', ' \n'])
    expect(allowed('  \n', 'line', ['  '])).toEqual(['\n', '\n    '])
  })

  test('is over once it is spelt', () => {
    expect(isOver('', [])).toBe(true)
    expect(isOver(' ', [])).toBe(false)
    expect(isOver(' ', [' x'])).toBe(true)
    expect(isOver('  \n', ['  '])).toBe(false)
    expect(isOver('  \n', ['  ', '\n    '])).toBe(true)
  })
})

describe('with the tokenizer of the embedded model', () => {
  let tokenizer: Tokenizer
  beforeAll(async () => {
    tokenizer = await readTokenizer(await resolveModel())
  })

  test('tokens break as they do in a file', () => {
    const text = 'def f(x):\n    if x:\n        return x + 1\n'
    const whole = tokenizer.encode(text)
    for (const cursor of ['return ', 'x + ', 'if x:\n'].map((left) => text.indexOf(left) + left.length)) {
      const { prefixIds } = planGap(text, cursor, { ...model, encode: tokenizer.encode, documentStartId: undefined })
      expect(prefixIds).toEqual(whole.slice(0, prefixIds.length))
    }
  })

  test('a document that spells special tokens is read as text', () => {
    const encode = tokenizer.encode
    const { prefixIds, suffixIds } = planGap('<|im_start|>a<|endoftext|>', 13, { ...model, encode, documentStartId: 0 })
    expect(prefixIds[0]).toBe(0)
    expect([...prefixIds.slice(1), ...suffixIds].filter((id) => id <= 16)).toEqual([])
  })
})

describe('lineTail', () => {
  const units = (text: string) => [...text].map((unit) => unit.charCodeAt(0))
  const tail = (text: string, most = 8) => lineTail(units(text), most, (id) => String.fromCharCode(id))

  test.each([
    ['a\nbcd', 3],
    ['a\n', 0],
    ['a\nbcdefgh', 7],
    ['a\nbcdefghi', 0], // a whole run: it is read as text
    ['a\nbcdefghij', 1],
    ['abc', 2], // one stands before it
    ['a', 0],
  ])('%j: %d', (text, count) => {
    expect(tail(text)).toBe(count)
  })
})

describe('otherThanClamp', () => {
  const texts = ['', ' ', 'a', 'b', ' a', '\n']
  const held = heldBackClamp(' ', 'line', (id) => texts[id]!)
  const notA = otherThanClamp([4, 2], held, (id) => id !== 0 && id !== 5)

  test('holds to all but the last, then to another one', () => {
    expect([1, 2, 3, 4].filter((id) => notA.allows([], id))).toEqual([4])
    expect([0, 1, 2, 3, 4, 5].filter((id) => notA.allows([4], id))).toEqual([1, 3, 4])
    expect([notA.isOver([]), notA.isOver([4]), notA.isOver([4, 3])]).toEqual([false, false, true])
  })

  test('what is held back begins with another token too', () => {
    const notSpaceA = otherThanClamp([4], held, (id) => id !== 0 && id !== 5)
    expect([0, 1, 2, 3, 4, 5].filter((id) => notSpaceA.allows([], id))).toEqual([1])
    expect(notSpaceA.isOver([1])).toBe(true)
  })

  test('without any is the other clamp', () => {
    expect(otherThanClamp([], held, () => true)).toBe(held)
  })
})

test('toLineFeeds and lineBreakOf', () => {
  expect(toLineFeeds('a\r\nb\rc\n')).toBe('a\nb\nc\n')
  expect(lineBreakOf('a\r\nb\n')).toBe('\r\n')
  expect(lineBreakOf('a\nb\r\n')).toBe('\n')
  expect(lineBreakOf('no line break')).toBe('\n')
  expect(lineBreakOf('\nfirst')).toBe('\n')
})
