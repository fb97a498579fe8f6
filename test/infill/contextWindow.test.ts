import fc from 'fast-check'
import { expect, test } from 'vitest'
import { splitsSurrogates } from '../../server/base/spans.ts'
import { contextWindow } from '../../server/infill/contextWindow.ts'

const size = { prefix: 48, jump: 64, suffix: 32 }
/** Lines of all lengths, pairs of surrogates and CRLF among them. */
const anyText = fc
  .array(fc.oneof(fc.constantFrom('\n', '\r\n', '😀', '😀😀😀', 'x'.repeat(50), '𝒳y'), fc.string({ maxLength: 40 })), {
    maxLength: 30,
  })
  .map((parts) => parts.join(''))
const place = fc.tuple(anyText, fc.nat()).map(([text, at]) => ({ text, offset: at % (text.length + 1) }))

const boundaryOf = (offset: number): number => Math.floor(Math.max(0, offset - size.prefix) / size.jump)

test('of an empty file is empty', () => {
  expect(contextWindow('', 0, size)).toEqual({ start: 0, end: 0 })
})

test('starts with the file where the cursor is near its top', () => {
  const text = 'line\n'.repeat(100)
  for (const offset of [0, 1, 48, 111]) expect(contextWindow(text, offset, size).start).toBe(0)
  expect(contextWindow(text, 112, size).start).toBe(65)
})

test('starts at a line start otherwise', () => {
  const text = 'a line of text\n'.repeat(100)
  for (let offset = 112; offset < text.length; offset++) {
    const { start } = contextWindow(text, offset, size)
    expect(text[start - 1]).toBe('\n')
  }
})

test('reads enough on both sides, and not much more', () => {
  fc.assert(
    fc.property(place, ({ text, offset }) => {
      const { start, end } = contextWindow(text, offset, size)
      expect(start).toBeGreaterThanOrEqual(0)
      expect(end).toBeLessThanOrEqual(text.length)
      expect(offset - start).toBeGreaterThanOrEqual(Math.min(offset, size.prefix / 2))
      expect(offset - start).toBeLessThanOrEqual(size.prefix + size.jump + 1)
      expect(end - offset).toBeLessThanOrEqual(size.suffix)
      expect(end - offset).toBeGreaterThanOrEqual(Math.min(text.length - offset, size.suffix - 1))
    }),
  )
})

test('never cuts a pair of surrogates', () => {
  fc.assert(
    fc.property(place, ({ text, offset }) => {
      const { start, end } = contextWindow(text, offset, size)
      expect(splitsSurrogates(text, start)).toBe(false)
      if (end > offset) expect(splitsSurrogates(text, end)).toBe(false)
    }),
  )
})

test('stays where it starts while the user types, except at a jump', () => {
  fc.assert(
    fc.property(place, fc.constantFrom('x', '\n', ' ', '😀', '\r\n'), ({ text, offset }, typed) => {
      const after = text.slice(0, offset) + typed + text.slice(offset)
      fc.pre(boundaryOf(offset) === boundaryOf(offset + typed.length))
      expect(contextWindow(after, offset + typed.length, size).start).toBe(contextWindow(text, offset, size).start)
    }),
    { numRuns: 500 },
  )
})

test('stays where it starts while the cursor moves, except at a jump, whatever the lines are', () => {
  for (const line of ['', 'short', 'x'.repeat(40), 'x'.repeat(90), 'x'.repeat(500)]) {
    const text = `${line}\n`.repeat(Math.ceil(2000 / (line.length + 1)))
    const starts = new Map<number, Set<number>>()
    for (let offset = 0; offset <= text.length; offset++) {
      const jump = boundaryOf(offset)
      starts.set(jump, (starts.get(jump) ?? new Set()).add(contextWindow(text, offset, size).start))
    }
    for (const [jump, found] of starts) expect([...found], `line of ${line.length}, jump ${jump}`).toHaveLength(1)
  }
})

test('of a line of 100,000 characters is a part of it', () => {
  const text = 'x'.repeat(100_000)
  expect(contextWindow(text, 50_000, size)).toEqual({ start: 49_920, end: 50_032 })
  const pairs = '😀'.repeat(50_000)
  const { start, end } = contextWindow(`y${pairs}`, 50_001, size)
  expect([splitsSurrogates(`y${pairs}`, start), splitsSurrogates(`y${pairs}`, end)]).toEqual([false, false])
})

test('refuses an offset outside the text', () => {
  for (const offset of [-1, 4, Number.NaN]) expect(() => contextWindow('abc', offset, size)).toThrow(RangeError)
})
