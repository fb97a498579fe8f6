/** What is offered for several gaps: each through the filters, with what stands in the others in place. */
import { expect, test } from 'vitest'
import { finishHoles } from '../../server/infill/finishHoles.ts'
import { type PlanModel, planHoles, type Scope } from '../../server/infill/plan.ts'
import { parseMarked } from '../markup.ts'

/** Ids are UTF-16 code units. */
const model: PlanModel = {
  encode: (text) => Array.from({ length: text.length }, (_, i) => text.charCodeAt(i)),
  documentStartId: undefined,
  prefixTokens: 512,
  suffixTokens: 64,
  maxPositions: 2048,
}

/** The document with what is offered in its gaps; `∅` where that is nothing. */
function check(marked: string, written: readonly string[], shown: string, scope: Scope = 'line', complete = true) {
  const { text, holes } = parseMarked(marked)
  const plan = planHoles(text, holes, model)
  const middles = written.map((one, i) => ({ text: plan.held[i]! + one, scope, complete }))
  const finished = finishHoles(plan, middles, 'typescript')
  let result = ''
  let at = 0
  for (const [i, one] of finished.entries()) {
    const { start, end } = holes[i]!
    result += `${text.slice(at, start)}├${one.kind === 'text' ? one.text : '∅'}┤`
    at = end + (one.kind === 'text' ? one.replaceAfter : 0)
  }
  expect(result + text.slice(at)).toBe(shown)
}

test('each is finished as if it were alone', () => check('f(├┤)\ng(├┤)\n', ['a)', 'b)'], 'f(├a┤)\ng(├b┤)\n'))

test('what replaces text in a gap is no part of what it is finished with', () =>
  check('x = ├old┤\ny = ├older┤\n', ['1', '2'], 'x = ├1┤\ny = ├2┤\n'))

test('a bracket that another gap closes is not closed twice', () => {
  check('call(├┤, ├┤\n', ['(a', 'b))'], 'call(├(a┤, ├b))┤\n')
  check('call(├┤, ├┤\n', ['a', 'b))'], 'call(├a┤, ├b)┤\n')
})

test('the text of a later gap that an earlier one repeats is cut from the earlier', () =>
  check('const value = ├┤;\nreturn ├┤\n', ['first', 'value'], 'const value = ├first┤;\nreturn ├value┤\n'))

test('of two lines that say the same one stays', () =>
  check('  items.push(├┤)\n  ├┤\n', ['item', 'items.push(item)'], '  items.push(├∅┤)\n  ├items.push(item)┤\n'))

test('of a gap that follows no more than its line is seen where no more is wanted', () => {
  check('a(├┤\n├┤\n', ['x)', 'y\nb(z))'], 'a(├x)┤\n├y┤\n')
})

test('nothing where not even what is held back was written', () => {
  const { text, holes } = parseMarked('return ├┤\nx = ├┤')
  const plan = planHoles(text, holes, model)
  expect(plan.held).toEqual([' ', ' '])
  const finished = finishHoles(
    plan,
    ['', 'y'].map((written) => ({ text: written, scope: 'line', complete: false })),
    undefined,
  )
  expect(finished).toEqual([
    { kind: 'nothing', reason: 'the model was not sure enough' },
    { kind: 'nothing', reason: 'the model was not sure enough' },
  ])
})

test('nothing is replaced past the next gap', () => {
  const written = 'a, b).then(c)'
  // As one gap with that text behind it, it takes the place of what it writes itself.
  check('f(├┤, b)\n', [written], 'f(├a, b).then(c)┤\n')
  check('f(├┤, ├┤\n', [written, 'b)'], 'f(├a, b).then(c)┤, ├b┤\n')
})
