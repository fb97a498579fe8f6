/** The built command: runs, goes on, shares its work out, and says what is wrong. No model: what stood there is the answer. */
import { execFile, execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Report } from './report.ts'

let folder: string

beforeAll(() => {
  // The product is built already (test/build.ts); this is the entry beside it.
  execFileSync('npx', ['rolldown', '-c', 'test/eval/rolldown.config.js', '--log-level', 'silent'], { stdio: 'ignore' })
  folder = mkdtempSync(join(tmpdir(), 'lacuna-eval-test-'))
  for (const [name, ending] of [
    ['one', 'py'],
    ['two', 'ts'],
    ['two', 'rs'],
  ] as const) {
    mkdirSync(join(folder, 'files', 'test', name), { recursive: true })
    const text = Array.from({ length: 40 }, (_, i) => `const name${i} = value${i * 7} + other\n`).join('')
    writeFileSync(join(folder, 'files', 'test', name, `file.${ending}`), text)
  }
})
afterAll(() => rmSync(folder, { recursive: true }))

async function run(...args: string[]) {
  const { stdout, stderr } = await promisify(execFile)(
    process.execPath,
    [join(process.cwd(), 'dist/eval.js'), ...args],
    { cwd: folder },
  )
  return { stdout, stderr, report: () => JSON.parse(stdout) as Report & { run: Record<string, unknown> } }
}

const restOfLine = (...args: string[]) =>
  run('rest-of-line', '--files', join(folder, 'files'), '--answerers', 'reference', '--json', ...args)

test('scores what stood there as exact, language by language, and tells what was run', async () => {
  const { report, stderr } = await restOfLine('--limit', '3')
  expect(report().rows.map(({ group, cases, shares }) => [group, cases, shares.exact?.percent])).toEqual([
    ['python', 3, 100],
    ['typescript', 3, 100],
    ['rust', 3, 100],
    ['all', 9, 100],
  ])
  expect(report().run).toMatchObject({ benchmark: 'rest-of-line', seed: 1, answerers: { reference: {} }, processes: 1 })
  expect(stderr).toContain('rest-of-line: 9 of 9')
})

test('goes on where a run ended, with more cases and more processes', async () => {
  const out = join(folder, 'results.jsonl')
  await restOfLine('--limit', '2', '--out', out, '--fresh')
  const before = readFileSync(out, 'utf8')
  const { report, stderr } = await restOfLine('--limit', '5', '--out', out, '--processes', '2')
  expect(stderr).toContain('6 of 15 are there already')
  expect(readFileSync(out, 'utf8').startsWith(before)).toBe(true)
  expect(report().rows.at(-1)).toMatchObject({ group: 'all', cases: 15 })
  const keys = readFileSync(out, 'utf8')
    .trimEnd()
    .split('\n')
    .slice(1)
    .map((line) => JSON.parse(line).case)
  expect(new Set(keys).size).toBe(15)
  await expect(restOfLine('--seed', '2', '--out', out)).rejects.toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/another files.*seed/),
  })
})

test('says what is wrong in one line', async () => {
  await expect(run('rest-of-line')).rejects.toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/lay one with "test\/bench\/fetchFiles.sh DIR"/),
  })
  await expect(run('mbpp', '--data', folder, '--answerers', 'reference')).rejects.toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/MbppPlus.jsonl.gz: no such file/),
  })
  expect((await run('--help')).stdout).toMatch(/^npm run eval -- BENCHMARK/)
})
