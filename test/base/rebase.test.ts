/** Edits of a text that has changed meanwhile. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { rebase } from '../../server/base/rebase.ts'
import { applyEdit } from '../../server/base/spans.ts'

const text = 'one\r\ntwo 🦊\nthree\n'
const edit = { span: { start: text.indexOf('🦊'), end: text.indexOf('🦊') + 2 }, text: 'X' }
const rebased = (changed: string) => rebase([edit], text, changed)?.reduceRight(applyEdit, changed)

test.each([
  ['the same', text, 'one\r\ntwo X\nthree\n'],
  ['above', `zero\n${text}`, 'zero\none\r\ntwo X\nthree\n'],
  ['on the line above', 'ones\r\ntwo 🦊\nthree\n', 'ones\r\ntwo X\nthree\n'],
  ['below', 'one\r\ntwo 🦊\nthree and more\n', 'one\r\ntwo X\nthree and more\n'],
  ['gone above', 'two 🦊\nthree\n', 'two X\nthree\n'],
  ['on its line, before', 'one\r\nto 🦊\nthree\n', undefined],
  ['on its line, behind', 'one\r\ntwo 🦊!\nthree\n', undefined],
  ['its line is gone', 'one\r\nthree\n', undefined],
  ['on both sides', 'One\r\ntwo 🦊\nThree\n', undefined],
])('%s', (_, changed, wanted) => expect(rebased(changed)).toBe(wanted))

test('what is put in front of an empty line, without a line break behind it, touches that line', () => {
  const onEmpty = { span: { start: 1, end: 1 }, text: 'edited' }
  expect(rebase([onEmpty], '\n', '\n\nput in')).toBeUndefined()
  expect(rebase([onEmpty], '\n', 'put in\n\n')).toEqual([{ span: { start: 8, end: 8 }, text: 'edited' }])
})

test('a line put in anywhere else moves an edit with its line', () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ unit: fc.constantFrom('a', 'b', '\t', '🦊') }), { minLength: 2 }),
      fc.nat(),
      fc.nat(),
      (lines, a, b) => {
        const [line, before] = [a % lines.length, b % (lines.length + 1)]
        const start = lines.slice(0, line).join('\n').length + (line > 0 ? 1 : 0)
        const from = lines.join('\n')
        const put = lines.toSpliced(before, 0, 'put in')
        const edits = rebase(
          [{ span: { start, end: start + lines[line]!.length }, text: 'edited' }],
          from,
          put.join('\n'),
        )
        // Between equal lines it cannot be told where the new one stands; then no edit is made.
        if (!edits) return
        expect(edits.reduceRight(applyEdit, put.join('\n'))).toBe(
          put.with(before <= line ? line + 1 : line, 'edited').join('\n'),
        )
      },
    ),
    { numRuns: 1000 },
  )
})
