/** The filters one by one; what they do together stands in `golden/`. */
import { describe, expect, test } from 'vitest'
import { dropControlCharacters } from '../../server/infill/filters/dropControlCharacters.ts'
import { dropHalfMade } from '../../server/infill/filters/dropHalfMade.ts'
import { dropRepetition } from '../../server/infill/filters/dropRepetition.ts'
import { dropSuffixOverlap } from '../../server/infill/filters/dropSuffixOverlap.ts'
import { dropTrailingBlanks } from '../../server/infill/filters/dropTrailingBlanks.ts'
import type { Filter, FinishContext } from '../../server/infill/filters/filter.ts'
import { keepBracketSingle } from '../../server/infill/filters/keepBracketSingle.ts'
import { nothingOpen, readCode } from '../../server/infill/filters/readCode.ts'
import { replacedAfter } from '../../server/infill/filters/replacedAfter.ts'
import { stopAtDedent } from '../../server/infill/filters/stopAtDedent.ts'
import { parseMarked } from '../markup.ts'

function contextAt(marked: string, options: Partial<FinishContext> = {}): FinishContext {
  const { text, cursor } = parseMarked(marked)
  return { before: text.slice(0, cursor), after: text.slice(cursor), scope: 'block', complete: true, ...options }
}

function check(filter: Filter, marked: string, text: string, expected: string, options?: Partial<FinishContext>) {
  expect(filter(text, contextAt(marked, options))).toBe(expected)
}

describe('dropControlCharacters', () => {
  const clean = (text: string) => dropControlCharacters(text, contextAt('║'))

  test.for([
    ['C0, DEL and C1', 'a\u0000\u0007\u001b\r\u007f\u0085b', 'ab'],
    ['direction (Trojan Source)', 'a\u202e\u2066\u2069\u200f\u061cb', 'ab'],
    ['blanks of no width', 'a\u200b\ufeff\u2060\u00adb', 'ab'],
    ['line breaks that editors do not show', '// a\u2028evil()', '// aevil()'],
    ['letters that show nothing', 'const \u3164 = 1', 'const  = 1'],
    ['tags', 'a\u{e0041}\u{e0042}b', 'ab'],
    ['joiners among ASCII', 'a\u200db\u200c', 'ab'],
    ['half a character at the end', 'naïv\ufffd\ufffd', 'naïv'],
    ['half a surrogate pair at the end', 'ok \ud83d', 'ok '],
  ] as const)('drops %s', ([, text, expected]) => expect(clean(text)).toBe(expected))

  test.for(['\tif x:\n\t\ty()', '"👩‍💻 ❤️‍🔥"', '# می‌خواهم', '"क्‍ष"', 'naïve = "日本語"'])('keeps %j', (text) =>
    expect(clean(text)).toBe(text),
  )

  test('trusts no text with a broken character inside', () => {
    expect(clean('a\ufffdb')).toBe('')
    expect(clean('a\ud83db')).toBe('')
  })
})

describe('dropTrailingBlanks', () => {
  test('on every line', () => check(dropTrailingBlanks, '║', 'a  \n\t\nb\t\n\n', 'a\n\nb'))
  test('of a blank text', () => check(dropTrailingBlanks, 'f(║)', ' \n ', ''))
  test('but not in front of text', () => check(dropTrailingBlanks, 'if ║{', '(x) ', '(x) '))
  test('in front of a blank', () => check(dropTrailingBlanks, 'if ║ {', '(x) ', '(x)'))
  test('but not the line break in front of a bracket', () =>
    check(dropTrailingBlanks, 'f({║})', '\n  a,\n', '\n  a,\n'))
})

describe('dropSuffixOverlap', () => {
  test('cuts the longest', () => check(dropSuffixOverlap, 'f(║, b, b)', 'a, b, b)', 'a'))
  test('cuts an operator and its blank', () => check(dropSuffixOverlap, 'x = a ║+ c', '* b + ', '* b '))
  test('keeps half an operator', () => check(dropSuffixOverlap, 'if a ║= b:', '=', '='))
  test('cuts in a for head', () => check(dropSuffixOverlap, 'for (║;;)', 'let i = 0;', 'let i = 0'))
  test('keeps a blank', () => check(dropSuffixOverlap, 'a ║ b', 'c ', 'c '))
  test('keeps a bracket of its own', () => check(dropSuffixOverlap, 'f(║);', 'g();', 'g();'))
  test('keeps a digit of another number', () => check(dropSuffixOverlap, 'x = ║0', '10', '10'))
  test('keeps rows of data', () => check(dropSuffixOverlap, '[\n  0,\n  ║\n  0,\n]', '1,\n  0,', '1,\n  0,'))
  test('cuts a line below', () => check(dropSuffixOverlap, 'a()\n║\n\nend()\n', 'b()\n\nend()', 'b()\n'))
  test('keeps the beginning of a line below', () => check(dropSuffixOverlap, '║\nvalues = 1', 'x\nval', 'x\nval'))
  test('cuts that beginning from a text cut short', () =>
    check(dropSuffixOverlap, '║\nvalues = 1', 'x\nval', 'x', { complete: false }))
})

describe('keepBracketSingle', () => {
  test('of two', () => check(keepBracketSingle, 'f(g(║))', 'x))', 'x'))
  test('but for one of its own', () => check(keepBracketSingle, 'f(║)', 'g(x)', 'g(x)'))
  test('and the one an outer bracket needs', () => check(keepBracketSingle, 'f(g(║)', 'x)', 'x)'))
  test('over a line', () => check(keepBracketSingle, 'f(\n  g(║)\n)', 'x)', 'x'))
  test('where an outer bracket is open above', () => check(keepBracketSingle, 'f(g(\n  x║)\n', ', y)', ', y)'))
  test('of a tag', () => check(keepBracketSingle, '<div ║></div>', 'id="a">', 'id="a"'))
  test('not of a type inside a type', () => check(keepBracketSingle, 'Vec<Option<║>', 'u8>', 'u8>'))
  test('in a string with a smile', () => check(keepBracketSingle, 'x = "a ║"', ':)', ':)'))
  test('in a pattern of a shell', () =>
    check(keepBracketSingle, 'case $1 in\n  ║', 'stop)', 'stop)', { languageId: 'shellscript' }))
  test('in a comment', () => check(keepBracketSingle, '// see f(║)\n', 'x, y)', 'x, y'))
  test('but not one of its own in a comment', () => check(keepBracketSingle, '// see f(║)\n', 'g(x)', 'g(x)'))
  test('nor in a list of prose', () => check(keepBracketSingle, '// 1║) one\n', ' (a)', ' (a)'))
  test('of the next line', () => check(keepBracketSingle, 'return {║\n}\n', ' nil }', ' nil '))
  test('but not where that closes something else', () =>
    check(keepBracketSingle, 'if (x) {\n  f([║\n}\n', ' a]', ' a]'))
  test('nor one of its own in front of it', () =>
    check(keepBracketSingle, 'x = {║\n}\n', '\n  a: { b }', '\n  a: { b }'))
  test('a backquote of a shell', () =>
    check(keepBracketSingle, 'x=`║`\n', 'git "$x"`', 'git "$x"', { languageId: 'shellscript' }))
  test('drops one of another kind', () => check(keepBracketSingle, 'x = [1, ║', '2)', '2'))
})

describe('dropRepetition', () => {
  test('of a word', () => check(dropRepetition, '║', 'x = the the the', ''))
  test('not of a word twice', () => check(dropRepetition, '║', 'long long x', 'long long x'))
  test('not of numbers', () => check(dropRepetition, '║', '0 0 0 0', '0 0 0 0'))
  test('of lines and nothing else', () => check(dropRepetition, '║', 'step()\nstep()\nstep()\nstep()', ''))
  test('not of a line twice', () => check(dropRepetition, '║', 'step()\nstep()', 'step()\nstep()'))
  test('of the line above, its beginning typed', () => check(dropRepetition, 'next(1)\nn║', 'ext(1)', ''))
  test('not of a brace above', () => check(dropRepetition, '  }\n║', '  }', '  }'))
  test('of the line below, around the cursor', () => check(dropRepetition, 'send(║)\nsend(text)', 'text', ''))
  test('not of a part of the line above', () => check(dropRepetition, 'value = foo(1)\n║', 'foo(1)', 'foo(1)'))
})

describe('stopAtDedent', () => {
  test('not for a line', () => check(stopAtDedent, '  ║', 'a\nb', 'a\nb', { scope: 'line' }))
  test('where the text brings its indentation', () =>
    check(stopAtDedent, 'if x:\n║', '    a\n    b\nc', '    a\n    b'))
  test('by columns, tabs or blanks', () => check(stopAtDedent, '\t║', 'a\n    b\n  c', 'a\n    b'))
  test('not at a closing line', () => check(stopAtDedent, '  ║', 'a\n}\n\nb', 'a\n}\n'))
})

describe('dropHalfMade', () => {
  const halves = { complete: false }
  test('drops a word at the end', () => check(dropHalfMade, '║', 'foo(ba', 'foo(', halves))
  test('drops it with half a character', () => check(dropHalfMade, '║', 'foo(ba\ufffd', 'foo(', halves))
  test('drops the dot before it too', () => check(dropHalfMade, '║', 'self.items.pu', 'self.items', halves))
  test('drops a dot that waits', () => check(dropHalfMade, '║', 'self.items.', 'self.items', halves))
  test('keeps an ellipsis', () => check(dropHalfMade, '║', 'f(...', 'f(...', halves))
  test('keeps a word the document has', () => check(dropHalfMade, 'bar ║', 'foo(bar', 'foo(bar', halves))
  test('keeps the only word', () => check(dropHalfMade, '║', 'fo', 'fo', halves))
  test('keeps all of a complete text', () => check(dropHalfMade, '║', 'foo(ba', 'foo(ba'))
})

describe('replacedAfter', () => {
  test.for([
    ['f(║)', 'x', 0],
    ['f(║)', 'x).g(y)', 1],
    ['f(║);', 'x).g(y);', 2],
    ['f(║) ', 'x)[0]', 1],
    ['f(║);', 'x).g(y)', 1],
    ['f(║, b)', 'x, g(b)', 0],
    ['x = ║b + c', 'a * b + c - d', 5],
    ['x = ║b', 'abc - d', 0],
    ['f(║', 'x)', 0],
  ] as const)('in %j for %j is %i', ([marked, text, expected]) => {
    expect(replacedAfter(text, contextAt(marked))).toBe(expected)
  })
})

describe('readCode', () => {
  const open = (text: string, languageId?: string) => readCode(text, nothingOpen, languageId).open.brackets.join('')

  test.for([
    ['f(a[', undefined, ')]'],
    ['f("(", \'[\', `{`', undefined, ')'],
    ['f( // (\n[', undefined, ')]'],
    ['f( /* ( \n ( */ {', undefined, ')}'],
    ["<p>Don't</p>\nf(", undefined, ')'],
    ['/\\(/.test(', undefined, ')'],
    ['f(a // b, [', 'python', ')]'],
    ['"""(\n\'(" """ {', 'python', '}'],
    ['# (\nf(', 'python', ')'],
    ["f<'a>(x: &'a str, '(', '\\'', {", 'rust', ')}'],
    ['-- (\nf(', 'lua', ')'],
    ['f([)', undefined, ''],
    ["(a 'b ; (\n", 'emacs-lisp', ')'],
  ] as const)('%j in %s leaves %j open', ([text, languageId, expected]) =>
    expect(open(text, languageId)).toBe(expected),
  )

  test('finds the first trouble', () => {
    expect(readCode('(])', nothingOpen).troubleOffset).toBe(1)
    expect(readCode('f("a)\n', nothingOpen).troubleOffset).toBe(2)
    expect(readCode('f("a")', nothingOpen).troubleOffset).toBe(6)
  })
})
