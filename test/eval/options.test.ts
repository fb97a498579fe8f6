import { expect, test } from 'vitest'
import { answererNames, benchmarkNames, help, readOptions } from './options.ts'

const read = (...argv: string[]) => readOptions(argv, { LACUNA_BENCHMARKS: '/data' })

test('defaults', () => {
  expect(read('humaneval')).toMatchObject({
    benchmark: 'humaneval',
    seed: 1,
    answerers: ['lacuna'],
    data: '/data',
    isolated: true,
  })
  expect(read('rest-of-line')).toMatchObject({
    answerers: ['lacuna', 'base', 'base-suffix-first', 'ngram', 'ngram-in-window'],
  })
})

test('a server is asked alone, unless others are named', () => {
  expect(read('rest-of-line', '--server', 'x --stdio')).toMatchObject({ answerers: [], server: { name: 'x --stdio' } })
  expect(read('rest-of-line', '--server', 'x', '--answerers', 'ngram')).toMatchObject({ answerers: ['ngram'] })
  expect(read('mbpp', '--server', 'x', '--server-settings', '{"a":1}')).toMatchObject({
    server: { settings: { a: 1 } },
  })
})

test('what is not understood is said', () => {
  expect(() => read('humanevil')).toThrow(/wanted one of humaneval-infilling, .*found "humanevil"/)
  expect(() => read('mbpp', '--limit', '0')).toThrow(/--limit takes a whole number from 1, found "0"/)
  expect(() => read('mbpp', '--answerers', 'gpt')).toThrow(/there is no "gpt"/)
  expect(() => read('mbpp', '--server', 'x', '--server-settings', '{')).toThrow(/takes JSON/)
  expect(() => read('rest-of-line', '--replay', '9', '--processes', '2')).toThrow(/in one process/)
  expect(() => read('mbpp', '--unknown')).toThrow(/--unknown/)
})

test('help names every benchmark and answerer', () => {
  expect(read('--help')).toBeUndefined()
  for (const name of [...benchmarkNames, ...answererNames]) expect(help).toContain(name)
})
