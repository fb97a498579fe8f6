import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { indentOf, restOfLine } from '../../server/infill/filters/lines.ts'
import { type FinishContext, finish } from '../../server/infill/finish.ts'

const pieces = [
  '(',
  ')',
  '[',
  ']',
  '{',
  '}',
  '<',
  '>',
  '"',
  "'",
  '`',
  '"""',
  ';',
  ',',
  ':',
  '=',
  '//',
  '#',
  '/*',
  '*/',
  '\\',
]
const words = ['a', 'b', 'foo', 'value', 'return x', '0', 'é', '👩‍💻', '\ufffd', '\u200d', '\u202e', '\ud83d', '\u0000']
const blanks = [' ', '\t', '\n', '\n    ', '\n        ', '\n\n', '\n}', '\n    }', '\n    return x', '\n    foo()']
const code = fc
  .array(fc.oneof(fc.constantFrom(...pieces), fc.constantFrom(...words), fc.constantFrom(...blanks)), { maxLength: 14 })
  .map((parts) => parts.join(''))
const contexts: fc.Arbitrary<FinishContext> = fc.record({
  before: code,
  after: code,
  scope: fc.constantFrom('line' as const, 'block' as const),
  complete: fc.boolean(),
  languageId: fc.constantFrom('python', 'typescript', 'rust', 'shellscript', 'lua'),
})
// A text is likeliest to meet the filters when it is made of the document's own end and beginning.
const texts = (context: FinishContext) =>
  fc
    .tuple(code, fc.nat(20), fc.boolean())
    .map(([text, length, echoes]) => text + (echoes ? context.after.slice(0, length) : ''))
const cases = contexts.chain((context) => texts(context).map((text) => ({ text, context })))

describe('for every text', () => {
  test('a finished text is finished', () => {
    fc.assert(
      fc.property(cases, ({ text, context }) => {
        const finished = finish(text, context)
        if (finished.kind === 'text') expect(finish(finished.text, { ...context, complete: true })).toEqual(finished)
      }),
      { numRuns: 2000, seed: 1 },
    )
  })

  test('finishing adds nothing', () => {
    fc.assert(
      fc.property(cases, ({ text, context }) => {
        const finished = finish(text, context)
        if (finished.kind === 'text') expect(isSubsequence(finished.text, text)).toBe(true)
      }),
      { numRuns: 1000, seed: 2 },
    )
  })

  test('the edit stays on the line and shows what it says', () => {
    fc.assert(
      fc.property(cases, ({ text, context }) => {
        const finished = finish(text, context)
        if (finished.kind === 'nothing') return
        expect(finished.text.trim()).not.toBe('')
        expect(finished.text).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u202a-\u202e\ufffd]/)
        expect(finished.text).not.toMatch(/[ \t]\n/)
        expect(finished.text).not.toMatch(/\p{Surrogate}/u)
        if (context.scope === 'line') expect(finished.text).not.toContain('\n')
        expect(finished.replaceAfter).toBeLessThanOrEqual(restOfLine(context).length)
      }),
      { numRuns: 1000, seed: 3 },
    )
  })
})

describe('the reason', () => {
  const context: FinishContext = { before: 'x = ', after: '', scope: 'line', complete: true }

  test.for([
    ['', 'the model left the gap empty'],
    [' \t', 'dropTrailingBlanks left nothing'],
    ['a\ufffdb', 'dropControlCharacters left nothing'],
    ['\nfoo()', 'cutAtLineEnd left nothing'],
    [')', 'keepBracketSingle left nothing'],
  ] as const)('for %j is "%s"', ([text, reason]) => {
    expect(finish(text, context)).toEqual({ kind: 'nothing', reason })
  })

  test('is said of half an escape', () => {
    expect(finish('\\', { ...context, complete: false })).toEqual({
      kind: 'nothing',
      reason: 'dropHalfMade left nothing',
    })
  })
})

test('a tab goes to the next multiple of four', () => {
  expect([' \tx', '\t\tx', '    x', 'x'].map(indentOf)).toEqual([4, 8, 4, 0])
})

function isSubsequence(part: string, whole: string): boolean {
  let at = 0
  for (const unit of whole.split('')) if (unit === part[at]) at++
  return at === part.length
}
