/**
 * Code actions without a model: what is offered where, what stands open in the text that the model reads, and what becomes
 * of the document with given fills. `║` cursor, `«»` selection, `├┤` a hole.
 */
import { describe, expect, test } from 'vitest'
import { applyEdit } from '../../server/base/spans.ts'
import { type ActionName, NotHere } from '../../server/infill/actions/action.ts'
import { listActions, prepareAction } from '../../server/infill/actions/actions.ts'
import { editsOf, layOut } from '../../server/infill/actions/layOut.ts'
import { parseMarked } from '../markup.ts'

interface Options {
  readonly language?: string
  readonly message?: string
  readonly wish?: string
  /** What the text in each hole takes the place of behind it. */
  readonly replaceAfter?: number
  /** Of each fill; the same for all when left out. */
  readonly probabilities?: readonly number[]
}

function place(marked: string) {
  const { text, cursor, selection } = parseMarked(marked)
  return { text, selection: selection ?? { start: cursor!, end: cursor! } }
}

function prepare(name: ActionName, marked: string, { language = 'python', message, wish }: Options = {}) {
  const { text, selection } = place(marked)
  const request = {
    ...{ name, text, selection, languageId: language },
    ...(message ? { message } : {}),
    ...(wish ? { wish } : {}),
  }
  return { text, prepared: prepareAction(request) }
}

/** The text as the model reads it. */
function read(name: ActionName, marked: string, options: Options = {}): string {
  const { text, prepared } = prepare(name, marked, options)
  const { text: laid, holes } = layOut(text, prepared)
  return holes.reduceRight((now, { span }) => `${now.slice(0, span.start)}├┤${now.slice(span.end)}`, laid)
}

/** The document with the holes filled. */
function carriedOut(name: ActionName, marked: string, fills: readonly (string | undefined)[], options: Options = {}) {
  const { text, prepared } = prepare(name, marked, options)
  expect(layOut(text, prepared).holes).toHaveLength(fills.length)
  const { replaceAfter = 0, probabilities = [] } = options
  const filled = fills.map((fill, i) =>
    fill === undefined ? undefined : { text: fill, replaceAfter, probability: probabilities[i] ?? 0.5 },
  )
  return editsOf(text, prepared, filled).reduceRight(applyEdit, text)
}

function offered(marked: string, language = 'python', asksWish = false, diagnostics: string[] = []): string[] {
  const { text, selection } = place(marked)
  const own = diagnostics.map((message) => ({ message, span: selection }))
  const offers = listActions({ text, languageId: language, selection, diagnostics: own, asksWish })
  return offers.map(({ title, disabled }) => (disabled ? `(${title})` : title))
}

describe('what is offered', () => {
  test.each([
    ['x = ║\n', ['Fill here']],
    ['x = f(║)\n', ['Fill here', 'Complete this argument list']],
    ['def f(a):║\n', ['Fill here', 'Complete this body', 'Document this function']],
    ['def f(║a):\n    pass\n', ['Fill here', 'Complete this body', 'Rename a consistently', 'Document this function']],
    ['def f(a):\n    """Does."""\n    ║return a\n', ['Fill here', 'Complete this body']],
    ['def f(a):║\n    """Does."""\n', ['Fill here', 'Complete this body']],
    ['def f():\n    ║pass\n', ['Fill the placeholder', 'Complete this body']],
    [
      '«x = ...\ny = ...\n»',
      ['Fill 2 placeholders together', 'Rewrite the selection', '(Change the selection as I say)'],
    ],
    ['«total» = 1\n', ['Rewrite the selection', 'Rename total consistently', '(Change the selection as I say)']],
    [
      '# sort them by age\n«people.sort()»\n',
      ['Rewrite the selection', 'Change the selection as the comment above says'],
    ],
    [
      'def f(a):\n    return a * «0.2»\n',
      ['Rewrite the selection', 'Introduce a parameter', '(Change the selection as I say)'],
    ],
    ['x.na║me\n', ['Fill here']],
    ['# a comment ║of words\n', ['Fill here']],
    ['║', ['Fill here']],
  ])('%j', (marked, titles) => {
    expect(offered(marked)).toEqual(titles)
  })

  test('a wish that the client asks for', () => {
    expect(offered('«x»\n', 'python', true)).toContain('Change the selection as I say…')
  })

  test('two diagnostics at most, no more than five actions, a long message cut', () => {
    const titles = offered('def f(a, b=║g()):\n    pass\n', 'python', false, ['one', 'two', 'three'])
    expect(titles.slice(0, 2)).toEqual(['Fix: one', 'Fix: two'])
    expect(titles).toHaveLength(5)
    expect(offered('║x\n', 'python', false, [`${'long '.repeat(30)}\nsecond line`])[0]).toHaveLength(
      'Fix: '.length + 60,
    )
  })

  test('a message is cut between characters: half of one is no JSON to many clients', () => {
    const span = { start: 0, end: 1 }
    const messages = [`${'a'.repeat(58)}🦊 and more`, `${'b'.repeat(299)}🦊`]
    const diagnostics = messages.map((message) => ({ span, message }))
    const offers = listActions({ text: 'x\n', languageId: 'python', selection: span, diagnostics, asksWish: false })
    const [long, longer] = offers.filter(({ name }) => name === 'fix')
    expect(long!.title).toBe(`Fix: ${'a'.repeat(58)}…`)
    expect(longer!.message).toBe('b'.repeat(299))
  })
})

describe('fill', () => {
  const check = (marked: string, wanted: string, language = 'python') =>
    expect(read('fill', marked, { language })).toBe(wanted)
  test('at the cursor: the rest of a line', () => check('x = f(║) # all\n', 'x = f(├┤) # all\n'))
  test('each kind of placeholder', () => {
    check('def f():\n    ║pass\n', 'def f():\n    ├┤\n')
    check('def f(): ║...\n', 'def f(): ├┤\n')
    check('x = g(_║__, 1)\n', 'x = g(├┤, 1)\n')
    check('raise NotImplementedError║("later")\n', '├┤\n')
    check('f(/* …║ */)\n', 'f(├┤)\n', 'typescript')
    check('let x = todo!║("x");\n', 'let x = ├┤;\n', 'rust')
    check("  throw new Error('║not implemented')\n", '  ├┤\n', 'javascript')
    check('x = TODO║\n', 'x = ├┤\n')
  })
  test('what a TODO says stands before it while the model reads, and is not put in', () => {
    const marked = '{\r\n\t// TODO: parse the ║header\r\n}\r\n'
    check(marked, '{\r\n\t// parse the header\r\n\t├┤\r\n}\r\n', 'typescript')
    expect(carriedOut('fill', marked, ['go()'], { language: 'typescript' })).toBe('{\r\n\tgo()\r\n}\r\n')
  })
  test('several together; one that is not found stays', () => {
    const marked = '«x = ...\ny = ...\n»z = ...\n'
    check(marked, 'x = ├┤\ny = ├┤\nz = ...\n')
    expect(carriedOut('fill', marked, ['1', '2'])).toBe('x = 1\ny = 2\nz = ...\n')
    expect(carriedOut('fill', marked, [undefined, '2'])).toBe('x = ...\ny = 2\nz = ...\n')
    expect(() => carriedOut('fill', marked, [undefined, undefined])).toThrow('found nothing')
  })
  test('spreads, rests, strings and words are no placeholders', () => {
    for (const [line, language] of [
      ['f(║...args)', 'typescript'],
      ['int f(char *a, ║...);', 'c'],
      ['x = "║..."', 'python'],
      ['bypass║ = 1', 'python'],
      ['func f(a ║...int) {}', 'go'],
    ] as const) {
      expect(read('fill', `${line}\n`, { language }), line).toBe(`${line.replace('║', '├┤')}\n`)
    }
  })
  test('on a blank line a block, of which what follows is replaced too', () => {
    const { prepared } = prepare('fill', 'def f():\n    ║\n')
    expect(prepared.changes[0]!.fill).toEqual({ kind: 'hole', scope: 'block' })
    expect(carriedOut('fill', 'f(║)\n', ['a).then(b)'], { replaceAfter: 1 })).toBe('f(a).then(b)\n')
  })
})

describe('rewrite and change', () => {
  test('blanks at the ends of the selection stay', () => {
    expect(read('rewrite', 'if x:\n«    a()\n    b()\n»c()\n')).toBe('if x:\n    ├┤\nc()\n')
    expect(carriedOut('rewrite', 'x = «a + b»;\r\n', ['🦊'])).toBe('x = 🦊;\r\n')
  })
  test('the same again is said, not done', () => {
    expect(() => carriedOut('rewrite', 'x = «a»\n', ['a'])).toThrow('The model would write the same.')
  })
  test('a wish of two lines, with the indentation of what is selected', () => {
    const options = { wish: 'sort by age\n oldest first ', language: 'go' }
    const marked = '\tif x {\n\t\t«sort(p)»\n\t}\n'
    expect(read('change', marked, options)).toBe('\tif x {\n\t\t// sort by age\n\t\t// oldest first\n\t\t├┤\n\t}\n')
    expect(carriedOut('change', marked, ['sortByAge(p)'], options)).toBe('\tif x {\n\t\tsortByAge(p)\n\t}\n')
  })
  test('a wish cannot end its comment', () => {
    const options = { wish: 'red */ } body { x', language: 'css' }
    expect(read('change', 'a { «color: blue» }\n', options)).toBe('/* red  } body { x */\na { ├┤ }\n')
  })
  test('without a wish, the comment above; without one, a word on what to do', () => {
    expect(read('change', '# upper case\n«x»\n')).toBe('# upper case\n├┤\n')
    expect(() => read('change', 'y = 1\n«x»\n')).toThrow(NotHere)
  })
})

describe('completeBody', () => {
  const check = (marked: string, wanted: string, language = 'typescript') =>
    expect(read('completeBody', marked, { language })).toBe(wanted)
  test('an empty one, by braces and by indentation', () => {
    check('function f(a) {║}\n', 'function f(a) {\n  ├┤\n}\n')
    check(
      '\tclass A {\n\t\tgo(a: number): void {║\n\t\t}\n\t}\r\n',
      '\tclass A {\n\t\tgo(a: number): void {\n\t\t\t├┤\n\t\t}\n\t}\r\n',
    )
    check('def f(a):║', 'def f(a):\n    ├┤', 'python')
    check('def f(a):\n  x = 1\n\ndef g(a):\n  ║pass\n', 'def f(a):\n  x = 1\n\ndef g(a):\n  ├┤\n', 'python')
    check('local function add(a, b)║\nend\n', 'local function add(a, b)\n  ├┤\nend\n', 'lua')
    check('fn f(a: u8) -> u8 {\r\n    // TODO║\r\n}\r\n', 'fn f(a: u8) -> u8 {\r\n    ├┤\r\n}\r\n', 'rust')
  })
  test('behind the last statement of one that has begun', () => {
    check('const f = (a) => {\n  let x = a║\n}\n', 'const f = (a) => {\n  let x = a\n  ├┤\n}\n')
    check('function f(a) { let x = a║ }\n', 'function f(a) { let x = a\n  ├┤\n}\n')
    check(
      'def f(a):\n    if a:\n        b║()\n\nf(1)\n',
      'def f(a):\n    if a:\n        b()\n    ├┤\n\nf(1)\n',
      'python',
    )
  })
  test('an empty block of another kind; no object', () => {
    check('if (x) {║}\n', 'if (x) {\n  ├┤\n}\n')
    expect(() => read('completeBody', 'const x = {║}\n', { language: 'typescript' })).toThrow(NotHere)
  })
})

describe('completeArguments', () => {
  const check = (marked: string, wanted: string, language = 'typescript') =>
    expect(read('completeArguments', marked, { language })).toBe(wanted)
  test('an empty list, one that has begun, one that ends in a comma', () => {
    check('foo(║)\n', 'foo(├┤)\n')
    check('foo( ║ )\n', 'foo(├┤)\n')
    check('foo(a║)\n', 'foo(a, ├┤)\n')
    check('foo(║a, [b, c])\n', 'foo(a, [b, c], ├┤)\n')
    check('foo(a,║)\n', 'foo(a, ├┤)\n')
    check('foo(a, ║)\n', 'foo(a, ├┤)\n')
    check('foo(\n  a,║\n)\n', 'foo(\n  a, ├┤\n)\n')
    check('a.b(c(║))\n', 'a.b(c(├┤))\n')
  })
  test('conditions and parameters are none', () => {
    for (const [line, language] of [
      ['if (║) {}', 'typescript'],
      ['while (a║) {}', 'typescript'],
      ['function f(║) {}', 'typescript'],
      ['def f(║): pass', 'python'],
      ['x = (║)', 'python'],
    ] as const) {
      expect(() => read('completeArguments', `${line}\n`, { language }), line).toThrow(NotHere)
    }
  })
})

describe('fix', () => {
  test('the word that is meant, and what is said of it', () => {
    const options = { message: "Cannot find name 'nmae'.\nDid you mean 'name'?", language: 'typescript' }
    const marked = '  return «nmae» + 1\n'
    expect(read('fix', marked, options)).toBe(
      "  // Cannot find name 'nmae'.\n  // Did you mean 'name'?\n  return ├┤ + 1\n",
    )
    expect(carriedOut('fix', marked, ['name, other'], options), 'a name for a name').toBe('  return name + 1\n')
    expect(() => carriedOut('fix', marked, ['nmae'], options), 'another one').toThrow(NotHere)
    const wrongType = { ...options, message: 'A string is wanted here.' }
    expect(carriedOut('fix', marked, ["String(name) + ''"], wrongType)).toBe("  return String(name) + '' + 1\n")
  })
  test('a place is the line from there on, several lines are a block', () => {
    expect(read('fix', '\tf(a«»\r\n\tb\r\n', { message: 'expected )' })).toBe('\t# expected )\r\n\tf(a├┤\r\n\tb\r\n')
    expect(prepare('fix', 'a(«\n  b\n»c)\n').prepared.changes[0]!.fill).toEqual({ kind: 'hole', scope: 'block' })
    expect(() => read('fix', `«${'\n'.repeat(20)}»`)).toThrow('too many lines')
  })
})

describe('rename', () => {
  const check = (marked: string, wanted: string, language = 'python') =>
    expect(
      carriedOut('rename', marked, Array(read('rename', marked, { language }).split('├┤').length - 1).fill('fresh'), {
        language,
      }),
    ).toBe(wanted)
  test('a parameter where it is bound, not beyond; no member, no key, no string', () => {
    check(
      'def f(x, y=1):\n    print(x.x, "x", g(x=x))  # x\n    return x║\n\nx = 2\n',
      'def f(fresh, y=1):\n    print(fresh.x, "x", g(x=fresh))  # x\n    return fresh\n\nx = 2\n',
    )
  })
  test('the whole file where nothing around it binds it', () => {
    check(
      'const a║ = 1\nfunction f() { return a + b.a }\n',
      'const fresh = 1\nfunction f() { return fresh + b.a }\n',
      'typescript',
    )
  })
  test('a name as its language writes it, and no other that begins or ends like it', () => {
    check(
      "(defun foo-bar? (x) (foo-bar x))\n(foo-bar?║ 'foo-bar? :foo-bar?) ; foo-bar?\n",
      "(defun fresh (x) (foo-bar x))\n(fresh 'fresh :foo-bar?) ; foo-bar?\n",
      'emacs-lisp',
    )
    check('(-> x (f x)) `(,x . ,x║)\n', '(-> fresh (f fresh)) `(,fresh . ,fresh)\n', 'clojure')
    check(
      'def f(x)\n  empty = empty?(x)\n  @empty = empty║ ? 1 : 2 if empty!=3\nend\n',
      'def f(x)\n  fresh = empty?(x)\n  @empty = fresh ? 1 : 2 if fresh!=3\nend\n',
      'ruby',
    )
    check('def ok?(x)\n  x\nend\nok║?(1) if ok\n', 'def fresh(x)\n  x\nend\nfresh(1) if ok\n', 'ruby')
    check('x=1\necho $x║ $xy\n', 'fresh=1\necho $fresh $xy\n', 'shellscript')
    check(
      'class A {\n  #x = 1\n  f(x║) { return this.#x + x + $x + x\u0301 }\n}\n',
      'class A {\n  #x = 1\n  f(fresh) { return this.#x + fresh + $x + x\u0301 }\n}\n',
      'javascript',
    )
    expect(() => read('rename', '(setq x ║12)\n', { language: 'emacs-lisp' })).toThrow('no name here')
  })
  test.each([
    ['python', 'def f(x║):\n    return f"{x}"\n'],
    ['python', 'def f(x║):\n    return f"{a} {b + x:>3}"\n'],
    ['typescript', 'function f(x║) { return `a ${'.concat('g(x)}` }\n')],
    ['ruby', 'def f(x║)\n  x + "#{x}"\nend\n'],
    ['shellscript', 'x║=1\necho "$x"\n'],
    ['kotlin', 'fun f(x║: Int) { print("$x") }\n'],
    ['php', 'function f($x║) { return "a $x"; }\n'],
  ])('is left to others where the name may be code in a string: %s %j', (languageId, marked) => {
    expect(() => read('rename', marked, { language: languageId })).toThrow('stands in a string')
  })
  test('words of a string, and of comments, are no code', () => {
    check('def f(x║):\n    return "x" + "{xy}"  # {x} $x\n', 'def f(fresh):\n    return "x" + "{xy}"  # {x} $x\n')
  })
  test('a dollar that says what kind a name is stays', () => {
    const marked = 'function f($x) { return $x║; }\n'
    expect(carriedOut('rename', marked, ['y', '$z'], { language: 'php', probabilities: [0.9, 0.1] })).toBe(
      'function f($z) { return $z; }\n',
    )
  })
  test('four are asked, none of the others tells the old name', () => {
    expect(read('rename', 'def f(old║):\n    a(old)\n    b(old)\n    c(old)\n    d(old)\n')).toBe(
      'def f(├┤):\n    a(├┤)\n    b(├┤)\n    c(├┤)\n    d(_)\n',
    )
  })
  test('the surest name that is free; a longer text is cut behind it', () => {
    const marked = 'def f(x║, taken):\n    return x\n'
    const names = (fills: string[], probabilities: number[]) => carriedOut('rename', marked, fills, { probabilities })
    expect(names(['a', 'b = 2'], [0.2, 0.3])).toBe('def f(b, taken):\n    return b\n')
    expect(names(['a', 'taken'], [0.2, 0.9])).toBe('def f(a, taken):\n    return a\n')
    expect(() => names(['x', 'return'], [0.9, 0.9])).toThrow('no other name that is free')
  })
  test('a name that is a key as well is left to others', () => {
    expect(() => read('rename', 'const a║ = 1\nf({ a, b })\n', { language: 'typescript' })).toThrow('key of an object')
    expect(read('rename', 'function f({ b }, a║) { return a }\n', { language: 'typescript' })).toBe(
      'function f({ b }, ├┤) { return ├┤ }\n',
    )
  })
})

describe('introduceParameter', () => {
  test('declared, used, and handed over by every call', () => {
    const marked = 'def price(x):\n    return x * «0.2»\n\nprint(price(5), price(g(1), ))\n'
    expect(read('introduceParameter', marked)).toBe(
      'def price(x, ├┤):\n    return x * ├┤\n\nprint(price(5, 0.2), price(g(1), 0.2, ))\n',
    )
    expect(carriedOut('introduceParameter', marked, ['rate', 'rate'])).toBe(
      'def price(x, rate):\n    return x * rate\n\nprint(price(5, 0.2), price(g(1), 0.2, ))\n',
    )
  })
  test('with the type that the value has', () => {
    const marked = 'function f() {\r\n  return «"a"»\r\n}\r\nf()\r\n'
    expect(carriedOut('introduceParameter', marked, ['text', undefined], { language: 'typescript' })).toBe(
      'function f(text: string) {\r\n  return text\r\n}\r\nf("a")\r\n',
    )
  })
  const changed = (marked: string, language: string) =>
    carriedOut('introduceParameter', marked, ['rate', undefined], { language })
  test('a call on something else is another’s', () => {
    expect(
      changed('def price(x):\n    return x * «2»\n\nif price(5):\n    shop.price(1) + shop().price(3)\n', 'python'),
    ).toBe('def price(x, rate):\n    return x * rate\n\nif price(5, 2):\n    shop.price(1) + shop().price(3)\n')
    expect(changed('const price = (x) => {\n  return x * «2»\n}\nf(...price(5), shop?.price(1))\n', 'javascript')).toBe(
      'const price = (x, rate) => {\n  return x * rate\n}\nf(...price(5, 2), shop?.price(1))\n',
    )
    expect(changed('local function f(x)\n  return x * «2»\nend\nf(1)\no.f(1)\no:f(1)\n', 'lua')).toBe(
      'local function f(x, rate)\n  return x * rate\nend\nf(1, 2)\no.f(1)\no:f(1)\n',
    )
  })
  test('a method is called on its own, and not by its name alone', () => {
    const python = 'class A:\n    def p(self, x):\n        return x * «2»\n\n    def q(self):\n        return '
    expect(changed(`${python}self.p(1) + A.p(self, 3) + p(4)\n`, 'python')).toBe(
      `${python.replace('x)', 'x, rate)').replace('«2»', 'rate')}self.p(1, 2) + A.p(self, 3, 2) + p(4)\n`,
    )
    const script = 'class A {\n  p(x) {\n    return x * «2»\n  }\n  q() {\n    return '
    expect(changed(`${script}this.p(1) + p(4)\n  }\n}\n`, 'typescript')).toBe(
      `${script.replace('x)', 'x, rate: number)').replace('«2»', 'rate')}this.p(1, 2) + p(4)\n  }\n}\n`,
    )
  })
  test('a method is called on what can only be an instance of its class', () => {
    const python = 'class A:\n    def p(self, x):\n        return x * «2»\n\n'
    const there = python.replace('x)', 'x, rate)').replace('«2»', 'rate')
    expect(changed(`${python}a = A(g(1))\nprint(a)\na.p(1) + A().p(3) + (A()).p(4)\n`, 'python')).toBe(
      `${there}a = A(g(1))\nprint(a)\na.p(1, 2) + A().p(3, 2) + (A()).p(4, 2)\n`,
    )
    const script = 'class A {\n  p(x) {\n    return x * «2»\n  }\n}\n'
    const then = script.replace('x)', 'x, rate)').replace('«2»', 'rate')
    expect(
      changed(`${script}const a = new A(1);\na?.p(1) + new A().p(3) + (new A()).p(4) + f(a)\n`, 'javascript'),
    ).toBe(`${then}const a = new A(1);\na?.p(1, 2) + new A().p(3, 2) + (new A()).p(4, 2) + f(a)\n`)
  })
  test.each([
    ['bound twice', 'a = A()\na = B()\na.p(1)\n'],
    ['bound to what was made of one', 'a = A().copy()\na.p(1)\n'],
    ['bound to one or another', 'a = A() or B()\na.p(1)\n'],
    ['a parameter', 'a = A()\n\ndef f(a):\n    a.p(1)\n'],
    ['a parameter with a type', 'def f(a: A):\n    a.p(1)\n'],
    ['a parameter of a lambda', 'a = A()\nf = lambda a: a.p(1)\n'],
    ['what a loop goes through', 'a = A()\nfor a in b:\n    a.p(1)\n'],
    ['what a with is entered as', 'a = A()\nwith b as a:\n    a.p(1)\n'],
    ['imported', 'a = A()\nfrom b import a\na.p(1)\n'],
    ['bound beside another', 'a = A()\nb, a = c\na.p(1)\n'],
    ['a class that is bound anew', 'A = wrap(A)\nA().p(1)\n'],
    ['a class that is imported too', 'from b import A\nA().p(1)\n'],
    ['of another module', 'b.A().p(1)\n'],
    ['what a call returns', 'f(A()).p(1)\n'],
    ['a member', 'b.a = A()\nb.a.p(1)\n'],
  ])('not on what may be something else: %s', (_, rest) => {
    const marked = `class A:\n    def p(self, x):\n        return x * «2»\n\n${rest}`
    expect(() => read('introduceParameter', marked, { language: 'python' })).toThrow(NotHere)
  })
  test('nor are names alike that only look like one another', () => {
    expect(changed('function M.f(x)\n  return x * «2»\nend\nM.f(1)\nMxf(1)\nstring.f(1)\nf(3)\n', 'lua')).toBe(
      'function M.f(x, rate)\n  return x * rate\nend\nM.f(1, 2)\nMxf(1)\nstring.f(1)\nf(3)\n',
    )
    expect(changed('function M:f(x)\n  return self:f(x - «2»)\nend\n', 'lua')).toBe(
      'function M:f(x, rate)\n  return self:f(x - rate, 2)\nend\n',
    )
    expect(changed('def ok?(x)\n  x > «2»\nend\nok?(1) && ok(1) && ok!(1) && self.ok?(3)\n', 'ruby')).toBe(
      'def ok?(x, rate)\n  x > rate\nend\nok?(1, 2) && ok(1) && ok!(1) && self.ok?(3, 2)\n',
    )
  })
  test.each([
    [
      'a method on something that may have it too',
      'class A:\n    def p(self):\n        return «2»\n\na.p()\n',
      'python',
    ],
    [
      'another class’s self',
      'class A:\n    def p(self):\n        return «2»\n\nclass B:\n    def q(self):\n        self.p()\n',
      'python',
    ],
    ['a method on an instance', 'function M:f(x)\n  return x * «2»\nend\no:f(1)\n', 'lua'],
    ['an object’s method on another', 'const o = {\n  p(x) {\n    return x * «2»\n  },\n}\no.p(1)\n', 'javascript'],
    ['Ruby without parentheses', 'def p(x)\n  x > «2»\nend\np 1\n', 'ruby'],
    ['Lua without parentheses', 'local function p(x)\n  return x .. «2»\nend\np"a"\n', 'lua'],
    ['two of a name', 'def p(x):\n    return «2»\n\nclass B:\n    def p(self):\n        pass\n', 'python'],
    [
      'one function in several ways',
      'function p(x: string): void\nfunction p(x: any) {\n  return x * «2»\n}\n',
      'typescript',
    ],
    [
      'what an interface wants',
      'interface I {\n  p(x: any): void\n}\nfunction p(x) {\n  return x * «2»\n}\n',
      'typescript',
    ],
    [
      'what is called by another name',
      'class A {\n  constructor(x) {\n    this.x = «2»\n  }\n}\nnew A(1)\n',
      'javascript',
    ],
  ])('not where it cannot be told whose a call is: %s', (_, marked, language) => {
    expect(() => read('introduceParameter', marked, { language })).toThrow(NotHere)
  })
  test('not where the value cannot be handed over by its place', () => {
    for (const marked of [
      'def f(*all):\n    return «1»\n',
      'def f(a=1):\n    return «1»\n',
      'def f(a):\n    return «a»\n',
      'x = «1»\n',
      'def f(a):\n    return «1»\n\nf(a=2)\n',
    ]) {
      expect(() => read('introduceParameter', marked), marked).toThrow(NotHere)
    }
  })
})

describe('document', () => {
  const check = (marked: string, wanted: string, language: string) =>
    expect(carriedOut('document', marked, ['Says it.'], { language })).toBe(wanted)
  test('where each language has it', () => {
    check(
      'class A:\n    def f(self,\n          a):║\n        pass\n',
      'class A:\n    def f(self,\n          a):\n        """Says it."""\n        pass\n',
      'python',
    )
    check(
      '\tfunction f(║a) {\r\n\t}\r\n',
      '\t/**\r\n\t * Says it.\r\n\t */\r\n\tfunction f(a) {\r\n\t}\r\n',
      'javascript',
    )
    check('func (t *T) Do(a int) ║int {\n}\n', '// Do Says it.\nfunc (t *T) Do(a int) int {\n}\n', 'go')
    check('  pub fn go(║) {\n  }\n', '  /// Says it.\n  pub fn go() {\n  }\n', 'rust')
    check('function a.b(║)\nend\n', '--- Says it.\nfunction a.b()\nend\n', 'lua')
  })
  test('not twice, and not for the lines of a body', () => {
    for (const [marked, language] of [
      ['/** Does. */\nfunction f(║) {\n}\n', 'javascript'],
      ['/// Does.\n#[test]\nfn f(║) {\n}\n', 'rust'],
      ['def f():║\n    """Does."""\n', 'python'],
      ['def f():\n    x = 1║\n', 'python'],
      ['x = 1║\n', 'python'],
    ] as const) {
      expect(() => read('document', marked, { language }), marked).toThrow(NotHere)
    }
  })
})
