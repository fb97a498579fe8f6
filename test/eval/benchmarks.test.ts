/** How benchmarks ask and score: with small problems of our own, and with their own files where LACUNA_BENCHMARKS names them. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { broken, reference } from './answerers/reference.ts'
import type { Answer, Case } from './benchmark.ts'
import {
  againstReference,
  bodyOf,
  comparedScore,
  functionsOf,
  humanEval,
  type PlusRow,
} from './benchmarks/generation.ts'
import { caseOf, humanEvalInfilling, type InfillingRow } from './benchmarks/humanEvalInfilling.ts'
import { readJsonLines } from './benchmarks/jsonLines.ts'
import { sandboxHere } from './sandboxForTests.ts'

const { sandbox, reason } = await sandboxHere()
const skipped = sandbox ? '' : ` (skipped: ${reason})`
const insertion = ({ offset }: Case, text: string): Answer => ({
  edit: { span: { start: offset, end: offset }, text },
  ms: 1,
})
const lines = <Row>(rows: readonly Row[]) => ({
  rows: rows.map((row) => ({ ...row, line: JSON.stringify(row) })),
  file: '',
  sha256: '',
})

const row: InfillingRow = {
  task_id: 'Own/0',
  entry_point: 'larger',
  prompt: 'def larger(a, b):\n    if a > b:\n',
  canonical_solution: '        return a\n',
  suffix: '    return b\n',
  test: 'def check(candidate):\n    assert candidate(1, 2) == 2\n    assert candidate(3, 2) == 3\n',
}

test('a whole line is asked as the text before its line break', () => {
  const { text, offset, truth } = caseOf(row, 'single-line', 'line', 64)
  expect(text.slice(0, offset)).toBe(row.prompt)
  expect(text.slice(offset)).toBe(`\n${row.suffix}`)
  expect(truth).toBe('        return a')
})

test('a span inside a line is asked where it is', () => {
  const span = {
    ...row,
    prompt: 'def larger(a, b):\n    return a i',
    canonical_solution: 'f a > b e',
    suffix: 'lse b\n',
  }
  const { text, offset, truth } = caseOf(span, 'random-span', 'block', 64)
  expect(text.slice(0, offset) + truth + text.slice(offset)).toBe('def larger(a, b):\n    return a if a > b else b\n')
})

describe('what belongs to a function', () => {
  test('of a body', () => {
    expect(bodyOf('    x = 1\n\n    return x\n\ndef next():\n    pass\n')).toBe('    x = 1\n\n    return x\n\n')
    expect(bodyOf('    return [\n        1,\n]\nprint(1)')).toBe('    return [\n        1,\n]\n')
    expect(bodyOf('# done')).toBe('')
  })
  test('of a file', () => {
    const functions = 'import math\n\nLIMIT = 3\n@cached\ndef f(x):\n  return x\n\ndef g():\n  pass\n'
    expect(functionsOf(`${functions}assert f(1) == 1\n`)).toBe(functions)
    expect(functionsOf(`${functions}"""\nnext`)).toBe(functions)
    expect(functionsOf('x == 1\n')).toBe('')
  })
})

describe.skipIf(!sandbox)(`programs are run${skipped}`, () => {
  test('a filled line passes when the tests do; exact match is another thing', async () => {
    const split = { name: 'single-line', lines: lines([row]), scope: 'line', maxTokens: 64 } as const
    const benchmark = humanEvalInfilling([split], sandbox!, { seed: 1 })
    const [gap] = benchmark.cases
    const scored = (text: string) => benchmark.score(gap!, insertion(gap!, text))
    expect(await benchmark.score(gap!, await reference.ask(gap!))).toEqual({
      passed: true,
      timed_out: false,
      exact: true,
      begins: true,
      answered: true,
    })
    expect(await scored('        return a ')).toMatchObject({ passed: true, exact: true })
    expect(await scored('        return max(a, b)')).toMatchObject({ passed: true, exact: false })
    expect(await scored('        return b')).toMatchObject({ passed: false, exact: false })
    expect(await scored('return a')).toMatchObject({ passed: false })
    expect(await benchmark.score(gap!, { ms: 1 })).toMatchObject({ passed: false, answered: false })
    expect(await scored('        raise SystemExit(0)')).toMatchObject({ passed: false })
  })

  test('a whole function passes when its tests do, whatever comes after it', async () => {
    const { task_id, entry_point, test } = { ...row, task_id: 'HumanEval/own' }
    const problem = {
      task_id,
      entry_point,
      test,
      prompt: 'def larger(a, b):\n',
      canonical_solution: '    return max(a, b)\n',
    }
    const benchmark = humanEval(lines([problem]), sandbox!, { seed: 1 })
    const [gap] = benchmark.cases
    expect(await benchmark.score(gap!, await reference.ask(gap!))).toEqual({ passed: true, timed_out: false })
    expect(
      await benchmark.score(gap!, insertion(gap!, '    return a if a > b else b\n\nprint(never_defined)\n')),
    ).toEqual({ passed: true, timed_out: false })
    expect(await benchmark.score(gap!, insertion(gap!, '    return a\n'))).toEqual({ passed: false, timed_out: false })
  })
})

const problem = {
  task_id: 'HumanEval/own',
  entry_point: 'f',
  prompt: 'def f(x):\n',
  canonical_solution: '    return x * 2\n',
  base_input: [[1], [2]] as unknown,
  plus_input: [[-3], [10]] as unknown,
  atol: 0,
}

describe.skipIf(!sandbox)(`outputs against a reference's${skipped}`, () => {
  const compared = (candidate: string, changes: Partial<typeof problem> = {}) =>
    comparedScore({ task_id: 'own', line: JSON.stringify({ ...problem, ...changes }) }, candidate, true, sandbox!)

  test('base and added inputs count apart, and the added ones only with the base', async () => {
    expect(await compared('def f(x):\n    return x + x')).toEqual({ base: true, plus: true })
    expect(await compared('def f(x):\n    return {1: 2, 2: 4}[x]')).toEqual({ base: true, plus: false })
    expect(await compared('def f(x):\n    return x * 2 if x in (-3, 10) else 0')).toEqual({ base: false, plus: false })
    expect(await compared('def g(x):\n    return x * 2')).toEqual({ base: false, plus: false })
    expect(await compared('def f(x:')).toEqual({ base: false, plus: false })
  })

  test('floats are equal within the tolerance, whole numbers exactly', async () => {
    const half = { canonical_solution: '    return [x / 3]\n' }
    expect(await compared('def f(x):\n    return [x / 3 + 5e-7]', half)).toMatchObject({ base: true })
    expect(await compared('def f(x):\n    return [x / 3 + 5e-6]', half)).toMatchObject({ base: false })
    expect(await compared('def f(x):\n    return [x / 3 + 5e-6]', { ...half, atol: 1e-4 })).toMatchObject({
      base: true,
    })
    expect(await compared('def f(x):\n    return (x / 3 + 1e-9,)', half)).toMatchObject({ base: false })
    expect(await compared('def f(x):\n    return x * 2 + 1e-9')).toMatchObject({ base: false })
  })

  test('numbers are those of the file', async () => {
    const line = JSON.stringify(problem).replace('[[1],[2]]', '[[1.0],[9007199254740993],[-Infinity]]')
    const given = (source: string) => comparedScore({ task_id: 'own', line }, source, false, sandbox!)
    expect(await given('def f(x):\n    assert type(x) is float or x == 9007199254740993\n    return x * 2')).toEqual({
      base: true,
    })
    expect(await given('def f(x):\n    return 2.0')).toEqual({ base: false })
  })

  test('a candidate that changes its arguments does not change those of the next', async () => {
    const lists = { base_input: [[[3, 1]], [[3, 1]]], plus_input: [], canonical_solution: '    return x[0]\n' }
    expect(await compared('def f(x):\n    first = x[0]\n    x.sort()\n    return first', lists)).toMatchObject({
      base: true,
    })
  })

  test('an input that takes too long fails, and a reference that fails is told', async () => {
    expect(await compared('def f(x):\n    while True: pass')).toEqual({ base: false, plus: false })
    await expect(compared('def f(x):\n    return 1', { canonical_solution: '    return 1 / 0\n' })).rejects.toThrow(
      /its reference solution failed: ZeroDivisionError/,
    )
  })

  test('problems with more than one right answer, and with tuples', async () => {
    const any = {
      task_id: 'Mbpp/2',
      entry_point: 'similar_elements',
      base_input: [
        [
          [1, 2],
          [2, 1],
        ],
      ],
      plus_input: [],
    }
    const solution = {
      ...any,
      prompt: '',
      canonical_solution: 'def similar_elements(a, b):\n  return tuple(set(a) & set(b))\n',
    }
    expect(
      await compared('def similar_elements(a, b):\n  assert type(a) is tuple\n  return (2, 1)', solution),
    ).toMatchObject({ base: true })
    expect(await compared('def similar_elements(a, b):\n  return (2, 3)', solution)).toMatchObject({ base: false })
    const zero = {
      entry_point: 'find_zero',
      base_input: [[[-1, 0, 1]]],
      atol: 1e-4,
      plus_input: [],
      prompt: '',
      canonical_solution: 'def find_zero(xs):\n  return 1.0\n',
    }
    expect(await compared('def find_zero(xs):\n  return -1.0', zero)).toMatchObject({ base: true })
    expect(await compared('def find_zero(xs):\n  return 0.0', zero)).toMatchObject({ base: false })
  })
})

const folder = process.env.LACUNA_BENCHMARKS
const absent = !folder || !existsSync(join(folder, 'MbppPlus.jsonl.gz'))
const why = sandbox ? 'LACUNA_BENCHMARKS names no folder with MbppPlus.jsonl.gz' : reason
if (absent && sandbox) process.stderr.write(`the benchmarks' own solutions are not run: ${why}\n`)

describe.skipIf(absent || !sandbox)(
  `the benchmarks' own solutions${absent || !sandbox ? ` (skipped: ${why})` : ''}`,
  () => {
    const read = (name: string) => readJsonLines<PlusRow>(join(folder!, `${name}.jsonl.gz`), ['task_id', 'base_input'])
    const sets = () => ({ humaneval: read('HumanEvalPlus'), mbpp: read('MbppPlus') })
    // All of them take eight minutes.
    const limit = process.env.LACUNA_EVAL_ALL ? undefined : 25
    const all = () => againstReference('evalplus', sets(), true, sandbox!, { limit, seed: 1 })

    test('score 100 %', { timeout: 3_600_000 }, async () => {
      const benchmark = all()
      expect(benchmark.cases).toHaveLength(limit ? 2 * limit : 164 + 378)
      const failed: string[] = []
      for (const gap of benchmark.cases) {
        const { base, plus } = await benchmark.score(gap, await reference.ask(gap))
        if (!base || !plus) failed.push(gap.key)
      }
      expect(failed).toEqual([])
    })

    test('and broken ones 0', { timeout: 3_600_000 }, async () => {
      const benchmark = all()
      const passed: string[] = []
      for (const gap of benchmark.cases) {
        const { base, plus } = await benchmark.score(gap, await broken.ask(gap))
        if (base || plus) passed.push(gap.key)
      }
      expect(passed).toEqual([])
    })
  },
)
