/**
 * A byte-level BPE tokenizer of any size from 258 entries on: the 256 bytes, then pairs of printable ASCII characters, then
 * such a pair and a third character, and so on. Every entry but the bytes has its merge.
 */

/** The last two are added tokens, as a model's end and mask are. */
export const addedTokens = ['<|end|>', '<|mask|>'] as const

const firstPrintable = 32
const printableCount = 95

/** What a `tokenizer.json` holds. */
export interface SyntheticTokenizer extends Readonly<Record<string, unknown>> {
  readonly added_tokens: readonly { readonly id: number; readonly content: string }[]
  readonly model: {
    readonly type: 'BPE'
    readonly vocab: Record<string, number>
    readonly merges: readonly (readonly [string, string])[]
  }
}

/** `tokenizer.json` with `size` ids, added tokens included. */
export function syntheticTokenizer(size: number): SyntheticTokenizer {
  const bytes = byteCharacters()
  const tokens = [...bytes]
  const merges: [string, string][] = []
  const plainCount = size - addedTokens.length
  // Token t ≥ 256 is an earlier token, all of them in turn, and one more character.
  const heads = bytes.slice(firstPrintable, firstPrintable + printableCount)
  for (let head = 0; tokens.length < plainCount; head++) {
    for (let tail = 0; tail < printableCount && tokens.length < plainCount; tail++) {
      const pair: [string, string] = [heads[head]!, bytes[firstPrintable + tail]!]
      merges.push(pair)
      heads.push(pair.join(''))
      tokens.push(pair.join(''))
    }
  }
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true }
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true }
  return {
    version: '1.0',
    added_tokens: addedTokens.map((content, i) => ({ id: plainCount + i, content, ...flags })),
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: null,
    decoder: byteLevel,
    model: { type: 'BPE', vocab: Object.fromEntries(tokens.map((token, id) => [token, id])), merges },
  }
}

/** The printable stand-ins of byte-level BPE for the 256 bytes, in order of the bytes. */
function byteCharacters(): string[] {
  let next = 256
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174
    return String.fromCodePoint(printable ? byte : next++)
  })
}
