/** The command line as a person meets it: what is printed, and the exit code. The embedded model does the work. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { run } from '../../server/cli/run.ts'

const stack = 'test/bench/files/stack.py'

async function lacuna(args: string, input = '') {
  const printed = { out: '', err: '' }
  const code = await run(args.split(' ').filter(Boolean), {
    out: (text) => void (printed.out += text),
    err: (text) => void (printed.err += text),
    stdin: Readable.from(input ? [Buffer.from(input)] : []),
  })
  return { code, ...printed }
}

describe('complete', () => {
  test('prints what belongs in the gap', async () => {
    expect(await lacuna(`complete ${stack}:21:16`)).toEqual({ code: 0, out: 'len(self.items)\n', err: '' })
  })

  test('with --json says where the text goes and what it took', async () => {
    const { code, out } = await lacuna(`complete ${stack}:21:16 --json`)
    expect(code).toBe(0)
    expect(JSON.parse(out)).toEqual({
      kind: 'completion',
      text: 'len(self.items)',
      range: { start: { line: 20, character: 15 }, end: { line: 20, character: 15 } },
      steps: expect.any(Number),
      model: 'lacuna-135m',
      ms: {
        load: expect.any(Number),
        encode: expect.any(Number),
        denoise: expect.any(Number),
        total: expect.any(Number),
      },
    })
  })

  test('without the cache says the same', async () => {
    expect((await lacuna(`complete ${stack}:21:16 --no-cache`)).out).toBe('len(self.items)\n')
  })

  test('reads standard input, counts columns in UTF-16 units, keeps CRLF', async () => {
    const text = 'const flag = "🏳️"\r\nfor (const item of items) {\r\n  console.log(\r\n}\r\n'
    const { code, out } = await lacuna('complete -:3:15 --json', text)
    const answer = JSON.parse(out)
    expect(code).toBe(0)
    expect(answer.range.start).toEqual({ line: 2, character: 14 })
    expect(answer.text).toContain('item')
    expect(answer.text).not.toContain('\n')
  })

  test('an empty file is no failure, whatever the model says to it', async () => {
    const { code, out, err } = await lacuna('complete -:1:1 --json', '')
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(JSON.parse(out)).toMatchObject({
      kind: expect.stringMatching(/^(nothing|completion)$/),
      text: expect.any(String),
    })
  })

  test('fills several places of one file together, and prints them from its top', async () => {
    const text = 'function area(width, ) {\n  return width * \n}\n'
    const { code, out, err } = await lacuna('complete -:2:18 -:1:22 --json', text)
    expect({ code, err }).toEqual({ code: 0, err: '' })
    const { edits, steps, model } = JSON.parse(out)
    expect({ model, steps }).toEqual({ model: 'lacuna-135m', steps: expect.any(Number) })
    const [bound, used] = edits
    expect([bound, used]).toEqual([
      expect.objectContaining({
        kind: 'completion',
        range: expect.objectContaining({ start: { line: 0, character: 21 } }),
      }),
      expect.objectContaining({
        kind: 'completion',
        range: expect.objectContaining({ start: { line: 1, character: 17 } }),
      }),
    ])
    const printed = await lacuna('complete -:2:18 -:1:22', text)
    expect(printed).toEqual({ code: 0, out: `-:1:22: ${bound.text}\n-:2:18: ${used.text}\n`, err: '' })
  })

  test('with --verify fills in what the base writes, which knows nothing of what follows', async () => {
    const place = (options: string) => lacuna(`complete -:1:11 --max-tokens 1 ${options}`, 'import os,\nsys.exit(0)\n')
    expect((await place('')).out).toMatch(/^ (sys|shutil)\n$/) // a near-tie: another one where weights have 7 bits
    const { code, out } = await place('--verify')
    expect(code).toBe(0)
    expect(out).toMatch(/^ (?!sys).+\n$/)
  })

  test('with a --base-share the base has a say', async () => {
    expect((await lacuna(`complete ${stack}:21:16 --base-share 40`)).out).toBe('len(self.items)\n')
  })

  test('stops at --max-tokens', async () => {
    const { out } = await lacuna(`complete ${stack}:21:16 --max-tokens 2`)
    expect('len(self.items)\n'.startsWith(out.trimEnd())).toBe(true)
    expect(out.trimEnd().length).toBeLessThan('len(self.items)'.length)
  })
})

describe('bad arguments: exit code 2 and one clear line', () => {
  test.each([
    ['complete', 'missing FILE:LINE:COL'],
    [`complete ${stack}`, 'wanted FILE:LINE:COL'],
    [`complete ${stack}:0:1`, 'from 1'],
    [`complete ${stack}:21:16 --base-share 120`, '--base-share takes 0 to 100, found "120"'],
    [`complete ${stack}:21:16 --base-share 40 --verify`, '--verify leaves every token to the base'],
    [`complete ${stack}:21:99`, 'line 21 of test/bench/files/stack.py ends at column 16'],
    [`complete ${stack}:99:1`, 'has 22 lines'],
    ['complete nowhere.py:1:1', 'cannot read nowhere.py'],
    [`complete ${stack}:1:1 --max-tokens none`, '--max-tokens takes a whole number'],
    [`complete ${stack}:1:1 --bogus`, "Unknown option '--bogus'"],
    [`complete ${stack}:1:1 more`, 'wanted FILE:LINE:COL'],
    [`complete ${stack}:1:1 other.py:1:1`, `wanted places of one file, found ${stack} and other.py`],
    [`complete ${stack}:2:1 ${stack}:1:1 ${stack}:2:1`, `${stack}:2:1 is asked twice`],
    ['doctor more', 'unexpected "more"'],
    [`complete ${stack}:1:1 --model nowhere`, 'installed: '],
    ['frobnicate', 'is no command'],
    ['model frobnicate', 'is no command'],
    ['model convert nowhere', 'config.json'],
    ['model verify nowhere', 'no such model'],
  ])('lacuna %s', async (args, message) => {
    const { code, out, err } = await lacuna(args)
    expect(code).toBe(2)
    expect(out).toBe('')
    expect(err).toContain(message)
    expect(err.trimEnd().split('\n')).toHaveLength(1)
  })
})

describe('a place in a file', () => {
  let dir: string
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'lacuna-cli-'))
  })
  afterAll(() => rm(dir, { recursive: true }))

  test('a line of 100,000 characters is filled like any other', async () => {
    const file = join(dir, 'long.py')
    await writeFile(file, `values = [${'12, '.repeat(25_000)}]\n`)
    expect((await lacuna(`complete ${file}:1:50000 --max-tokens 8`)).code).toBe(0)
  })

  test('bytes that are no text do no harm', async () => {
    const file = join(dir, 'bytes.bin')
    await writeFile(file, Buffer.from(Array.from({ length: 1024 }, (_, i) => i % 256)))
    expect((await lacuna(`complete ${file}:2:3 --max-tokens 8`)).code).toBe(0)
  })
})

test.each(['--help', 'complete --help', 'model --help', 'model convert --help', 'doctor -h', '--version'])(
  'lacuna %s explains itself',
  async (args) => {
    const { code, out, err } = await lacuna(args)
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out.length).toBeGreaterThan(4)
  },
)

test('model list and verify know the embedded model', async () => {
  expect((await lacuna('model list')).out).toContain('lacuna-135m\t')
  const { code, out } = await lacuna('model verify')
  expect(code).toBe(0)
  expect(
    out
      .trimEnd()
      .split('\n')
      .every((line) => line.startsWith('ok ')),
  ).toBe(true)
})
