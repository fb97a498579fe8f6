/** `lacuna doctor` with providers that are not there, as on most machines, and with any that are. */
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterEach, expect, test, vi } from 'vitest'
import { providersOf } from '../../server/cli/providers.ts'
import { run } from '../../server/cli/run.ts'

afterEach(() => void vi.unstubAllEnvs())

async function doctor(...args: string[]) {
  const printed = { out: '', err: '' }
  const code = await run(['doctor', ...args], {
    out: (text) => void (printed.out += text),
    err: (text) => void (printed.err += text),
    stdin: Readable.from([]),
  })
  return { code, ...printed }
}

/** A home of Lacuna with a settings file; the home folder of a person above it. */
async function home(settings: string) {
  const person = await mkdtemp(join(tmpdir(), 'lacuna-person-'))
  const folder = join(person, 'lacuna')
  await mkdir(folder)
  await writeFile(join(folder, 'config.json'), settings)
  vi.stubEnv('LACUNA_HOME', folder)
  vi.stubEnv('HOME', person)
  return { folder, person }
}

test('names each provider of the platform, with the reason why it is passed over or what it is worth', async () => {
  const [asked, ...others] = providersOf(process.platform, process.arch)
  const { code, out } = await doctor('--providers', asked ?? 'cpu')
  expect(code, out).toBe(0)
  expect(out).toMatch(/^note {2}threads: the engine takes \d+ of \d+$/m)
  expect(out).toMatch(/^ok {4}settings file: .*config\.json \(none; all as by default\)$/m)
  expect(out).toMatch(/^ok {4}model files: \d+ files, sizes and sha256 as lacuna\.json says \([\d.]+ s\)$/m)
  expect(out).toMatch(/^ok {4}engine: onnx on \w+, loaded in \d+ ms/m)
  if (asked)
    expect(out).toMatch(new RegExp(`^ok {4}engine: onnx on (${asked},|cpu, .*; ${asked} passed over: \\S)`, 'm'))
  expect(out).toMatch(/^ok {4}completion: "value" in \d+ steps, [\d.]+ ms each; the context read in [\d.]+ ms$/m)
  const notes = out.split('\n').filter((line) => /^note {2}(cuda|coreml|dml|webgpu):/.test(line))
  expect(notes.map((line) => /^note {2}(\w+): (?:cannot be used here: |works here: )\S/.exec(line)?.[1])).toEqual(
    others,
  )
})

test('says what is in force and from where, without passwords and without the name of a home', async () => {
  const { person } = await home(
    JSON.stringify({
      model: 'no-such-model',
      engine: 'https://ada:hunter2@models.example/v2?key=hunter2',
      logFile: '~/lacuna.log',
      mode: 'manul',
    }),
  )
  const { code, out } = await doctor()
  expect(code).toBe(2)
  expect(out).not.toContain('hunter2')
  expect(out).not.toContain(person)
  expect(out).toContain('ok    settings file: ~/lacuna/config.json\n')
  expect(out).toContain('FAIL  settings: ~/lacuna/config.json: mode: ')
  expect(out).toContain('found "manul"; did you mean "manual"?; it stays "auto"')
  expect(out).toContain('model "no-such-model"')
  expect(out).toContain('engine "https://(not shown)@models.example/v2?(not shown)"')
  expect(out).toContain('note  log: stderr, and ~/lacuna.log\n')
  expect(out).toMatch(/^note {2}ignore files here: .*\.gitignore/m)
  expect(out).toContain('FAIL  model folder: model "no-such-model": no such model')
})

test('--json: one object with all of it, the files and their sha256 too', async () => {
  await home('{ "providers": ["cpu"] }')
  const { code, out } = await doctor(
    '--json',
    '--providers',
    [...providersOf(process.platform, process.arch), 'cpu'].join(','),
  )
  const report = JSON.parse(out)
  expect(code).toBe(0)
  expect(report).toMatchObject({
    code: 0,
    machine: { engineThreads: expect.any(Number), node: process.version },
    settings: [{ mode: 'auto', providers: ['cpu'] }],
    timing: [{ steps: expect.any(Number), stepMs: expect.any(Number), encodeMs: expect.any(Number) }],
  })
  expect(report.file.length).toBeGreaterThan(5)
  for (const file of report.file)
    expect(file).toEqual({
      path: expect.any(String),
      bytes: expect.any(Number),
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    })
  expect(report.lines.filter(({ verdict }: { verdict: string }) => verdict === 'FAIL')).toEqual([])
})

test('a broken settings file is named by line and column, and the rest is examined all the same', async () => {
  await home('{\n  "mode": off\n}')
  const { out } = await doctor('--model', 'nowhere')
  expect(out).toContain('FAIL  settings: ~/lacuna/config.json:2:11: wanted a value, found "o"; the file is ignored')
  expect(out).toContain('FAIL  model folder: ')
})

test('a provider that does not exist is named, with its nearest', async () => {
  const { code, err } = await doctor('--providers', 'webgp,cpu')
  expect(code).toBe(2)
  expect(err).toBe('lacuna: --providers: "webgp" is no execution provider; did you mean "webgpu"?\n')
})
