/** `lacuna.json`: what no `config.json` says, checked as it is read. */
import { join } from 'node:path'
import { z } from 'zod'
import { BundleError } from '../base/errors.ts'
import { printable, readJsonFile } from './readJsonFile.ts'

const count = z.number().int().nonnegative()
const size = z.number().int().positive()
const tokenId = count.max(2 ** 31 - 1)
const tokens = z
  .number()
  .int()
  .min(16)
  .max(2 ** 24) // of a window; with fewer nothing of the document is left
const line = z.string().regex(/^\P{Cc}*$/u, 'control characters are not allowed') // it is shown in terminals

const manifestSchema = z.strictObject({
  format: z.literal(1),
  name: line.min(1).max(200),
  family: z.enum(['llama', 'qwen2', 'qwen3']),
  layers: size,
  width: size,
  heads: size,
  kvHeads: size,
  headDim: size,
  mlp: size,
  vocab: size.max(2 ** 31), // columns of the head that are ids, extra ones included
  tiedHead: z.boolean(), // the head is the embedding
  attention: z.enum(['causal-context', 'bidirectional']),
  logitsShift: z.union([z.literal(0), z.literal(1)]),
  maskId: tokenId,
  endIds: z.array(tokenId).max(1000),
  expandId: tokenId.optional(),
  forbiddenIds: z.array(tokenId), // never committed, besides the mask
  documentStartId: tokenId.optional(), // stands before the first token of a file
  lengthMode: z.enum(['end-token', 'search', 'expand-delete']),
  canvasSizes: z.array(size.max(4096)).min(1),
  /** Rows of a canvas that write from the left and look ahead: what they were taught with. */
  drafting: z
    .strictObject({
      distance: size.max(4096),
      slots: size.max(4096),
      open: size.max(64),
      begun: z.int().min(0).max(64).default(0),
    })
    .optional(),
  threshold: z.number().min(0).max(1),
  window: count.min(1), // how many slots from the leftmost open one may be committed in one step
  topK: count,
  maxPositions: tokens,
  contextBudget: z.strictObject({ prefixTokens: tokens, suffixTokens: count.max(2 ** 24) }),
  languages: z.array(line),
  adapter: z.strictObject({ rank: size, targets: z.array(line) }).optional(),
  graphs: z
    .array(
      z.strictObject({
        file: line,
        quant: z.enum(['q4_1', 'q4', 'q8', 'f32']),
        externalData: z.array(line),
      }),
    )
    .min(1),
  files: z.array(z.strictObject({ path: line, bytes: count, sha256: z.string().regex(/^[0-9a-f]{64}$/) })),
  licence: line,
  origin: line,
})

export type Manifest = z.infer<typeof manifestSchema>

/** As `lacuna.json` has it: whoever writes it, the same bytes. */
export function manifestText(manifest: Manifest): string {
  return `${JSON.stringify(manifestSchema.parse(manifest), null, 2)}\n`
}

const factsSchema = manifestSchema.omit({ graphs: true, files: true })

/** @throws {BundleError} when the file is missing, no JSON, or says something a manifest cannot say. */
export async function readManifest(bundle: string): Promise<Manifest> {
  const path = join(bundle, 'lacuna.json')
  const data = await readJsonFile(path, 'a model bundle has a lacuna.json, made by "lacuna model convert"')
  const manifest = parsed(manifestSchema, data, path, again)
  checkFacts(manifest, path, again)
  const paths = new Set<string>()
  for (const file of manifest.files) {
    if (paths.has(file.path)) throw new BundleError(`${path}: files lists ${file.path} twice; ${again}`)
    paths.add(file.path)
  }
  return manifest
}

/**
 * What must be true of a manifest whatever its files are; also of one that is yet to be written.
 *
 * @param where the file that said so.
 * @param advice what to do.
 * @throws {BundleError} that names what cannot be.
 */
export function checkFacts(facts: Omit<Manifest, 'graphs' | 'files'>, where: string, advice: string): void {
  const { graphs: _, files: __, ...rest } = facts as Manifest
  const { vocab, maskId, endIds, expandId, documentStartId, lengthMode } = parsed(factsSchema, rest, where, advice)
  const wrong = (reason: string) => new BundleError(`${where}: ${reason}; ${advice}`)
  const special = expandId === undefined ? endIds : [...endIds, expandId]
  const noColumn = special.find((id) => id >= vocab)
  if (noColumn !== undefined) throw wrong(`end or expand token ${noColumn} is no column of a head of ${vocab}`)
  if (special.includes(maskId)) throw wrong(`token ${maskId} is the mask and an end or expand token at once`)
  if (lengthMode === 'end-token' && endIds.length === 0) throw wrong('length mode end-token without an end token')
  if (documentStartId !== undefined && documentStartId >= vocab)
    throw wrong(`the document start is token ${documentStartId}, there are ${vocab}`)
}

const again = 'run "lacuna model convert" again'

function parsed<Schema extends z.ZodType>(
  schema: Schema,
  data: unknown,
  where: string,
  advice: string,
): z.infer<Schema> {
  const result = schema.safeParse(data)
  if (result.success) return result.data
  const { path, message } = result.error.issues[0]!
  throw new BundleError(`${where}: ${printable(`${path.join('.') || 'the file'}: ${message}`)}; ${advice}`)
}
