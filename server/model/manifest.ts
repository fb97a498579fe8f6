/** `lacuna.json`: what no `config.json` says, checked as it is read. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { BundleError, messageOf } from '../base/errors.ts'

const count = z.number().int().nonnegative()
const tokenId = count

const manifestSchema = z.strictObject({
  format: z.literal(1),
  name: z.string(),
  family: z.enum(['llama', 'qwen2', 'qwen3']),
  layers: count,
  width: count,
  heads: count,
  kvHeads: count,
  headDim: count,
  mlp: count,
  vocab: count, // columns of the head that are ids, extra ones included
  ropeTheta: z.number().positive(),
  normEps: z.number().positive(),
  attention: z.enum(['causal-context', 'bidirectional']),
  logitsShift: z.union([z.literal(0), z.literal(1)]),
  maskId: tokenId,
  endIds: z.array(tokenId),
  expandId: tokenId.optional(),
  forbiddenIds: z.array(tokenId), // never committed, besides the mask
  documentStartId: tokenId.optional(), // stands before the first token of a file
  lengthMode: z.enum(['end-token', 'search', 'expand-delete']),
  canvasSizes: z.array(count).min(1),
  threshold: z.number().min(0).max(1),
  window: count.min(1), // how many slots from the leftmost open one may be committed in one step
  topK: count,
  maxPositions: count,
  contextBudget: z.strictObject({ prefixTokens: count, suffixTokens: count }),
  languages: z.array(z.string()),
  adapter: z.strictObject({ rank: count, targets: z.array(z.string()) }).optional(),
  graphs: z
    .array(z.strictObject({ file: z.string(), quant: z.enum(['q4', 'q8', 'f32']), externalData: z.array(z.string()) }))
    .min(1),
  files: z.array(z.strictObject({ path: z.string(), bytes: count, sha256: z.string().regex(/^[0-9a-f]{64}$/) })),
  licence: z.string(),
  origin: z.string(),
})

export type Manifest = z.infer<typeof manifestSchema>

/** @throws {BundleError} when the file is missing, no JSON, or says something a manifest cannot say. */
export async function readManifest(bundle: string): Promise<Manifest> {
  const path = join(bundle, 'lacuna.json')
  let data: unknown
  try {
    data = JSON.parse(await readFile(path, 'utf8'))
  } catch (error) {
    throw new BundleError(
      `${path}: ${messageOf(error)}; a model bundle has a lacuna.json, made by "lacuna model convert"`,
    )
  }
  const parsed = manifestSchema.safeParse(data)
  if (parsed.success) return parsed.data
  const first = parsed.error.issues[0]!
  throw new BundleError(
    `${path}: ${first.path.join('.') || 'the file'}: ${first.message}; run "lacuna model convert" again`,
  )
}
