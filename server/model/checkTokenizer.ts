/**
 * What a `tokenizer.json` must be before the library is given it: a BPE whose merges make its tokens, ids that the
 * network has, no normalizer that rewrites a document, no pattern on which a regular expression can run for years.
 *
 * The library itself checks nothing: tokens that no merge makes vanish from the text in silence.
 */
import { z } from 'zod'

const knownIds = 2 ** 22 // far more than any public vocabulary

const tokenizerSchema = z.looseObject({
  added_tokens: z
    .array(
      z.looseObject({
        id: z
          .number()
          .int()
          .nonnegative()
          .max(2 ** 31),
        content: z.string(),
      }),
    )
    .nullish(),
  normalizer: z.unknown().optional(),
  pre_tokenizer: z.unknown().optional(),
  model: z.looseObject({
    type: z.string(),
    vocab: z.unknown(),
    merges: z.array(z.unknown()),
    continuing_subword_prefix: z.string().nullish(),
    ignore_merges: z.boolean().nullish(),
  }),
})

export interface TokenizerJson {
  readonly added_tokens?: readonly { readonly id: number }[]
  readonly model: { readonly vocab: Readonly<Record<string, number>> }
}

/**
 * @param idLimit how many ids the network knows; unknown while a model is converted.
 * @returns the same value, of which the above is known.
 * @throws {RangeError} that says what was found and what was wanted.
 */
export function checkTokenizer(json: unknown, idLimit = knownIds): TokenizerJson {
  const parsed = tokenizerSchema.safeParse(json)
  if (!parsed.success) {
    const { path, message } = parsed.error.issues[0]!
    throw new RangeError(`${path.join('.') || 'the file'}: ${message}`)
  }
  const { model, normalizer, pre_tokenizer: preTokenizer } = parsed.data
  if (model.type !== 'BPE') throw new RangeError(`model.type is ${model.type}, wanted BPE`)
  const idOf = checkVocabulary(model.vocab, idLimit)
  const made = checkMerges(model.merges, idOf, model.continuing_subword_prefix?.length ?? 0)
  for (const { id } of parsed.data.added_tokens ?? []) made.add(id)
  const [lost, long] = countLost(idOf, made)
  if (!model.ignore_merges && lost > long / 2)
    throw new RangeError(`merges are missing: ${lost} of ${long} tokens are made by none`)
  checkNormalizer(normalizer)
  for (const pattern of patternsIn(preTokenizer)) {
    if (isRisky(pattern)) throw new RangeError(`pattern ${pattern} repeats a group of several ways to match`)
  }
  return json as TokenizerJson
}

function checkVocabulary(vocab: unknown, idLimit: number): ReadonlyMap<string, number> {
  if (typeof vocab !== 'object' || vocab === null || Array.isArray(vocab))
    throw new RangeError('model.vocab is no object of tokens and ids')
  const idOf = new Map<string, number>()
  const seen = new Uint8Array(idLimit)
  for (const [token, id] of Object.entries(vocab)) {
    if (!Number.isSafeInteger(id) || id < 0) throw new RangeError(`token "${token}" has the id ${JSON.stringify(id)}`)
    if (id >= idLimit) {
      throw new RangeError(
        `token "${token}" has the id ${id}, the model knows 0 to ${idLimit - 1}: the vocabularies disagree`,
      )
    }
    if (seen[id]) throw new RangeError(`token "${token}" is not the only one with the id ${id}`)
    seen[id] = 1
    idOf.set(token, id)
  }
  if (idOf.size === 0) throw new RangeError('model.vocab is empty')
  return idOf
}

/** @returns the ids of all tokens that some merge makes. */
function checkMerges(merges: readonly unknown[], idOf: ReadonlyMap<string, number>, prefixLength: number): Set<number> {
  const made = new Set<number>()
  const inPairs = Array.isArray(merges[0])
  for (let i = 0; i < merges.length; i++) {
    const merge = merges[i]
    const parts: unknown = inPairs ? merge : typeof merge === 'string' ? merge.split(' ') : undefined
    if (!isPair(parts)) throw new RangeError(`model.merges.${i} is no pair of tokens`)
    const [left, right] = parts
    const id = idOf.get(left + right.slice(prefixLength))
    if (id === undefined || !idOf.has(left) || !idOf.has(right))
      throw new RangeError(
        `model.merges.${i} joins "${left}" and "${right}", and model.vocab lacks one of them or both joined`,
      )
    made.add(id)
  }
  return made
}

/** Of all tokens longer than a character: how many there are, and how many of them nothing makes. */
function countLost(idOf: ReadonlyMap<string, number>, made: ReadonlySet<number>): [lost: number, long: number] {
  let [lost, long] = [0, 0]
  for (const [token, id] of idOf) {
    if (token.length <= 2) continue // one character may take two units
    long++
    if (!made.has(id)) lost++
  }
  return [lost, long]
}

function isPair(parts: unknown): parts is readonly [string, string] {
  return Array.isArray(parts) && parts.length === 2 && parts.every((part) => typeof part === 'string')
}

/** Documents must come back as they were; the composed form of Unicode is what Qwen's tokenizers ask for. */
function checkNormalizer(normalizer: unknown): void {
  if (normalizer === null || normalizer === undefined) return
  const { type, normalizers } = z
    .looseObject({ type: z.string(), normalizers: z.array(z.unknown()).optional() })
    .parse(normalizer)
  if (type === 'NFC') return
  if (type !== 'Sequence' || !normalizers)
    throw new RangeError(`normalizer ${type} rewrites the text, wanted NFC or none`)
  for (const part of normalizers) checkNormalizer(part)
}

function patternsIn(part: unknown): string[] {
  if (typeof part !== 'object' || part === null) return []
  return Object.entries(part).flatMap(([key, value]) =>
    key === 'Regex' && typeof value === 'string' ? [value] : patternsIn(value),
  )
}

/** Whether a group that holds a choice or a repetition is itself repeated without end: exponential on some text. */
function isRisky(pattern: string): boolean {
  const groups: boolean[] = [] // of each open group: whether it holds a choice or a repetition
  let closed = false // what the group just closed held
  for (let at = 0; at < pattern.length; at++) {
    const character = pattern[at]!
    const endless = character === '*' || character === '+' || /^\{\d+,(\d{3,})?\}/.test(pattern.slice(at, at + 20))
    if (endless && closed) return true
    if ((endless || character === '|') && groups.length > 0) groups[groups.length - 1] = true
    closed = false
    if (character === '\\') at++
    else if (character === '[') at = endOfClass(pattern, at)
    else if (character === '(') groups.push(false)
    else if (character === ')') {
      closed = groups.pop() ?? false
      if (closed && groups.length > 0) groups[groups.length - 1] = true
    }
  }
  return false
}

function endOfClass(pattern: string, from: number): number {
  for (let at = from + 1; at < pattern.length; at++) {
    if (pattern[at] === '\\') at++
    else if (pattern[at] === ']') return at
  }
  return pattern.length
}
