/**
 * `tokenizer.json` for folders that have none: Dream and its kin publish Qwen2's byte-level BPE as `vocab.json` and
 * `merges.txt`, with the rules in Python.
 *
 * Source: Dream `tokenization_dream.py` (`PRETOKENIZE_REGEX`, merges, added tokens), which is Qwen2's.
 */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { BundleError } from '../base/errors.ts'
import { readJsonObject } from './modelConfig.ts'
import { readPlainFile } from './readJsonFile.ts'

const pretokenize =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

const classes = ['DreamTokenizer', 'Qwen2Tokenizer', 'Qwen2TokenizerFast']

/**
 * @returns `undefined` when the folder has a `tokenizer.json` of its own.
 * @throws {BundleError} when it has neither, or a tokenizer of another kind.
 */
export async function madeTokenizer(dir: string): Promise<Record<string, unknown> | undefined> {
  if (await exists(join(dir, 'tokenizer.json'))) return undefined
  const config = await readJsonObject(join(dir, 'tokenizer_config.json'))
  const kind = config.tokenizer_class
  if (typeof kind !== 'string' || !classes.includes(kind)) {
    throw new BundleError(
      `${dir}: no tokenizer.json, and one can be made from vocab.json and merges.txt for ${classes.join(', ')} only; found tokenizer_class ${JSON.stringify(kind) ?? 'none'}`,
    )
  }
  const vocab = await readJsonObject(join(dir, 'vocab.json'))
  const merges = Buffer.from(await readPlainFile(join(dir, 'merges.txt'), 'fetch the model again'))
    .toString('utf8')
    .split('\n')
    .filter((line, i) => line.trim() !== '' && !(i === 0 && line.startsWith('#version:')))
    .map((line) => line.trim().split(' '))
  const bad = merges.find((merge) => merge.length !== 2)
  if (bad) throw new BundleError(`${join(dir, 'merges.txt')}: a merge has two parts, found "${bad.join(' ')}"`)
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: addedTokens(config.added_tokens_decoder),
    normalizer: { type: 'NFC' },
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Split', pattern: { Regex: pretokenize }, behavior: 'Isolated', invert: false },
        { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false },
      ],
    },
    post_processor: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false },
    decoder: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: '',
      end_of_word_suffix: '',
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab,
      merges,
    },
  }
}

function addedTokens(decoder: unknown): Record<string, unknown>[] {
  if (typeof decoder !== 'object' || decoder === null) return []
  return Object.entries(decoder).flatMap(([id, token]) =>
    typeof token === 'object' && token !== null && 'content' in token && /^\d+$/.test(id)
      ? [
          {
            id: Number(id),
            single_word: false,
            lstrip: false,
            rstrip: false,
            normalized: false,
            special: true,
            ...token,
          },
        ]
      : [],
  )
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
