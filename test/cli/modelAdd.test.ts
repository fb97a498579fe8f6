/** `lacuna model add` as the built program, from a hub on this machine. */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { type Fault, type HubRepository, localHub } from '../model/localHub.ts'
import { randomFolder } from '../model/randomBundle.ts'
import { temporaryFolder } from '../model/temporaryFolder.ts'
import { startLacuna } from './runCommand.ts'

const id = 'someone/tiny'

/** A small random model, as files of a repository. */
async function tinyRepository(more: Partial<HubRepository> = {}): Promise<HubRepository> {
  const dir = await temporaryFolder()
  await randomFolder(dir, { layers: 1 }, 11)
  const files: Record<string, Uint8Array> = { 'README.md': Buffer.from('# Tiny\n'), 'run.py': Buffer.from('exit()\n') }
  for (const name of await readdir(dir)) files[name] = await readFile(join(dir, name))
  return { files, cardData: { license: 'apache-2.0' }, ...more }
}

/** Every file below a folder, by its path. */
async function filesBelow(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 10))
}

test('interrupted twice, resumed, converted, verified, used', async () => {
  const home = await temporaryFolder()
  const repository = await tinyRepository({ gatedFor: 'hf_secret' })
  const hub = await localHub({ [id]: repository })
  const size = repository.files['model.safetensors']!.length
  const holds: Fault[] = [
    { kind: 'hold', afterBytes: 40_000 },
    { kind: 'hold', afterBytes: 50_000 },
  ]
  hub.fault = ({ host, path }) => (host === 'cdn' && path.includes('/model.safetensors') ? holds.shift() : undefined)
  const env = { LACUNA_HOME: home, HF_ENDPOINT: hub.endpoint, HF_TOKEN: 'hf_secret', LACUNA_TRACE: '1' }
  const outputs: string[] = []

  for (const bytes of [40_000, 90_000]) {
    const running = startLacuna(['model', 'add', id, '--yes'], env)
    await until(async () => {
      const part = (await filesBelow(home)).find((path) => path.endsWith('/model.safetensors.part'))
      return part !== undefined && (await stat(part)).size >= bytes
    })
    running.interrupt()
    const { code, out, err } = await running.ended
    outputs.push(out, err)
    expect(code, err).toBe(130)
    expect(err).toContain('stopped; the same command goes on from here')
    expect(existsSync(join(home, 'models'))).toBe(false)
  }

  const { code, out, err } = await startLacuna(['model', 'add', id, '--yes'], env).ended
  outputs.push(out, err)
  expect(code, err).toBe(0)
  expect(err).toContain('of it here already')
  expect(err).toMatch(/self-test passed: entropies from \d/)
  expect(out).toContain(`tiny: installed in ${join(home, 'models/tiny')}`)
  const ranges = hub.seen.flatMap(({ host, path, range }) =>
    host === 'cdn' && path.includes('/model.safetensors') ? [range] : [],
  )
  expect(ranges).toEqual([undefined, 'bytes=40000-', 'bytes=90000-'])
  expect(size).toBeGreaterThan(100_000)
  expect(await filesBelow(join(home, 'downloads'))).toEqual([]) // sources are gone
  expect((await filesBelow(home)).some((path) => path.endsWith('.py') || path.endsWith('.part'))).toBe(false)

  const verified = await startLacuna(['model', 'verify', 'tiny'], env).ended
  expect(verified.code, verified.out).toBe(0)
  const shown = await startLacuna(['model', 'show', 'tiny'], env).ended
  expect(shown.out).toMatch(/^licence +apache-2\.0$/m)
  expect(shown.out).toMatch(/^origin +someone\/tiny/m)
  const completed = await startLacuna(
    ['complete', '--model', 'tiny', '--json', '--max-tokens', '4', 'test/bench/files/stack.py:21:16'],
    env,
  ).ended
  outputs.push(verified.err, completed.out, completed.err)
  expect(completed.code, completed.err).toBe(0)
  expect(JSON.parse(completed.out)).toMatchObject({ model: 'tiny' })
  expect(outputs.join()).not.toContain('hf_secret')
})

test('two at once do not spoil each other', async () => {
  const home = await temporaryFolder()
  const hub = await localHub({ [id]: await tinyRepository() })
  hub.fault = ({ host }) => (host === 'cdn' ? { kind: 'hold', afterBytes: 10 } : undefined)
  const env = { LACUNA_HOME: home, HF_ENDPOINT: hub.endpoint }
  const first = startLacuna(['model', 'add', id, '--yes'], env)
  await until(async () => hub.seen.some(({ host }) => host === 'cdn'))
  const second = await startLacuna(['model', 'add', id, '--yes'], env).ended
  expect(second.code).toBe(2)
  expect(second.err).toMatch(/process \d+ is at work there; wait for it/)
  first.interrupt()
  expect((await first.ended).code).toBe(130)
})

const hasOpenssl = (() => {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' })
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false
    throw error
  }
})()

/** A proxy that opens tunnels, for those who know its password. */
async function tunnelProxy(): Promise<{ url: string; tunnels: string[] }> {
  const tunnels: string[] = []
  const server = createServer((_, response) => response.writeHead(405).end())
  server.on('connect', ({ url, headers }, socket) => {
    socket.on('error', () => {})
    if (headers['proxy-authorization'] !== `Basic ${Buffer.from('me:p@ss').toString('base64')}`)
      return socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n')
    tunnels.push(url!)
    const upstream = connect(Number(url!.split(':')[1]), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection Established\r\n\r\n')
      upstream.pipe(socket).pipe(upstream)
    })
    upstream.on('error', () => socket.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `127.0.0.1:${(server.address() as AddressInfo).port}`, tunnels }
}

test.skipIf(!hasOpenssl)("over TLS with a private authority's certificate, through a proxy", async () => {
  const dir = await temporaryFolder()
  const at = (name: string) => join(dir, name)
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'ignore' })
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  openssl(
    'req',
    '-x509',
    ...newKey,
    '-keyout',
    at('ca.key'),
    '-out',
    at('ca.pem'),
    '-days',
    '2',
    '-subj',
    '/CN=Test CA',
  )
  openssl('req', ...newKey, '-keyout', at('hub.key'), '-out', at('hub.csr'), '-subj', '/CN=localhost')
  await writeFile(at('names'), 'subjectAltName=DNS:localhost\n')
  const signed = ['-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-CAcreateserial', '-extfile', at('names')]
  openssl('x509', '-req', '-in', at('hub.csr'), ...signed, '-out', at('hub.pem'), '-days', '2')
  const tls = { key: await readFile(at('hub.key'), 'utf8'), cert: await readFile(at('hub.pem'), 'utf8') }
  const hub = await localHub({ [id]: await tinyRepository() }, tls)
  const proxy = await tunnelProxy()
  const direct = { LACUNA_HOME: at('home'), HF_TOKEN: 'hf_secret', HF_ENDPOINT: hub.endpoint }
  const add = (env: Record<string, string>) =>
    startLacuna(['model', 'add', `${hub.endpoint}/${id}`, '--yes'], env).ended

  const distrusted = await add(direct)
  expect(distrusted.code).toBe(2)
  expect(distrusted.err).toMatch(/its certificate is not trusted \(\w+\);.*set NODE_EXTRA_CA_CERTS/)

  const trusting = { ...direct, NODE_EXTRA_CA_CERTS: at('ca.pem') }
  const refused = await add({ ...trusting, HTTPS_PROXY: `http://me:wrong@${proxy.url}` })
  expect(refused.code).toBe(2)
  expect(refused.err).toContain('answered 407 to CONNECT localhost:')
  expect(proxy.tunnels).toEqual([])

  const added = await add({ ...trusting, HTTPS_PROXY: `http://me:p%40ss@${proxy.url}` })
  expect(added.code, added.err).toBe(0)
  expect(new Set(proxy.tunnels)).toEqual(new Set([hub.endpoint, hub.cdn].map((url) => url.replace('https://', ''))))

  const around = await startLacuna(['model', 'add', id, '--yes', '--name', 'again'], {
    ...trusting,
    HTTPS_PROXY: 'http://127.0.0.1:9',
    NO_PROXY: 'localhost',
  }).ended
  expect(around.code, around.err).toBe(0)
  for (const { err, out } of [distrusted, refused, added, around])
    expect(err + out).not.toMatch(/hf_secret|p%40ss|wrong/)
})
