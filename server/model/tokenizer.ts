/**
 * Text ↔ token ids. The one place that knows `@huggingface/tokenizers`.
 *
 * Documents are tokenized with no added tokens known: text that spells `<|im_start|>` stays text (invariant 9).
 */
import { join } from 'node:path'
import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers'
import { BundleError, messageOf } from '../base/errors.ts'
import { checkTokenizer, type TokenizerJson } from './checkTokenizer.ts'
import { largeJson, printable, readJsonFile } from './readJsonFile.ts'

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

/**
 * @param idLimit how many ids the model of the bundle knows.
 * @throws {BundleError} when `tokenizer.json` is missing, not understood, or of another model.
 */
export async function readTokenizer(bundle: string, idLimit?: number): Promise<Tokenizer> {
  const path = join(bundle, 'tokenizer.json')
  const advice = 'fetch the model again'
  const json = await readJsonFile(path, advice, largeJson)
  try {
    const tokenizer = makeTokenizer(checkTokenizer(json, idLimit))
    const back = tokenizer.decode(tokenizer.encode(probe))
    if (back !== probe) throw new RangeError(`text comes back changed: ${JSON.stringify(back)}`)
    return tokenizer
  } catch (error) {
    throw new BundleError(`${path}: ${printable(messageOf(error))}; ${advice}`, { cause: error })
  }
}

const probe = `${Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)).join('')}\n\té  if x:\n    y`

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
