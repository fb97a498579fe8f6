import { execFileSync } from 'node:child_process'
import { chmod, mkdtemp, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { LogFile, type LogFileOptions } from '../../server/base/logFile.ts'

async function open(name = 'log', options: Partial<LogFileOptions> = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'lacuna-log-'))
  const problems: string[] = []
  let now = Date.parse('2026-11-25T10:00:00Z')
  const log = new LogFile(name.startsWith('/') ? name : join(folder, name), {
    date: () => new Date(now),
    onProblem: (problem) => void problems.push(problem),
    ...options,
  })
  return { folder, log, problems, pass: (ms: number) => void (now += ms), text: () => readFile(log.path, 'utf8') }
}

test('lines in order, with time and process, for the owner alone; the folder is made', async () => {
  const { log, text } = await open('deep/er/log')
  log.write('info', 'one')
  log.write('warn', 'two')
  await log.flush()
  log.write('error', 'three')
  await log.flush()
  const [at, pid] = ['2026-11-25T10:00:00.000Z', process.pid]
  expect(await text()).toBe(`${at} ${pid} info: one\n${at} ${pid} warn: two\n${at} ${pid} error: three\n`)
  expect((await stat(log.path)).mode & 0o777).toBe(0o600)
})

test('begun anew at its size; as many older ones as wanted, and not a line lost among them', async () => {
  const { log, folder } = await open('log', { maxBytes: 200, older: 2 })
  for (let i = 10; i < 30; i++) {
    log.write('info', `line ${i}`)
    await log.flush()
  }
  expect((await readdir(folder)).sort()).toEqual(['log', 'log.1', 'log.2'])
  const texts = await Promise.all(['log.2', 'log.1', 'log'].map((name) => readFile(join(folder, name), 'utf8')))
  const lines = texts.join('').match(/line \d+/g)!
  expect(lines).toEqual(lines.map((_, i) => `line ${30 - lines.length + i}`))
  expect(lines.length).toBeGreaterThan(8)
  for (const one of texts) expect(Buffer.byteLength(one)).toBeLessThanOrEqual(200)
})

test('a full disk: lines are dropped, which is told once however often it is tried', async () => {
  const { log, problems, pass } = await open('/dev/full')
  for (let i = 0; i < 3; i++) {
    log.write('info', 'x')
    await log.flush()
    pass(20_000)
  }
  expect(problems).toEqual([expect.stringMatching(/^the log file \/dev\/full cannot be written: ENOSPC/)])
})

test('what cannot be a log: a folder, a FIFO, a file in the way of its folder', async () => {
  const folder = await open('.')
  const fifo = await open('fifo')
  execFileSync('mkfifo', [fifo.log.path])
  const inTheWay = await open('file/log')
  await writeFile(join(inTheWay.folder, 'file'), '')
  for (const { log } of [folder, fifo, inTheWay]) log.write('info', 'x')
  for (const { log, problems } of [folder, fifo, inTheWay]) {
    await log.flush()
    expect(problems).toHaveLength(1)
  }
})

test('after a failure the disk is left alone for a while, then the file is there again', async () => {
  const { log, folder, problems, pass, text } = await open('file/log')
  await writeFile(join(folder, 'file'), '')
  log.write('info', 'lost')
  await log.flush()
  execFileSync('rm', [join(folder, 'file')])
  log.write('info', 'lost too')
  await log.flush()
  expect(await readdir(folder)).toEqual([])
  pass(10_000)
  log.write('info', 'kept')
  await log.flush()
  expect(await text()).toMatch(/^\S+ \d+ info: kept\n$/)
  expect(problems).toHaveLength(1)
})

test('a home folder is understood', () => {
  expect(new LogFile('~/lacuna.log').path).not.toContain('~')
})

test.skipIf(process.getuid?.() === 0)('a folder that may not be written to (not as root, who may)', async () => {
  const { log, folder, problems } = await open('log')
  await chmod(folder, 0o500)
  log.write('info', 'x')
  await log.flush()
  expect(problems[0]).toContain('EACCES')
})
