import { expect, test } from 'vitest'
import { Buffer } from './buffer.ts'

test('an edit is told as a change of what stood there before', () => {
  const buffer = new Buffer('ab\ncd')
  buffer.press({ place: { line: 0, character: 2 }, remove: 0, insert: '' })
  expect(buffer.press({ remove: 1, insert: 'x\n  y' })).toEqual({
    start: { line: 0, character: 1 },
    end: { line: 0, character: 2 },
    text: 'x\n  y',
  })
  expect(buffer.text).toBe('ax\n  y\ncd')
  expect(buffer.cursor).toEqual({ line: 1, character: 3 })
  expect(buffer.line).toBe('  y')
})

test('a move alone is no change', () => {
  expect(new Buffer('a').press({ place: { line: 0, character: 1 }, remove: 0, insert: '' })).toBeUndefined()
})

test('what is right of the cursor can be replaced', () => {
  const buffer = new Buffer('f()')
  buffer.cursor = { line: 0, character: 2 }
  buffer.edit(0, 1, 'x)')
  expect(buffer.text).toBe('f(x)')
  expect(buffer.cursor).toEqual({ line: 0, character: 4 })
})

test('nothing is removed beyond the line', () => {
  expect(() => new Buffer('a\nb').edit(1, 0, '')).toThrow(RangeError)
  expect(() => new Buffer('a\nb').edit(0, 2, '')).toThrow(RangeError)
})
