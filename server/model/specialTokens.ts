/** Which ids of a model are no text: read from `tokenizer.json` and `tokenizer_config.json`. */
import { join } from 'node:path'
import { z } from 'zod'
import { BundleError } from '../base/errors.ts'
import { hasCode } from '../base/hasCode.ts'
import { checkTokenizer } from './checkTokenizer.ts'
import { readJsonObject } from './modelConfig.ts'
import { printable } from './readJsonFile.ts'

export interface SpecialTokens {
  /** Ids of all added tokens, by what they spell. */
  readonly added: ReadonlyMap<string, number>
  /** By role in `tokenizer_config.json`: `mask`, `eos`, `pad`. */
  readonly roles: Readonly<Partial<Record<Role, number>>>
  /** One more than the highest id that has a token. */
  readonly idCount: number
}

type Role = 'mask' | 'eos' | 'pad'

const tokenizerSchema = z.object({
  added_tokens: z.array(z.object({ id: z.number().int().nonnegative(), content: z.string() })).default([]),
  model: z.object({ vocab: z.record(z.string(), z.number().int().nonnegative()) }),
})
const named = z.union([z.string(), z.object({ content: z.string() }).transform(({ content }) => content)]).nullish()
const configSchema = z.object({
  mask_token: named,
  eos_token: named,
  pad_token: named,
  added_tokens_decoder: z.record(z.string(), z.object({ content: z.string() })).nullish(),
})

/**
 * A folder without `tokenizer_config.json` has no roles.
 *
 * @param made its `tokenizer.json`, when that had to be made.
 * @throws {BundleError} when `tokenizer.json` is missing or one that no bundle can have.
 */
export async function readSpecialTokens(dir: string, made?: Record<string, unknown>): Promise<SpecialTokens> {
  const path = join(dir, 'tokenizer.json')
  const json = made ?? (await readJsonObject(path))
  const tokenizer = tokenizerSchema.safeParse(json)
  if (!tokenizer.success) {
    const issue = tokenizer.error.issues[0]!
    throw new BundleError(`${path}: ${issue.path.join('.')}: ${issue.message}; a byte-level BPE tokenizer is needed`)
  }
  try {
    checkTokenizer(json) // now rather than when the bundle is opened, hours of work later
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw new BundleError(`${path}: ${printable(error.message)}; this model cannot be converted`, { cause: error })
  }
  const { added_tokens, model } = tokenizer.data
  const config = await readTokenizerConfig(join(dir, 'tokenizer_config.json'))
  const added = new Map(added_tokens.map(({ content, id }) => [content, id]))
  for (const [id, { content }] of Object.entries(config.added_tokens_decoder ?? {})) {
    if (/^\d+$/.test(id)) added.set(content, Number(id))
  }
  const idOf = (text: string | null | undefined): number | undefined =>
    text === null || text === undefined ? undefined : (added.get(text) ?? model.vocab[text])
  const roles: Partial<Record<Role, number>> = {}
  for (const [role, text] of [
    ['mask', config.mask_token],
    ['eos', config.eos_token],
    ['pad', config.pad_token],
  ] as const) {
    const id = idOf(text)
    if (id !== undefined) roles[role] = id
  }
  let idCount = 0
  for (const id of [...Object.values(model.vocab), ...added.values()]) idCount = Math.max(idCount, id + 1)
  return { added, roles, idCount }
}

async function readTokenizerConfig(path: string): Promise<z.infer<typeof configSchema>> {
  let data: Record<string, unknown>
  try {
    data = await readJsonObject(path)
  } catch (error) {
    if (error instanceof BundleError && hasCode(error.cause, 'ENOENT')) return {}
    throw error
  }
  const parsed = configSchema.safeParse(data)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]!
  throw new BundleError(`${path}: ${issue.path.join('.')}: ${issue.message}; fetch the model again`)
}
