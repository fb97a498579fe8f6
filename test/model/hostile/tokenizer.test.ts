/** A tokenizer.json that is broken, of another model or of another kind: refused before a document meets it. */
import { truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openRooms } from '../../../server/cli/openRooms.ts'
import { readTokenizer } from '../../../server/model/tokenizer.ts'
import { smallTokenizer } from '../randomBundle.ts'
import { temporaryFolder } from '../temporaryFolder.ts'
import { editJson, expectRefusal, intactBundle, type Json, rehash } from './hostileBundle.ts'

type Tokenizer = Json & { model: Json & { vocab: Record<string, unknown>; merges: unknown[] } }

const split = (Regex: string) => ({ type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false })

const lies: readonly (readonly [string, (t: Tokenizer) => void, RegExp])[] = [
  ['no model', (t) => delete (t as Json).model, /model: /],
  ['a model that is null', (t) => Object.assign(t, { model: null }), /model: /],
  ['pieces of words', (t) => Object.assign(t.model, { type: 'WordPiece' }), /model\.type is WordPiece, wanted BPE/],
  ['a unigram model', (t) => Object.assign(t.model, { type: 'Unigram' }), /model\.type is Unigram, wanted BPE/],
  ['an unknown kind', (t) => Object.assign(t.model, { type: 'constructor' }), /model\.type is constructor, wanted BPE/],
  ['no kind', (t) => delete t.model.type, /model\.type: /],
  ['no merges', (t) => delete (t.model as Json).merges, /model\.merges: /],
  [
    'merges that are missing',
    (t) => t.model.merges.splice(0),
    /merges are missing: \d+ of \d+ tokens are made by none/,
  ],
  ['most merges missing', (t) => t.model.merges.splice(2), /merges are missing: \d+ of \d+ tokens are made by none/],
  [
    'a merge of unknown tokens',
    (t) => t.model.merges.push(['zz', 'q']),
    /merges\.\d+ joins "zz" and "q", and model\.vocab lacks/,
  ],
  [
    'a merge into an unknown token',
    (t) => t.model.merges.push(['z', 'q']),
    /merges\.\d+ joins "z" and "q", and model\.vocab lacks/,
  ],
  ['a merge of three', (t) => t.model.merges.push(['a', 'b', 'c']), /merges\.\d+ is no pair of tokens/],
  ['a merge of numbers', (t) => t.model.merges.push([1, 2]), /merges\.\d+ is no pair of tokens/],
  ['merges of two kinds', (t) => t.model.merges.push('d e'), /merges\.\d+ is no pair of tokens/],
  ['a merge that is null', (t) => t.model.merges.unshift(null), /merges\.0 is no pair of tokens/],
  ['a list as vocabulary', (t) => Object.assign(t.model, { vocab: [] }), /vocab is no object of tokens and ids/],
  ['no vocabulary', (t) => Object.assign(t.model, { vocab: {}, merges: [] }), /model\.vocab is empty/],
  ['an id that is a text', (t) => Object.assign(t.model.vocab, { x: '5' }), /token "x" has the id "5"/],
  ['a negative id', (t) => Object.assign(t.model.vocab, { x: -1 }), /token "x" has the id -1/],
  ['a fraction of an id', (t) => Object.assign(t.model.vocab, { x: 0.5 }), /token "x" has the id 0\.5/],
  ['an id of 2^32 - 2', (t) => Object.assign(t.model.vocab, { x: 2 ** 32 - 2 }), /vocabularies disagree/],
  [
    'an id twice',
    (t) => Object.assign(t.model.vocab, { x: t.model.vocab.a }),
    /token "x" is not the only one with the id \d+/,
  ],
  ['a letter missing', (t) => delete t.model.vocab.k, /text comes back changed/],
  ['tokens in each other’s place', (t) => Object.assign(t, { decoder: null }), /text comes back changed/],
  ['added tokens that are texts', (t) => Object.assign(t, { added_tokens: ['x'] }), /added_tokens\.0/],
  [
    'a normalizer that rewrites',
    (t) => Object.assign(t, { normalizer: { type: 'Lowercase' } }),
    /Lowercase rewrites the text/,
  ],
  [
    'a normalizer that rewrites, wrapped',
    (t) => Object.assign(t, { normalizer: { type: 'Sequence', normalizers: [{ type: 'NFC' }, { type: 'NFKC' }] } }),
    /NFKC rewrites the text/,
  ],
  [
    'a normalizer that doubles forty times',
    (t) => {
      const double = { type: 'Replace', pattern: { String: 'a' }, content: 'aa' }
      Object.assign(t, { normalizer: { type: 'Sequence', normalizers: Array(40).fill(double) } })
    },
    /Replace rewrites the text/,
  ],
  ['a pattern that runs for years', (t) => Object.assign(t, { pre_tokenizer: split('(a+)+$') }), /repeats a group/],
  ['one with a choice', (t) => Object.assign(t, { pre_tokenizer: split('(?:.|\\w)*!') }), /repeats a group/],
  ['one that is nested', (t) => Object.assign(t, { pre_tokenizer: split('((?:a{1,999}))+b') }), /repeats a group/],
  [
    'one in a sequence',
    (t) => Object.assign(t, { pre_tokenizer: { type: 'Sequence', pretokenizers: [split('([^x]*)*x')] } }),
    /repeats a group/,
  ],
  ['a pattern that is none', (t) => Object.assign(t, { pre_tokenizer: split('(') }), /tokenizer\.json: /],
  ['an unknown pre-tokenizer', (t) => Object.assign(t, { pre_tokenizer: { type: 'Evil' } }), /tokenizer\.json: .*Evil/],
  [
    'a pre-tokenizer that drops spaces',
    (t) => Object.assign(t, { pre_tokenizer: { type: 'WhitespaceSplit' } }),
    /text comes back changed/,
  ],
]

describe('a tokenizer with', () => {
  test.each(lies)('%s', async (_, lie, message) => {
    const dir = await temporaryFolder()
    const json = smallTokenizer() as unknown as Tokenizer
    lie(json)
    await writeFile(join(dir, 'tokenizer.json'), JSON.stringify(json))
    await expectRefusal(readTokenizer(dir, 1000), message)
    await expectRefusal(readTokenizer(dir, 1000), 'tokenizer.json: ')
  })

  test.each([
    ['a token twice', '{"model":{"type":"BPE","vocab":{"a":1,"a":2},"merges":[]}}', /"a" is there twice/],
    ['brackets without end', '['.repeat(1_000_000), /nested deeper than 64/],
    ['a byte order mark', '\ufeff{}', /byte order mark/],
    ['nothing in it', '', /tokenizer\.json: /],
  ])('%s', async (_, text, message) => {
    const dir = await temporaryFolder()
    await writeFile(join(dir, 'tokenizer.json'), text)
    await expectRefusal(readTokenizer(dir), message)
  })

  test('a gigabyte', async () => {
    const dir = await temporaryFolder()
    await writeFile(join(dir, 'tokenizer.json'), '{')
    await truncate(join(dir, 'tokenizer.json'), 2 ** 30)
    await expectRefusal(readTokenizer(dir), /1073741824 bytes, at most 100000000 are read/)
  })
})

test('merges written as texts, as older files have them, and a composing normalizer are fine', async () => {
  const dir = await temporaryFolder()
  const json = smallTokenizer()
  const older = {
    ...json,
    normalizer: { type: 'NFC' },
    model: { ...json.model, merges: json.model.merges.map((pair) => pair.join(' ')) },
  }
  await writeFile(join(dir, 'tokenizer.json'), JSON.stringify(older))
  const tokenizer = await readTokenizer(dir, 1000)
  await writeFile(join(dir, 'tokenizer.json'), JSON.stringify(json))
  expect(tokenizer.encode('return self')).toEqual((await readTokenizer(dir, 1000)).encode('return self'))
})

/** Patterns of public tokenizers (GPT-2, Qwen2, Llama 3): none may be taken for a dangerous one. */
test.each([
  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
])('the pattern %s is fine', async (pattern) => {
  const dir = await temporaryFolder()
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false }
  const json = { ...smallTokenizer(), pre_tokenizer: { type: 'Sequence', pretokenizers: [split(pattern), byteLevel] } }
  await writeFile(join(dir, 'tokenizer.json'), JSON.stringify(json))
  await readTokenizer(dir, 1000)
})

test('a tokenizer of another model, with hashes that agree, is refused as the rooms open', async () => {
  const dir = await intactBundle()
  await editJson(join(dir, 'tokenizer.json'), (t: Tokenizer) => Object.assign(t.model.vocab, { '<|extra|>': 30_000 }))
  await rehash(dir)
  await expectRefusal(
    openRooms(dir),
    /tokenizer\.json: token "<\|extra\|>" has the id 30000, the model knows 0 to \d+: the vocab/,
  )
})
