/** The store from the command line: adding from folders, listing, choosing, showing, removing. */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { cp, mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { Aborted } from '../../server/base/errors.ts'
import { planAddition } from '../../server/cli/addition.ts'
import { carryOut } from '../../server/cli/carryOut.ts'
import { confirm } from '../../server/cli/confirm.ts'
import { problemsOf } from '../../server/cli/selfTest.ts'
import { convertModel } from '../../server/model/convert.ts'
import { modelPlaces, resolveModel } from '../../server/model/store.ts'
import { downloadRoom } from '../model/downloadRoom.ts'
import { localHub } from '../model/localHub.ts'
import { randomFolder } from '../model/randomBundle.ts'
import { temporaryFolder } from '../model/temporaryFolder.ts'
import { lacuna } from './runCommand.ts'

let home: string
let source: string

beforeEach(async () => {
  const dir = await temporaryFolder()
  ;[home, source] = [join(dir, 'home'), join(dir, 'tiny')]
  vi.stubEnv('LACUNA_HOME', home)
  for (const name of ['HF_TOKEN', 'HF_ENDPOINT', 'http_proxy', 'HTTP_PROXY', 'all_proxy', 'ALL_PROXY'])
    vi.stubEnv(name, undefined)
  await randomFolder(source, { layers: 1 }, 12)
  return () => vi.unstubAllEnvs()
})

async function edit(file: string, change: (config: { infill: object; files: object[] }) => void): Promise<void> {
  const json = JSON.parse(await readFile(file, 'utf8'))
  change(json)
  await writeFile(file, JSON.stringify(json))
}

/** Writes zeros over a tensor of the model. */
async function blank(tensor: string): Promise<void> {
  const path = join(source, 'model.safetensors')
  const weights = await readFile(path)
  const headerBytes = Number(weights.readBigUInt64LE(0))
  const [from, to] = JSON.parse(weights.toString('utf8', 8, 8 + headerBytes))[tensor].data_offsets
  weights.fill(0, 8 + headerBytes + from, 8 + headerBytes + to)
  await writeFile(path, weights)
}

describe('add, of a folder', () => {
  test('converts it into the store and leaves the folder alone', async () => {
    const before = await readFile(join(source, 'config.json'), 'utf8')
    const { code, out, err } = await lacuna(['model', 'add', source, '--yes'])
    expect(code, err).toBe(0)
    expect(out).toContain('tiny: installed in')
    expect(existsSync(join(source, 'onnx'))).toBe(false)
    expect(await readFile(join(source, 'config.json'), 'utf8')).toBe(before)
    expect((await lacuna(['model', 'verify', 'tiny'])).code).toBe(0)

    const again = await lacuna(['model', 'add', source, '--yes'])
    expect(again.code).toBe(2)
    expect(again.err).toContain('there is such a model already; "lacuna model remove tiny" first')

    // A bundle is copied.
    const bundle = join(home, 'models/tiny')
    const copied = await lacuna(['model', 'add', bundle, '--yes', '--name', 'copy'])
    expect(copied.code, copied.err).toBe(0)
    expect((await lacuna(['model', 'verify', 'copy'])).code).toBe(0)

    // What a bundle lists outside its folder is not touched.
    await cp(bundle, join(home, 'hostile'), { recursive: true })
    await edit(join(home, 'hostile/lacuna.json'), (json) =>
      Object.assign(json.files[0]!, { path: '../../config.json' }),
    )
    const hostile = await lacuna(['model', 'add', join(home, 'hostile'), '--yes'])
    expect(hostile.code).toBe(2)
    expect(hostile.err).toContain('the path leaves the folder of the bundle; nothing was copied')
  })

  test('of links, as the caches of other programs are', async () => {
    const cache = join(home, '../cache')
    await mkdir(cache)
    for (const name of await readdir(source)) await symlink(join(source, name), join(cache, name))
    const { code, err } = await lacuna(['model', 'add', cache, '--yes'])
    expect(code, err).toBe(0)
    expect(err).toMatch(/licence +apache-2\.0/)
  })

  test('a bundle is taken as it is, and whoever asks for something else is told', async () => {
    await convertModel(source, source, { quant: 'f32' })
    const { code, err } = await lacuna(['model', 'add', source, '--yes', '--quant', 'q8'])
    expect(code).toBe(2)
    expect(err).toContain('tiny: a bundle is taken as it is; --quant is for models to be converted')
    expect((await lacuna(['model', 'add', source, '--yes'])).code).toBe(0)
  })

  test('takes over from a process that is gone', async () => {
    await mkdir(join(home, 'downloads/tiny@folder'), { recursive: true })
    await writeFile(join(home, 'downloads/tiny@folder/in-use-by'), '999999999')
    const { code, err } = await lacuna(['model', 'add', source, '--yes'])
    expect(code, err).toBe(0)
  })

  test('asks where somebody can answer, and takes no for an answer', async () => {
    const asked = await lacuna(['model', 'add', source], 'n\n')
    expect(asked.code).toBe(1)
    expect(asked.err).toMatch(/licence +Apache-2\.0|licence +apache-2\.0/)
    expect(asked.err).toMatch(/stored in +.*models\/tiny/)
    expect(asked.err).toContain('Add it? [y/N] nothing was fetched')
    expect(existsSync(home)).toBe(false)
    expect((await lacuna(['model', 'add', source], '\n')).code).toBe(1)
    const { code, err } = await lacuna(['model', 'add', source], 'y\n')
    expect(code, err).toBe(0)
  })

  test('an interrupt that came before the question is an answer', async () => {
    const terminal = { out: () => {}, err: () => {}, stdin: Object.assign(new PassThrough(), { isTTY: true }) }
    const asked = confirm('Add it?', false, terminal, AbortSignal.abort(new Aborted('cancelled')))
    await expect(asked).rejects.toThrow(Aborted)
  })

  test('without a terminal and without --yes does nothing', async () => {
    const { code, err } = await lacuna(['model', 'add', source])
    expect(code).toBe(2)
    expect(err).toContain('nobody can be asked; add --yes to go on')
    expect(existsSync(home)).toBe(false)
  })

  test.each(['cc-by-nc-4.0', undefined])('a licence %s must be accepted', async (licence) => {
    await edit(join(source, 'config.json'), (config) => Object.assign(config.infill, { licence }))
    const refused = await lacuna(['model', 'add', source, '--yes'])
    expect(refused.code).toBe(2)
    expect(refused.err).toContain(`its licence is ${licence ?? 'unknown'}; read it, then add --accept-license`)
    expect(existsSync(home)).toBe(false)
    const { code, err } = await lacuna(['model', 'add', source, '--yes', '--accept-license'])
    expect(code, err).toBe(0)
  })

  test('a model that talks nonsense is not installed; what was made of it stays', async () => {
    // The last norm is nought: every token is as likely as any other.
    await blank('model.norm.weight')
    const { code, err } = await lacuna(['model', 'add', source, '--yes'])
    expect(code).toBe(2)
    expect(err).toMatch(
      /tiny: the self-test failed, so it was not installed: the entropy is .*; all slots propose the same 8/,
    )
    expect(existsSync(join(home, 'models/tiny'))).toBe(false)
    expect(existsSync(join(home, 'downloads/tiny@folder/bundle/lacuna.json'))).toBe(true)
  })

  test.each([
    [['nothing-here'], 'is no folder and no repository'],
    [['./nothing-here'], 'no such folder'],
    [['.', '--name', '../x'], 'cannot be a model'],
    [['.', '--name', 'lacuna-135m'], 'is the embedded model'],
    [['test', '--yes'], 'neither a lacuna.json nor a config.json'],
    [['.', '--quant', 'q3'], '--quant is'],
  ])('%j: %s', async (args, message) => {
    const { code, err } = await lacuna(['model', 'add', ...args])
    expect(code).toBe(2)
    expect(err).toContain(message)
  })
})

test('a conversion that is interrupted goes on', async () => {
  const hub = await localHub({ 'someone/tiny': { files: await folderFiles(), cardData: { license: 'mit' } } })
  const reference = {
    kind: 'repository',
    hub: { endpoint: hub.endpoint, token: undefined },
    id: 'someone/tiny',
    revision: 'main',
  } as const
  const choices = { name: 'tiny', quant: 'q4', modelsDir: modelPlaces().user } as const
  const attempt = async (stopAt?: string) => {
    const stop = new AbortController()
    const net = downloadRoom(stop.signal)
    const titles: string[] = []
    const bar = (title: string) => ({
      update: () => {
        titles.push(title)
        if (title === stopAt) stop.abort(new Aborted('cancelled'))
      },
      note: () => {},
      end: () => {},
    })
    const said: string[] = []
    const options = {
      quant: 'q4',
      facts: {},
      keepSource: true,
      bar,
      say: (line: string) => void said.push(line),
    } as const
    await carryOut(await planAddition(reference, choices, net), net, options).catch((error: unknown) => {
      if (!(error instanceof Aborted)) throw error
    })
    return { titles: new Set(titles), said, fetched: hub.seen.filter(({ path }) => path.includes('resolve')).length }
  }
  const first = await attempt('converting')
  expect(existsSync(join(home, 'downloads/someone--tiny@0123456789ab/made-from.json'))).toBe(true)
  expect(existsSync(join(home, 'downloads/someone--tiny@0123456789ab/bundle/lacuna.json'))).toBe(false)
  const second = await attempt()
  expect(second.fetched).toBe(first.fetched) // nothing twice
  expect(second.said.join()).toContain('self-test passed')
  expect(second.said.at(-1)).toMatch(/the files it was made from stay in .*source\/tiny/)
  expect((await lacuna(['model', 'verify', 'tiny'])).code).toBe(0)
})

test('other downloads of a repository go, unless they are kept or somebody works on them', async () => {
  const hub = await localHub({ 'someone/tiny': { files: await folderFiles(), cardData: { license: 'mit' } } })
  vi.stubEnv('HF_ENDPOINT', hub.endpoint)
  const older = (name: string) => join(home, 'downloads', `someone--tiny@${name}`)
  for (const name of ['left', 'kept', 'held', '0123456789ab']) await mkdir(older(name), { recursive: true })
  await writeFile(join(older('held'), 'in-use-by'), String(process.ppid))
  await writeFile(join(older('kept'), 'kept'), '')
  const { code, err } = await lacuna(['model', 'add', 'someone/tiny', '--yes', '--keep-source'])
  expect(code, err).toBe(0)
  expect((await readdir(older('0123456789ab'))).sort()).toEqual(['kept', 'made-from.json', 'source'])
  expect([existsSync(older('left')), existsSync(older('kept')), existsSync(older('held'))]).toEqual([false, true, true])
})

async function folderFiles(): Promise<Record<string, Uint8Array>> {
  const names = ['config.json', 'tokenizer.json', 'model.safetensors', 'adapter_model.safetensors']
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await readFile(join(source, name))])))
}

test('a repository that is a bundle already is fetched as it is, by its address', async () => {
  expect((await lacuna(['model', 'add', source, '--yes', '--name', 'first'])).code).toBe(0)
  const { files: listed } = JSON.parse(await readFile(join(home, 'models/first/lacuna.json'), 'utf8'))
  const paths: string[] = ['lacuna.json', ...listed.map(({ path }: { path: string }) => path)]
  const read = async (path: string) => [path, await readFile(join(home, 'models/first', path))] as const
  const files = Object.fromEntries(await Promise.all(paths.map(read)))
  const hub = await localHub({ 'someone/ready': { files: { ...files, 'model.safetensors': Buffer.alloc(10) } } })
  const { code, out, err } = await lacuna(['model', 'add', `${hub.endpoint}/someone/ready`, '--yes'])
  expect(code, err).toBe(0)
  expect(err).toMatch(/licence +apache-2\.0/)
  expect(out).toContain('ready: installed')
  expect(hub.seen.some(({ path }) => path.endsWith('model.safetensors'))).toBe(false)
  expect((await lacuna(['model', 'verify', 'ready'])).code).toBe(0)
})

test('a published bundle of another version gets the graph of this one', async () => {
  expect((await lacuna(['model', 'add', source, '--yes', '--name', 'first'])).code).toBe(0)
  const first = join(home, 'models/first')
  const manifest = JSON.parse(await readFile(join(first, 'lacuna.json'), 'utf8'))
  const paths: string[] = ['lacuna.json', ...manifest.files.map(({ path }: { path: string }) => path)]
  const files = Object.fromEntries(
    await Promise.all(paths.map(async (path): Promise<[string, Buffer]> => [path, await readFile(join(first, path))])),
  )
  const graph = Buffer.concat([files['onnx/model_q4.onnx']!, Buffer.from([0])])
  for (const file of manifest.files) {
    if (file.path !== 'onnx/model_q4.onnx') continue
    file.bytes = graph.length
    file.sha256 = createHash('sha256').update(graph).digest('hex')
  }
  const other = { ...files, 'onnx/model_q4.onnx': graph, 'lacuna.json': Buffer.from(JSON.stringify(manifest)) }
  const hub = await localHub({ 'someone/older': { files: other } })
  const { code, err } = await lacuna(['model', 'add', `${hub.endpoint}/someone/older`, '--yes'])
  expect(code, err).toBe(0)
  expect(err).toContain('its graph is not the one that this version makes, so it is made again')
  expect(await readFile(join(home, 'models/older/onnx/model_q4.onnx'))).toEqual(files['onnx/model_q4.onnx'])
  expect((await lacuna(['model', 'verify', 'older'])).code).toBe(0)
})

test('a bidirectional model is tried as it will run, with both sides in one pass', async () => {
  const random = { attention: 'bidirectional', adapterRank: 0, logitsShift: 0 } as const
  const add = () => lacuna(['model', 'add', source, '--yes', '--quant', 'f32'])
  await rm(join(source, 'adapter_model.safetensors'))
  await randomFolder(source, { ...random, layers: 1 }, 13) // with a tied head it repeats what stands there
  expect((await add()).err).toContain('the best token of 8 of 8 slots is the mask itself. Perhaps --shift')
  await randomFolder(source, { ...random, layers: 4 }, 13)
  const { code, err } = await add()
  expect(code, err).toBe(0)
  expect(err).toContain('self-test passed')
})

test('a model that cannot be converted is refused before its weights are fetched', async () => {
  await edit(join(source, 'config.json'), (config) => Object.assign(config, { model_type: 'gpt2' }))
  const hub = await localHub({ 'someone/gpt': { files: await folderFiles(), cardData: { license: 'mit' } } })
  vi.stubEnv('HF_ENDPOINT', hub.endpoint)
  const { code, err } = await lacuna(['model', 'add', 'someone/gpt', '--yes'])
  expect(code).toBe(2)
  expect(err).toContain('model_type is "gpt2"')
  expect(hub.seen.filter(({ host }) => host === 'cdn')).toEqual([])
})

describe('list, use, show, remove', () => {
  async function install(...names: string[]): Promise<void> {
    const embedded = JSON.parse(await readFile('models/lacuna-135m/lacuna.json', 'utf8'))
    for (const name of names) {
      await mkdir(join(home, 'models', name), { recursive: true })
      await writeFile(join(home, 'models', name, 'lacuna.json'), JSON.stringify({ ...embedded, name, licence: 'mit' }))
    }
  }

  test('the default is marked, chosen, and comes back when its model is gone', async () => {
    await install('mine', 'yours')
    const listed = async () => (await lacuna(['model', 'list'])).out.split('\n').map((line) => line.split('\t')[0])
    expect(await listed()).toEqual(['  mine', '  yours', '* lacuna-135m', ''])
    expect((await lacuna(['model', 'use', 'mine'])).code).toBe(0)
    expect(await listed()).toEqual(['* mine', '  yours', '  lacuna-135m', ''])
    expect(await resolveModel()).toBe(join(home, 'models/mine'))
    expect((await lacuna(['model', 'show'])).out).toMatch(/^name +mine$/m)

    await rm(join(home, 'models/mine'), { recursive: true })
    const warnings: string[] = []
    expect(await resolveModel(undefined, modelPlaces(), (message) => void warnings.push(message))).toBe(
      join(modelPlaces().embedded, 'lacuna-135m'),
    )
    expect(warnings).toEqual([
      'the default model "mine" is gone; taking lacuna-135m. "lacuna model use NAME" chooses another',
    ])
    expect(await listed()).toEqual(['  yours', '* lacuna-135m', ''])
    expect((await lacuna(['model', 'use', 'lacuna-135m'])).code).toBe(0)
    await resolveModel(undefined, modelPlaces(), (message) => expect.unreachable(message))
  })

  test('list says size, quantisation and licence, and which one is broken', async () => {
    await install('mine')
    await mkdir(join(home, 'models/broken'))
    await writeFile(join(home, 'models/broken/lacuna.json'), '{}')
    const { out } = await lacuna(['model', 'list'])
    expect(out).toMatch(/^ {2}mine\t98\.\d MB\tq4\w*\tmit\t.*models\/mine$/m)
    expect(out).toMatch(/^ {2}broken\tcannot be used: .*lacuna\.json/m)
    expect((await lacuna(['model', 'use', 'broken'])).code).toBe(2)
  })

  test('show gives the facts, or lacuna.json as it is', async () => {
    const { out } = await lacuna(['model', 'show', 'lacuna-135m'])
    for (const line of [
      /^licence +Apache-2\.0$/m,
      /^attention +causal-context$/m,
      /^mask id +49153$/m,
      /^drafting +23 slots, 5 look ahead; what follows 24 on$/m,
    ])
      expect(out).toMatch(line)
    const { out: json } = await lacuna(['model', 'show', '--json'])
    expect(JSON.parse(json)).toEqual(JSON.parse(await readFile('models/lacuna-135m/lacuna.json', 'utf8')))
  })

  test('remove asks, deletes, and never the embedded one', async () => {
    await install('mine')
    await lacuna(['model', 'use', 'mine'])
    expect((await lacuna(['model', 'remove', 'mine'])).err).toContain('add --yes')
    expect((await lacuna(['model', 'remove', 'mine'], 'n\n')).code).toBe(1)
    expect(existsSync(join(home, 'models/mine'))).toBe(true)
    expect(await lacuna(['model', 'remove', 'mine', '--yes'])).toMatchObject({ code: 0, out: 'mine: deleted\n' })
    expect(existsSync(join(home, 'models/mine'))).toBe(false)
    await resolveModel(undefined, modelPlaces(), (message) => expect.unreachable(message))
    const embedded = await lacuna(['model', 'remove', 'lacuna-135m', '--yes'])
    expect(embedded.code).toBe(2)
    expect(embedded.err).toContain('lacuna-135m is the embedded model, part of the program; it stays')
    expect((await lacuna(['model', 'remove', '../home', '--yes'])).err).toContain('no such model')
  })

  test('remove takes a link away and leaves alone what it leads to', async () => {
    await install('mine')
    await rename(join(home, 'models/mine'), join(home, 'elsewhere'))
    await symlink(join(home, 'elsewhere'), join(home, 'models/mine'))
    expect((await lacuna(['model', 'remove', 'mine', '--yes'])).code).toBe(0)
    expect(await readdir(join(home, 'models'))).toEqual([])
    expect(await readdir(join(home, 'elsewhere'))).toEqual(['lacuna.json'])
  })

  test('what a removal left half done is in the way, and said to be', async () => {
    await mkdir(join(home, 'models/tiny/onnx'), { recursive: true })
    const { code, err } = await lacuna(['model', 'add', source, '--yes'])
    expect(code).toBe(2)
    expect(err).toContain(`${join(home, 'models/tiny')}: in the way, and no model; delete it, or choose another`)
  })
})

describe('the self-test', () => {
  const manifest = { vocab: 100, maskId: 99, topK: 8 }
  const rows = (of: (slot: number) => number[]) => Array.from({ length: 8 }, (_, slot) => of(slot))
  const sound = {
    topIds: rows((slot) => [0, 1, 2, 3, 4, 5, 6, 7].map((i) => i + 8 * slot)),
    topLogProbs: rows(() => [-0.5, -1, -2, -3, -4, -5, -6, -7]),
    entropy: Array<number>(8).fill(1.5),
  }
  test('finds nothing wrong with a sound answer', () => expect(problemsOf(sound, manifest)).toEqual([]))
  test.each([
    ['NaN', { entropy: [...sound.entropy.slice(1), Number.NaN] }, '1 of 72 numbers are NaN or infinite'],
    [
      'the mask',
      { topIds: [[99, 1, 2, 3, 4, 5, 6, 7], ...sound.topIds.slice(1)] },
      'the best token of 1 of 8 slots is',
    ],
    ['no information', { entropy: Array<number>(8).fill(Math.log(100)) }, 'the entropy is 4.605 nats'],
    ['certainty of everything', { entropy: Array<number>(8).fill(0) }, 'the entropy is 0.000 nats'],
    ['one answer to all', { topIds: rows(() => [0, 1, 2, 3, 4, 5, 6, 7]) }, 'all slots propose the same 8 tokens'],
  ])('finds %s', (_, spoilt, message) => {
    const problems = problemsOf({ ...sound, ...spoilt }, manifest)
    expect(problems).toHaveLength(1)
    expect(problems[0]).toContain(message)
  })
})
