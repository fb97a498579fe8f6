/** The runtime reports what it opens to its maker unless it is told not to; it is told not to. */
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'

let home: string
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'lacuna-alone-'))
})
afterAll(() => rm(home, { recursive: true, force: true }))

/** A process of its own: the environment that the runtime reads is that of the process. */
async function filesLeftBy(args: readonly string[]): Promise<string[]> {
  const places = { HOME: home, XDG_CACHE_HOME: join(home, 'cache'), TMPDIR: home, LACUNA_HOME: join(home, 'lacuna') }
  const { ORT_DISABLE_TELEMETRY: _, ...env } = process.env
  await promisify(execFile)(process.execPath, args, { env: { ...env, ...places } })
  return readdir(home, { recursive: true })
}

test('a completion leaves no file behind and queues none to be sent', async () => {
  expect(await filesLeftBy(['dist/main.js', 'complete', 'test/bench/files/stack.py:21:16'])).toEqual([])
})
