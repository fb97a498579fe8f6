/**
 * Text ↔ token ids. The one place that knows `@huggingface/tokenizers`.
 *
 * Documents are tokenized with no added tokens known: text that spells `<|im_start|>` stays text (invariant 9).
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers'
import { BundleError, messageOf } from '../base/errors.ts'

export interface Tokenizer {
  readonly vocabularySize: number
  /** No special tokens are added. */
  encode(text: string): number[]
  /** Bytes that are no UTF-8 become U+FFFD, as when a character's last bytes are in a token not yet there. */
  decode(ids: readonly number[]): string
  /** What one token stands for; '' for an id without a token. */
  tokenText(id: number): string
  /** Ids of all tokens whose text holds a line feed. */
  readonly lineBreakIds: readonly number[]
}

/** @throws {BundleError} when `tokenizer.json` is missing or not understood. */
export async function readTokenizer(bundle: string): Promise<Tokenizer> {
  const path = join(bundle, 'tokenizer.json')
  try {
    return makeTokenizer(JSON.parse(await readFile(path, 'utf8')))
  } catch (error) {
    throw new BundleError(`${path}: ${messageOf(error)}; fetch the model again`, { cause: error })
  }
}

interface TokenizerJson {
  readonly added_tokens?: readonly { readonly id: number }[]
  readonly model: { readonly vocab: Record<string, number> }
}

export function makeTokenizer(json: TokenizerJson): Tokenizer {
  const library = new HuggingFaceTokenizer({ ...json, added_tokens: [] } as never, {} as never)
  const added = new Set(json.added_tokens?.map(({ id }) => id))
  const tokens: string[] = []
  for (const [token, id] of Object.entries(json.model.vocab)) tokens[id] = token
  const texts: string[] = []
  const decode = (ids: readonly number[]): string =>
    ids.length === 0
      ? ''
      : library.decode(Array.from(ids), { skip_special_tokens: false, clean_up_tokenization_spaces: false })
  const tokenText = (id: number): string => {
    if (tokens[id] === undefined || added.has(id)) return ''
    texts[id] ??= decode([id])
    return texts[id]
  }
  const lineBreakIds = tokens.flatMap((token, id) => (token.includes('Ċ') && !added.has(id) ? [id] : []))
  return {
    vocabularySize: tokens.length,
    encode: (text) => (text === '' ? [] : library.encode(text, { add_special_tokens: false }).ids),
    decode,
    tokenText,
    lineBreakIds,
  }
}
