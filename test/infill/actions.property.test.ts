/** Code actions at any place of any text: they are offered or not, never fail, and touch nothing but their places. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { applyEdit, splitsSurrogates, type TextEdit } from '../../server/base/spans.ts'
import { actionNames, NotHere, type Prepared } from '../../server/infill/actions/action.ts'
import { listActions, prepareAction } from '../../server/infill/actions/actions.ts'
import { editsOf, layOut } from '../../server/infill/actions/layOut.ts'

const pieces =
  'def f(a, b):|function g(a = 1) {|}|{|(|)|[|]|, |x|x = |"|\'|`|"""|# |// |/* |*/|TODO|pass|...|___|return |if (x) {|=> |🦊|é|\t|    |\n|\r\n|\n\n|\r|.|0.2|class A:|fn h() -> u8 {|end|;|\\'.split(
    '|',
  )
const texts = fc.array(fc.constantFrom(...pieces), { maxLength: 60 }).map((some) => some.join(''))
const languages = fc.constantFrom('python', 'typescript', 'rust', 'go', 'c', 'lua', 'ruby', 'css', 'emacs-lisp', '')

const places = fc.record({ text: texts, languageId: languages, at: fc.nat(), length: fc.nat(12) }).map((given) => {
  const { text, languageId } = given
  const whole = (offset: number) => (splitsSurrogates(text, offset) ? offset - 1 : offset)
  const start = whole(given.at % (text.length + 1))
  return {
    text,
    languageId,
    selection: { start, end: Math.max(start, whole(Math.min(text.length, start + given.length))) },
  }
})

function tried(work: () => Prepared): Prepared | undefined {
  try {
    return work()
  } catch (error) {
    if (error instanceof NotHere) return undefined
    throw error
  }
}

/** Document and holes in one; the same places in both. */
test('what is read is the document with its changes open; edits are in order, and whole characters', () => {
  let prepared = 0
  fc.assert(
    fc.property(places, fc.constantFrom(...actionNames), fc.boolean(), (place, name, hasWish) => {
      const one = tried(() =>
        prepareAction({ name, ...place, ...(hasWish ? { wish: 'better' } : {}), message: 'wrong' }),
      )
      if (!one) return
      prepared++
      const { text } = place
      const laid = layOut(text, one)
      let last = -1
      for (const { span } of laid.holes) {
        expect(span.start, 'text between any two holes').toBeGreaterThan(last)
        expect(span.end).toBe(span.start)
        last = span.start
      }
      for (const { span } of one.changes) {
        expect(splitsSurrogates(text, span.start) || splitsSurrogates(text, span.end)).toBe(false)
      }
      const filled = laid.holes.map((_, i) => ({ text: `filled${i}`, replaceAfter: 0, probability: 1 / (i + 2) }))
      const edits = editsOf(text, one, filled)
      let end = 0
      for (const edit of edits) {
        expect(edit.span.start).toBeGreaterThanOrEqual(end)
        expect(edit.span.end).toBeGreaterThanOrEqual(edit.span.start)
        end = edit.span.end
      }
      expect(end).toBeLessThanOrEqual(text.length)
      // With the hints taken out again, what was read and filled is what comes of the document.
      if (one.changes.some(({ fill }) => fill.kind === 'name')) return
      const bare = layOut(text, { ...one, hints: [] })
      const own = bare.holes.map(({ span }, i): TextEdit => ({ span, text: `filled${i}` }))
      expect(edits.reduceRight(applyEdit, text)).toBe(own.reduceRight(applyEdit, bare.text))
    }),
    { numRuns: 1200, seed: 6 },
  )
  expect(prepared, 'actions that made sense').toBeGreaterThan(200)
})

test('what is offered can be prepared; no more than five, whatever stands around', () => {
  let offered = 0
  fc.assert(
    fc.property(places, fc.boolean(), (place, asksWish) => {
      const diagnostics = [{ span: place.selection, message: 'wrong' }]
      const offers = listActions({ ...place, diagnostics, asksWish }).filter(({ disabled }) => disabled === undefined)
      expect(offers.length).toBeLessThanOrEqual(5)
      for (const { name, span = place.selection, message } of offers) {
        offered++
        const wish = name === 'change' && asksWish ? { wish: 'better' } : {}
        const one = tried(() =>
          prepareAction({ ...place, name, selection: span, ...(message ? { message } : {}), ...wish }),
        )
        // Which names are taken, and which calls there are, is looked up when it is done.
        if (!one) expect(['rename', 'introduceParameter']).toContain(name)
      }
    }),
    { numRuns: 700, seed: 7 },
  )
  expect(offered).toBeGreaterThan(700)
})

test('in a long document the same is offered as in a short one', () => {
  const filler = '🦊 = "x"  # filler\r\n'.repeat(4000)
  const text = 'def f(a):\n    return g(a, )\n'
  const at = filler.length + text.indexOf('a, ') + 3
  const near = { languageId: 'python', diagnostics: [], asksWish: false }
  const alone = listActions({ ...near, text, selection: { start: at - filler.length, end: at - filler.length } })
  const within = listActions({ ...near, text: filler + text + filler, selection: { start: at, end: at } })
  expect(within).toEqual(alone)
  expect(alone.map(({ name }) => name)).toContain('completeArguments')
})
