import { execFileSync } from 'node:child_process'
import { mkdir, open, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openSafetensors } from '../../../server/model/safetensors.ts'
import { temporaryFolder } from '../temporaryFolder.ts'
import { rawSafetensors, safetensorsBytes } from '../writeSafetensors.ts'
import { expectRefusal, listing } from './hostileBundle.ts'

const numbers = Float32Array.of(1, -2, 0.5, 3)
const valid = safetensorsBytes(new Map([['a', { type: 'F32', dims: [4], data: numbers }]]))
const entry = (offsets: readonly unknown[], shape: unknown = [1], dtype: unknown = 'F32') =>
  JSON.stringify({ dtype, shape, data_offsets: offsets })
const holding = (header: string, dataBytes = 8) => rawSafetensors(header, new Uint8Array(dataBytes))
const announcing = (length: bigint) => {
  const bytes = new Uint8Array(20)
  new DataView(bytes.buffer).setBigUint64(0, length, true)
  return bytes
}

/** What the header of one tensor `a` over 8 bytes of data must not be. */
const headers: readonly (readonly [string, string, RegExp])[] = [
  ['a name twice', `{"a":${entry([0, 4])},"a":${entry([4, 8])}}`, /"a" is there twice/],
  ['a name twice, once escaped', `{"a":${entry([0, 4])},"\\u0061":${entry([4, 8])}}`, /"a" is there twice/],
  ['a field twice', `{"a":{"dtype":"F32","dtype":"F16","shape":[2],"data_offsets":[0,8]}}`, /"dtype" is there twice/],
  ['a byte order mark', `\ufeff{"a":${entry([0, 8], [2])}}`, /byte order mark/],
  ['a type that is a number', `{"a":${entry([0, 8], [2], 7)}}`, /tensor a: dtype/],
  ['a type that is inherited', `{"a":${entry([0, 8], [2], 'constructor')}}`, /unknown type "constructor"/],
  ['a shape that is a text', `{"a":${entry([0, 8], '2')}}`, /tensor a: shape/],
  ['a negative size', `{"a":${entry([0, 8], [-2])}}`, /tensor a: shape\.0/],
  ['a size beyond exact numbers', `{"a":${entry([0, 8], [2 ** 60])}}`, /tensor a: shape\.0/],
  ['sizes whose product is none', `{"a":${entry([0, 8], Array(40).fill(2 ** 40))}}`, /takes 2\^53 or more bytes/],
  [
    'sizes whose product is NaN',
    `{"a":${entry([0, 0], [...Array(40).fill(2 ** 40), 0])}}`,
    /takes 2\^53 or more bytes/,
  ],
  ['a huge size hidden by a zero', `{"a":${entry([0, 0], [2 ** 50, 2 ** 50, 0])}}`, /takes 2\^53 or more bytes/],
  ['a size of 1e999', '{"a":{"dtype":"F32","shape":[1e999],"data_offsets":[0,8]}}', /tensor a: shape\.0/],
  ['one offset', `{"a":${entry([0])}}`, /tensor a: data_offsets/],
  ['three offsets', `{"a":${entry([0, 8, 8], [2])}}`, /tensor a: data_offsets/],
  ['offsets of 2^60', `{"a":${entry([2 ** 60, 2 ** 60])}}`, /tensor a: data_offsets\.0/],
  ['an offset that is a text', `{"a":${entry(['0', '8'], [2])}}`, /tensor a: data_offsets\.0/],
  ['a scalar of eight bytes', `{"a":${entry([0, 8], [])}}`, /takes 4 bytes, its offsets span 8/],
  ['an empty tensor amid another', `{"a":${entry([0, 8], [2])},"b":${entry([4, 4], [0])}}`, /overlaps/],
  ['metadata that is a list', `{"__metadata__":[],"a":${entry([0, 8], [2])}}`, /__metadata__ holds more than texts/],
  ['metadata that is nested', `{"__metadata__":{"x":{}},"a":${entry([0, 8], [2])}}`, /__metadata__ holds more/],
  ['a null entry', '{"a":null}', /tensor a: /],
  ['no tensor for the data', '{}', /the tensors end at byte/],
  ['100,000 open brackets', '['.repeat(100_000), /nested deeper than 64/],
  ['100,000 objects in each other', '{"a":'.repeat(100_000), /nested deeper than 64/],
  ['six million empty lists', `{"a":[${'[],'.repeat(6_000_000)}0]}`, /more than 5000000 values/],
  ['text after the end', `{"a":${entry([0, 8], [2])}}x`, /no JSON/],
  ['a name with terminal commands', `{"\\u001b[2J\\n":${entry([0, 4], [2])}}`, /tensor \\u001b\[2J\\u000a: F32/],
  ['a name of 100,000 characters', `{"${'n'.repeat(100_000)}":${entry([0, 4], [2])}}`, /tensor n{400}/],
  ['a name that is inherited', `{"__proto__":${entry([0, 4], [2])}}`, /tensor __proto__: F32 \[2\] takes 8/],
]

describe('a header with', () => {
  test.each(headers)('%s', async (_, header, message) => {
    const dir = await temporaryFolder()
    await writeFile(join(dir, 'model.safetensors'), holding(header))
    const before = await listing(dir)
    await expectRefusal(openSafetensors(dir, 'model'), message)
    expect(await listing(dir)).toEqual(before)
  })

  test.each([2n ** 60n, 2n ** 64n - 1n, 100_000_001n])('an announced length of %i bytes', async (length) => {
    const dir = await temporaryFolder()
    await writeFile(join(dir, 'model.safetensors'), announcing(length))
    const before = process.memoryUsage().arrayBuffers
    await expectRefusal(openSafetensors(dir, 'model'), /a header of \d+ bytes is announced/)
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1_000_000)
  })

  test('spaces in front of it', async () => {
    const dir = await temporaryFolder()
    await writeFile(join(dir, 'model.safetensors'), holding(`  {"a":${entry([0, 8], [2])}}`))
    await expectRefusal(openSafetensors(dir, 'model'), /the header does not begin with \{/)
  })
})

test('a sparse file of a terabyte costs nothing before its tensor is asked for, in parts', async () => {
  const dir = await temporaryFolder()
  const count = 2 ** 38
  const file = await open(join(dir, 'model.safetensors'), 'w')
  const head = rawSafetensors(`{"a":${entry([0, count * 4], [count])}}`)
  await file.write(head)
  await file.truncate(head.length + count * 4)
  await file.close()
  const opened = await openSafetensors(dir, 'model')
  expect(await opened.read('a', count - 3, 3)).toEqual(new Float32Array(3))
  await expectRefusal(opened.read('a'), /1099511627776 bytes in one piece/)
  await opened.close()
})

describe('in place of the file', () => {
  const cases: readonly (readonly [string, (path: string) => unknown, RegExp])[] = [
    ['a folder', (path) => mkdir(path), /a folder, wanted a file/],
    ['a FIFO', (path) => execFileSync('mkfifo', [path]), /no plain file/],
    ['a device without end', (path) => symlink('/dev/zero', path), /no plain file/],
    ['a link to itself', (path) => symlink('model.safetensors', path), /ELOOP|ENOENT/],
    ['a link to nothing', (path) => symlink('nothing', path), /ENOENT/],
    ['an empty file', (path) => writeFile(path, ''), /0 bytes are too few/],
  ]
  test.skipIf(process.platform === 'win32').each(cases)('%s', async (_, make, message) => {
    const dir = await temporaryFolder()
    await make(join(dir, 'model.safetensors'))
    await expectRefusal(openSafetensors(dir, 'model'), message)
  })
})

describe('an index', () => {
  const cases: readonly (readonly [string, string, RegExp])[] = [
    ['that climbs', '{"weight_map":{"a":"../x.safetensors"}}', /"\.\.\/x\.safetensors" is no file of this folder/],
    ['that climbs as on Windows', '{"weight_map":{"a":"..\\\\x.safetensors"}}', /is no file of this folder/],
    ['with an absolute path', '{"weight_map":{"a":"/etc/x.safetensors"}}', /is no file of this folder/],
    ['that names another kind of file', '{"weight_map":{"a":"config.json"}}', /is no file of this folder/],
    ['with a zero byte', '{"weight_map":{"a":"x\\u0000.safetensors"}}', /null bytes|no file/],
    ['with a new line', '{"weight_map":{"a":"x\\n/y.safetensors"}}', /"x\\u000a\/y\.safetensors" is no file/],
    ['of numbers', '{"weight_map":{"a":1}}', /it has no "weight_map" of file names/],
    ['that is a list', '[]', /it has no "weight_map"/],
    ['with a name twice', '{"weight_map":{"a":"x.safetensors","a":"y.safetensors"}}', /"a" is there twice/],
    ['of brackets', '['.repeat(1_000_000), /nested deeper than 64/],
    ['with a byte order mark', '\ufeff{"weight_map":{"a":"x.safetensors"}}', /byte order mark/],
    [
      'that names a shard twice over a link',
      '{"weight_map":{"a":"x.safetensors","b":"link.safetensors"}}',
      /tensor a is in/,
    ],
    ['that names a folder', '{"weight_map":{"a":"folder.safetensors"}}', /a folder, wanted a file/],
    ['that names a FIFO', '{"weight_map":{"a":"fifo.safetensors"}}', /no plain file/],
    ['that is wrong about what is inside', '{"weight_map":{"b":"x.safetensors"}}', /tensor b is not in x\.safetensors/],
    ['that names no shard', '{"weight_map":{}}', /names no file/],
  ]
  test.skipIf(process.platform === 'win32').each(cases)('%s', async (_, index, message) => {
    const dir = await temporaryFolder()
    await writeFile(join(dir, 'x.safetensors'), valid)
    await symlink('x.safetensors', join(dir, 'link.safetensors'))
    await mkdir(join(dir, 'folder.safetensors'))
    execFileSync('mkfifo', [join(dir, 'fifo.safetensors')])
    await writeFile(join(dir, 'model.safetensors.index.json'), index)
    await expectRefusal(openSafetensors(dir, 'model'), message)
  })
})
