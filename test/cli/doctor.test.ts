/** `lacuna doctor` with providers that are not there, as on most machines, and with any that are. */
import { Readable } from 'node:stream'
import { expect, test } from 'vitest'
import { providersOf } from '../../server/cli/providers.ts'
import { run } from '../../server/cli/run.ts'

async function doctor(...args: string[]) {
  const printed = { out: '', err: '' }
  const code = await run(['doctor', ...args], {
    out: (text) => void (printed.out += text),
    err: (text) => void (printed.err += text),
    stdin: Readable.from([]),
  })
  return { code, ...printed }
}

test('names each provider of the platform, with the reason why it is passed over or what it is worth', async () => {
  const [asked, ...others] = providersOf(process.platform, process.arch)
  const { code, out } = await doctor('--providers', asked ?? 'cpu')
  expect(code, out).toBe(0)
  expect(out).toMatch(/^ok {4}engine: onnx on \w+, loaded in \d+ ms/m)
  if (asked)
    expect(out).toMatch(new RegExp(`^ok {4}engine: onnx on (${asked},|cpu, .*; ${asked} passed over: \\S)`, 'm'))
  expect(out).toMatch(/^ok {4}completion: "value" in \d+ steps, [\d.]+ ms each$/m)
  const notes = out.split('\n').filter((line) => line.startsWith('note'))
  expect(notes.map((line) => /^note {2}(\w+): (?:cannot be used here: |works here: )\S/.exec(line)?.[1])).toEqual(
    others,
  )
})

test('a provider that does not exist is named, with its nearest', async () => {
  const { code, err } = await doctor('--providers', 'webgp,cpu')
  expect(code).toBe(2)
  expect(err).toBe('lacuna: --providers: "webgp" is no execution provider; did you mean "webgpu"?\n')
})
