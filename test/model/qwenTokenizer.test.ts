import { copyFile, mkdir, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { convertModel } from '../../server/model/convert.ts'
import { openBundle } from '../../server/model/openBundle.ts'
import { madeTokenizer } from '../../server/model/qwenTokenizer.ts'
import { makeTokenizer, readTokenizer } from '../../server/model/tokenizer.ts'
import { randomFolder } from './randomBundle.ts'
import { temporaryFolder } from './temporaryFolder.ts'

/** Bytes as GPT-2 writes them: printable ones as they are, the others from U+0100 on. */
function byteLetters(): string[] {
  let next = 0x100
  const printable = (byte: number) => (byte > 32 && byte < 127) || (byte > 160 && byte < 173) || byte > 173
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(printable(byte) ? byte : next++))
}

async function folder(tokenizerClass: string): Promise<string> {
  const dir = join(await temporaryFolder(), 'dream')
  await mkdir(dir)
  const merges = ['r e', 't u', 're tu', 'r n', 'retu rn', 'Ġ Ġ', 'ĠĠ Ġ', 'Ġ x']
  const tokens = [...byteLetters(), ...merges.map((merge) => merge.replace(' ', ''))]
  const added_tokens_decoder = {
    [tokens.length]: { content: '<|endoftext|>', special: true },
    [tokens.length + 1]: { content: '<|mask|>', special: true },
  }
  await writeFile(join(dir, 'vocab.json'), JSON.stringify(Object.fromEntries(tokens.map((token, id) => [token, id]))))
  await writeFile(join(dir, 'merges.txt'), `#version: 0.2\n${merges.join('\n')}\n`)
  await writeFile(
    join(dir, 'tokenizer_config.json'),
    JSON.stringify({ tokenizer_class: tokenizerClass, added_tokens_decoder, mask_token: '<|mask|>' }),
  )
  return dir
}

test('vocab.json and merges.txt become a tokenizer with the rules of Qwen2', async () => {
  const json = await madeTokenizer(await folder('DreamTokenizer'))
  const tokenizer = makeTokenizer(json as never)
  const text = 'return   x\n    é "<|mask|>" 12\r\n'
  expect(tokenizer.decode(tokenizer.encode(text))).toBe(text)
  expect(tokenizer.encode('return   x').map((id) => tokenizer.tokenText(id))).toEqual(['return', '  ', ' x'])
  expect(tokenizer.encode('12')).toHaveLength(2) // digits one by one
})

test('a bundle of such a folder carries the tokenizer that was made', async () => {
  const dir = await folder('DreamTokenizer')
  const source = await temporaryFolder()
  await randomFolder(source, { layers: 1, adapterRank: 0 }, 1)
  const made = await madeTokenizer(dir)
  await rm(join(source, 'tokenizer.json'))
  for (const name of ['vocab.json', 'merges.txt', 'tokenizer_config.json'])
    await copyFile(join(dir, name), join(source, name))
  const out = join(source, 'out')
  await convertModel(source, out, { quant: 'f32' })
  await openBundle(out)
  const tokenizer = await readTokenizer(out)
  expect(tokenizer.encode('return')).toEqual(makeTokenizer(made as never).encode('return'))
})

test('merges of 5 GiB are refused as what they are', async () => {
  const dir = await folder('DreamTokenizer')
  await truncate(join(dir, 'merges.txt'), 5 * 2 ** 30)
  await expect(madeTokenizer(dir)).rejects.toThrow(/merges\.txt: 5368709120 bytes, at most/)
})

test('a tokenizer of another kind is refused with what could be made', async () => {
  await expect(madeTokenizer(await folder('LlamaTokenizer'))).rejects.toThrow(
    'no tokenizer.json, and one can be made from vocab.json and merges.txt for DreamTokenizer',
  )
})
