/** What a hub says of a repository, what it refuses, and what is fetched of it. */
import { describe, expect, test } from 'vitest'
import { BundleError, UserError } from '../../server/base/errors.ts'
import { isSafePath, readFileText, readRepository } from '../../server/model/hub.ts'
import { licenceInCard, licenceOf } from '../../server/model/licence.ts'
import { hubOf, parseReference } from '../../server/model/modelReference.ts'
import { wantedFiles } from '../../server/model/wantedFiles.ts'
import { downloadRoom } from './downloadRoom.ts'
import { commit, type HubRepository, localHub, sha256 } from './localHub.ts'
import { temporaryFolder } from './temporaryFolder.ts'

const id = 'owner/model'
const bytes = (text: string) => Buffer.from(text)
const weights = Buffer.alloc(5000, 1)
const plain = {
  'config.json': bytes('{}'),
  'tokenizer.json': bytes('{}'),
  'tokenizer_config.json': bytes('{}'),
  'model.safetensors': weights,
  'README.md': bytes('# Model'),
  'modeling_evil.py': bytes('print(1)'),
  'pytorch_model.bin': weights,
  '.gitattributes': bytes(''),
}

async function read(repository: Partial<HubRepository>, token?: string, revision = 'main', asked = id) {
  const hub = await localHub({ [id]: { files: plain, ...repository }, 'old/model': { files: {}, renamedTo: id } })
  const room = downloadRoom()
  const named = hubOf({ HF_ENDPOINT: `${hub.endpoint}/`, HF_TOKEN: token })
  const answer = await readRepository({ kind: 'repository', hub: named, id: asked, revision }, room)
  const wanted = () => wantedFiles(answer, (path) => readFileText(answer, path, room))
  return { hub, repository: answer, wanted, room }
}

describe('the list of a repository', () => {
  test('gives the commit, sizes and hashes', async () => {
    const { repository } = await read({ cardData: { license: 'apache-2.0' } })
    expect(repository).toMatchObject({ commit, gated: false, licence: { text: 'apache-2.0', permissive: true } })
    const file = (path: string) => repository.files.find((one) => one.path === path)
    expect(file('model.safetensors')).toEqual({
      path: 'model.safetensors',
      bytes: 5000,
      sha256: sha256(weights),
      gitSha1: undefined,
    })
    // What "git hash-object" says of "{}".
    expect(file('config.json')!.gitSha1).toBe('9e26dfeeb6e641a33dae4961196235bdb965b21b')
  })

  test('may hold files with odd names, as long as they stay in the folder', async () => {
    const { repository, wanted } = await read({
      files: { ...plain, 'runs/12:30.json': bytes('{}'), 'a..b/x.': bytes('') },
    })
    expect(repository.files).toHaveLength(Object.keys(plain).length + 2)
    expect((await wanted()).files).toHaveLength(5)
  })

  test('of a repository that was renamed is found, and the token stays with the host', async () => {
    const { hub, repository } = await read({}, 'hf_secret', 'main', 'old/model')
    expect(repository.commit).toBe(commit)
    expect(hub.seen.map(({ authorization }) => authorization)).toEqual(['Bearer hf_secret', 'Bearer hf_secret'])
  })

  test.each([
    [
      'missing, without a token',
      {},
      undefined,
      'main',
      'nobody/nothing',
      /nobody\/nothing: no such repository at http.*; is the name right\? a private one needs HF_TOKEN/,
    ],
    [
      'missing, with a token',
      {},
      'hf_secret',
      'main',
      'nobody/nothing',
      /is the account of HF_TOKEN allowed to see it\?/,
    ],
    ['private', { privateFor: 'hf_mine' }, 'hf_secret', 'main', id, /owner\/model: no such repository/],
    ['a bad token', {}, 'invalid', 'main', id, /does not know the token in HF_TOKEN/],
    ['an unknown revision', {}, undefined, 'v9', id, /owner\/model has no revision "v9"/],
    [
      'a name that climbs',
      { files: { '../../.bashrc': bytes('x') } },
      undefined,
      'main',
      id,
      /a file is called "\.\.\/\.\.\/\.bashrc", which leaves the folder/,
    ],
    ['an absolute name', { files: { '/etc/passwd': bytes('x') } }, undefined, 'main', id, /leaves the folder/],
    ['a name of Windows', { files: { 'C:\\x': bytes('x') } }, undefined, 'main', id, /leaves the folder/],
    [
      'no size',
      { listed: { 'config.json': { size: undefined } } },
      undefined,
      'main',
      id,
      /does not say how large config\.json is/,
    ],
    [
      'a hash that is none',
      { listed: { 'model.safetensors': { lfs: { sha256: 'x', size: 1 } } } },
      undefined,
      'main',
      id,
      /siblings\.3\.lfs\.sha256/,
    ],
    ['a commit that is none', { sha: '../..' }, undefined, 'main', id, /sha: /],
  ] as const)('%s: one clear message', async (_, repository, token, revision, asked, message) => {
    const failed = read(repository as Partial<HubRepository>, token, revision, asked)
    await expect(failed).rejects.toThrow(message)
    await expect(failed).rejects.toBeInstanceOf(UserError)
    await expect(failed).rejects.not.toThrow(/hf_secret|invalid/)
  })

  test('is asked for again when the hub is busy', async () => {
    const hub = await localHub({ [id]: { files: plain } })
    let asked = 0
    hub.fault = () => (asked++ < 2 ? { kind: 'status', status: 429, headers: { 'retry-after': '4' } } : undefined)
    const room = downloadRoom()
    const reference = { kind: 'repository', hub: hubOf({ HF_ENDPOINT: hub.endpoint }), id, revision: 'main' } as const
    expect((await readRepository(reference, room)).commit).toBe(commit)
    expect(room.waits).toEqual([4000, 4000])
    expect(room.notes[1]).toMatch(/patience \(HTTP 429, 4 s\); again in 4 s \(attempt 3\)$/)
  })

  test('a page that is no hub', async () => {
    const hub = await localHub({ [id]: { files: plain } })
    hub.fault = () => ({ kind: 'status', status: 200 })
    const reference = { kind: 'repository', hub: hubOf({ HF_ENDPOINT: hub.endpoint }), id, revision: 'main' } as const
    await expect(readRepository(reference, downloadRoom())).rejects.toThrow('is this a Hugging Face hub?')
  })

  test('a host that is not there is not waited for', async () => {
    const room = downloadRoom()
    const hub = hubOf({ HF_ENDPOINT: 'http://127.0.0.1:9' })
    await expect(readRepository({ kind: 'repository', hub, id, revision: 'main' }, room)).rejects.toThrow(
      'ECONNREFUSED',
    )
    expect(room.waits).toEqual([])
  })
})

describe('what is fetched', () => {
  const paths = async (files: HubRepository['files']) =>
    (await (await read({ files })).wanted()).files.map(({ path }) => path).sort()

  test('is what a conversion reads, smallest first; no code, no other weights', async () => {
    const wanted = await (await read({})).wanted()
    expect(wanted.kind).toBe('weights')
    expect(wanted.files.map(({ path }) => path)).toEqual([
      'config.json',
      'tokenizer_config.json',
      'tokenizer.json',
      'README.md',
      'model.safetensors',
    ])
  })

  test('of weights in parts: those that the index names', async () => {
    const weight_map = { a: 'model-00001-of-00002.safetensors', b: 'model-00002-of-00002.safetensors' }
    const { 'model.safetensors': _, ...others } = plain
    const parts = {
      ...others,
      'model.safetensors.index.json': bytes(JSON.stringify({ weight_map })),
      'model-00001-of-00002.safetensors': weights,
      'model-00002-of-00002.safetensors': weights,
      'consolidated.safetensors': weights,
      'adapter_model.safetensors': weights,
    }
    expect((await paths(parts)).filter((path) => path.includes('safetensors'))).toEqual([
      'adapter_model.safetensors',
      'model-00001-of-00002.safetensors',
      'model-00002-of-00002.safetensors',
      'model.safetensors.index.json',
    ])
    const bad = { ...parts, 'model.safetensors.index.json': bytes('{"weight_map":{"a":"../x.safetensors"}}') }
    await expect(paths(bad)).rejects.toThrow('names "../x.safetensors", which is no weights file there')
  })

  test('of a tokenizer in the way of Qwen: its two files', async () => {
    const { 'tokenizer.json': _, ...others } = plain
    expect(await paths({ ...others, 'vocab.json': bytes('{}'), 'merges.txt': bytes('') })).toContain('merges.txt')
    await expect(paths(others)).rejects.toThrow('owner/model holds no tokenizer.json, nor vocab.json and merges.txt')
  })

  test('of weights that are not safetensors: nothing', async () => {
    const { 'model.safetensors': _, ...others } = plain
    await expect(paths(others)).rejects.toThrow('holds no model.safetensors')
  })

  test('of a bundle: what its lacuna.json lists', async () => {
    const listed = (path: string, content = weights) => ({ path, bytes: content.length, sha256: sha256(content) })
    const manifest = (...files: unknown[]) => ({
      ...plain,
      'onnx/model.onnx': weights,
      'lacuna.json': bytes(JSON.stringify({ licence: 'MIT', files })),
    })
    expect(await paths(manifest(listed('onnx/model.onnx')))).toEqual(['README.md', 'lacuna.json', 'onnx/model.onnx'])
    await expect(paths(manifest(listed('../x')))).rejects.toThrow('lists "../x", outside the folder')
    await expect(paths(manifest(listed('onnx/none')))).rejects.toThrow('lists onnx/none, which the repository lacks')
    await expect(paths(manifest({ ...listed('onnx/model.onnx'), bytes: 1 }))).rejects.toBeInstanceOf(BundleError)
  })
})

test.each([
  ['model.safetensors', true],
  ['onnx/model.onnx_data', true],
  ['..', false],
  ['a/../b', false],
  ['a//b', false],
  ['./a', false],
  ['/a', false],
  ['a\\b', false],
  ['C:a', false],
  ['a/', false],
  ['a\0b', false],
  ['name. ', false],
  ['', false],
])('isSafePath %j: %s', (path, safe) => expect(isSafePath(path)).toBe(safe))

describe('licences', () => {
  test.each([
    ['apache-2.0', true],
    ['mit', true],
    ['bsd-3-clause', true],
    ['cc-by-4.0', true],
    ['cc-by-nc-4.0', false],
    ['openrail', false],
    ['bigcode-openrail-m', false],
    ['other', false],
    [['mit', 'cc-by-nc-4.0'], false],
    [[], false],
    [undefined, false],
  ])('%j: allows every use: %s', (names, permissive) => expect(licenceOf(names).permissive).toBe(permissive))

  test('are read from the card, the tags, or not at all', async () => {
    const text = async (more: Partial<HubRepository>) => (await read(more)).repository.licence.text
    expect(await text({ tags: ['pytorch', 'license:cc-by-nc-4.0'] })).toBe('cc-by-nc-4.0')
    expect(
      await text({ cardData: { license: 'other', license_name: 'house\u001b[31m', license_link: 'LICENSE' } }),
    ).toBe('other (house [31m, LICENSE)')
    expect(await text({ cardData: 'nonsense' })).toBe('unknown')
    expect(licenceInCard('---\nlanguage: en\nlicense: "mit"\n---\n# Model')).toBe('mit')
    expect(licenceInCard('license: mit')).toBeUndefined()
  })
})

describe('what may be named', () => {
  const env = { HF_ENDPOINT: 'https://hub.example', HF_TOKEN: 'hf_secret' }
  test.each([
    ['owner/name', 'https://hub.example', 'owner/name', 'main', true],
    ['owner/name@v1.0', 'https://hub.example', 'owner/name', 'v1.0', true],
    ['https://hub.example/owner/name', 'https://hub.example', 'owner/name', 'main', true],
    ['https://hub.example/owner/name/tree/refs%2Fpr%2F1', 'https://hub.example', 'owner/name', 'refs/pr/1', true],
    ['https://elsewhere.example/owner/name/', 'https://elsewhere.example', 'owner/name', 'main', false],
    ['https://hf.co/owner/name', 'https://huggingface.co', 'owner/name', 'main', false],
    ['http://127.0.0.1:8080/owner/name', 'http://127.0.0.1:8080', 'owner/name', 'main', false],
  ])('%s', async (text, endpoint, name, revision, hasToken) => {
    const reference = await parseReference(text, env)
    expect(reference).toMatchObject({ kind: 'repository', id: name, revision, hub: { endpoint } })
    expect(reference.kind === 'repository' && reference.hub.token !== undefined).toBe(hasToken)
  })

  test('a folder', async () => {
    const dir = await temporaryFolder()
    expect(await parseReference(dir, env)).toEqual({ kind: 'folder', dir })
  })

  test.each([
    ['name', 'is no folder and no repository'],
    ['./nowhere', 'no such folder'],
    ['owner/name/more', 'is no folder and no repository'],
    ['owner/na--me', 'is no folder and no repository'],
    ['owner/name@', 'is no revision'],
    ['owner/name@../x', 'is no revision'],
    ['ftp://host/owner/name', '"ftp" is no scheme'],
    ['http://hub.example/owner/name', 'over https only'],
    ['https://user:hf_secret@hub.example/owner/name', 'holds a name or password'],
    ['https://hub.example/owner', "no repository's page"],
    ['https://hub.example/owner/name/blob/main/x', "no repository's page"],
  ])('%s: %s', async (text, message) => {
    const failed = parseReference(text, env)
    await expect(failed).rejects.toThrow(message)
    await expect(failed).rejects.not.toThrow('hf_secret')
  })

  test.each([
    [{ HF_ENDPOINT: 'http://hub.example' }, 'over https only'],
    [{ HF_ENDPOINT: 'hub.example' }, 'HF_ENDPOINT is no address'],
    [{ HF_ENDPOINT: 'https://hf_secret@hub.example' }, 'holds a name or password'],
    [{ HF_TOKEN: 'hf_secret\u00e9' }, 'HF_TOKEN holds characters'],
  ])('%j: %s', (bad, message) => {
    expect(() => hubOf(bad)).toThrow(message)
    expect(() => hubOf(bad)).not.toThrow('hf_secret')
  })
})
