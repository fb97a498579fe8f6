/**
 * A Hugging Face folder becomes a bundle: `config.json` + safetensors in, graph, data files and lacuna.json out.
 *
 * Here is decided what the model is and how it is stored; `sourceUnits.ts` moves the weights, some rows at a time.
 */
import { stat } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { BundleError } from '../base/errors.ts'
import { checkSources } from './checkSources.ts'
import { blockSize, groupSize, linearGroups, type ModelShape, topCount } from './graph.ts'
import { type InfillFacts, infillFacts } from './infillFacts.ts'
import type { Storage } from './layout.ts'
import { checkFacts, type Manifest } from './manifest.ts'
import { bundleShape, type ModelConfig, readModelConfig } from './modelConfig.ts'
import { quantizeQ4 } from './quantize.ts'
import { madeTokenizer } from './qwenTokenizer.ts'
import { openSafetensors, type Safetensors } from './safetensors.ts'
import { type Sources, sourceUnits } from './sourceUnits.ts'
import { readSpecialTokens } from './specialTokens.ts'
import { tensorNames } from './tensorNames.ts'
import type { Progress, Tally } from './units.ts'
import { writeBundle } from './writeBundle.ts'

export interface ConvertOptions {
  readonly quant: 'q4' | 'q8' | 'f32'
  /** Of the model; default: of the folder it is written to. */
  readonly name?: string
  /** `owner/name` of the repository it came from, which tells some kinds apart; default: the folder's name. */
  readonly origin?: string
  readonly facts?: Partial<InfillFacts> // what the files do not say, or say wrongly
}

export interface ConvertReport extends Tally {
  readonly manifest: Manifest
  readonly storage: Storage
  readonly bytes: number // of all files of the bundle
}

/**
 * @throws {BundleError} when the model is of a kind that cannot be converted, a fact about it is missing, or its files
 *   are damaged; `outDir` then holds no new bundle.
 */
export async function convertModel(
  sourceDir: string,
  outDir: string,
  options: ConvertOptions,
  progress?: (progress: Progress) => void,
): Promise<ConvertReport> {
  const config = await readModelConfig(sourceDir)
  const tokenizer = await madeTokenizer(sourceDir)
  const tokens = await readSpecialTokens(sourceDir, tokenizer)
  const facts = infillFacts(config, tokens, options.origin ?? basename(resolve(sourceDir)), {
    ...(options.origin !== undefined && { origin: options.origin }),
    ...options.facts,
  })
  const weights = await openSafetensors(sourceDir, 'model')
  try {
    const adapter = await openAdapter(sourceDir, facts)
    try {
      const tied = await isTied(weights, config)
      const manifest = makeManifest(config, facts, adapter, tied, options.name ?? basename(resolve(outDir)))
      checkFacts(manifest, config.path, 'correct it')
      const shape = bundleShape(config, manifest)
      const storage = await chooseStorage(options.quant, weights, config)
      checkStorable(config, shape, storage)
      const sources: Sources = { weights, adapter, shape, storage, naming: config.naming }
      checkSources(sources, sourceDir)
      const made = tokenizer && new Map([['tokenizer.json', Buffer.from(JSON.stringify(tokenizer))]])
      const plan = {
        sourceDir,
        outDir,
        shape,
        storage,
        manifest,
        fingerprint: `${quantisers} ${await fingerprint([...weights.paths, ...(adapter?.paths ?? [])])}`,
        ...(made && { madeFiles: made }),
      }
      const written = await writeBundle(plan, sourceUnits(sources), progress)
      const bytes = written.manifest.files.reduce((sum, file) => sum + file.bytes, 0)
      return { manifest: written.manifest, storage, ...written.tally, bytes }
    } finally {
      await adapter?.close()
    }
  } finally {
    await weights.close()
  }
}

async function openAdapter(dir: string, facts: InfillFacts): Promise<Safetensors | undefined> {
  const path = join(dir, 'adapter_model.safetensors')
  const present = await stat(path).then(
    () => true,
    () => false,
  )
  if (present) return openSafetensors(dir, 'adapter_model')
  if (facts.adapter)
    throw new BundleError(`${path}: no such file, but config.json speaks of an adapter; fetch the model again`)
  return undefined
}

/** One more whenever the same weights become other blocks: what another version began is then begun anew. */
const quantisers = 1

/** Sizes and times of the weights: what a run that goes on must find unchanged. */
async function fingerprint(paths: readonly string[]): Promise<string> {
  const found = await Promise.all(
    paths.map(async (path) => {
      const { size, mtimeMs } = await stat(path)
      return [basename(path), size, mtimeMs]
    }),
  )
  return JSON.stringify(found)
}

/**
 * The weights have the last word: a model without a head of its own uses the embedding, and a head that is stored is
 * used (CoDA's config says "tied", its code has a head of its own), unless it is the embedding over again.
 */
async function isTied(weights: Safetensors, config: ModelConfig): Promise<boolean> {
  const { embedding, head } = tensorNames(config.naming)
  if (!weights.tensors.has(head)) {
    if (config.saysTied || !weights.tensors.has(embedding)) return config.saysTied
    throw new BundleError(`${config.path}: the head is not the embedding, but there is no tensor ${head}`)
  }
  if (!config.saysTied) return false
  const [own, other] = [weights.tensors.get(head)!, weights.tensors.get(embedding)]
  if (own.type !== other?.type || own.bytes !== other.bytes) return false
  const step = 4 * 1024 * 1024
  const values = own.dims.reduce((product, dim) => product * dim, 1)
  for (let at = 0; at < values; at += step) {
    const count = Math.min(step, values - at)
    const [a, b] = [await weights.read(head, at, count), await weights.read(embedding, at, count)]
    if (a.some((value, i) => value !== b[i])) return false
  }
  return true
}

const probedWeights = 32 * 1024

/** Weights that were published as Q4_1 blocks (a probe of the first matrix tells) are kept as they are. */
async function chooseStorage(
  quant: ConvertOptions['quant'],
  weights: Safetensors,
  { naming }: ModelConfig,
): Promise<Storage> {
  if (quant !== 'q4') return quant
  const { prefix, groups } = tensorNames(naming).layer(0)
  const name = `${prefix}.${groups.qkv[0]}.weight`
  const size = weights.tensors.get(name)?.dims.reduce((product, dim) => product * dim, 1) ?? 0
  const count = Math.floor(Math.min(size, probedWeights) / blockSize) * blockSize
  if (count === 0) return 'q4'
  const probe = await weights.read(name, 0, count)
  if (!probe.every(Number.isFinite)) return 'q4' // refused later, with its name
  const { exactBlocks, scales } = quantizeQ4(probe)
  const telling = scales.some((scale) => scale > 0) // rows of one value are blocks of any kind
  return telling && exactBlocks * blockSize === count ? 'q4_1' : 'q4'
}

function makeManifest(
  config: ModelConfig,
  facts: InfillFacts,
  adapter: Safetensors | undefined,
  tiedHead: boolean,
  name: string,
): Omit<Manifest, 'graphs' | 'files'> {
  const rowsOf = (tensor: string): number => adapter?.tensors.get(tensor)?.dims[0] ?? 0
  const vocab = config.shape.vocab + rowsOf('lm_head.extra.weight')
  const knownIds = config.shape.vocab + rowsOf('model.embed_tokens.extra.weight')
  const known = (what: string, id: number, limit: number, where: string): void => {
    if (id >= limit) throw new BundleError(`${config.path}: ${what} is ${id}, the ${where} has ids 0 to ${limit - 1}`)
  }
  known('the mask token', facts.mask_token_id, knownIds, 'embedding')
  for (const id of facts.end_token_ids) known('an end token', id, vocab, 'head')
  if (facts.expand_token_id !== undefined) known('the expand token', facts.expand_token_id, vocab, 'head')
  if (facts.document_start_id !== undefined)
    known('the document start', facts.document_start_id, config.shape.vocab, 'embedding')
  if (facts.length_mode === 'expand-delete' && facts.expand_token_id === undefined)
    throw new BundleError(`${config.path}: length mode expand-delete needs an expand token; name another --length-mode`)
  const { layers, width, heads, kvHeads, headDim, mlp } = config.shape
  return {
    format: 1,
    name,
    family: config.family,
    layers,
    width,
    heads,
    kvHeads,
    headDim,
    mlp,
    vocab,
    tiedHead,
    attention: facts.attention,
    logitsShift: facts.logits_shift,
    maskId: facts.mask_token_id,
    endIds: facts.end_token_ids,
    ...(facts.expand_token_id !== undefined && { expandId: facts.expand_token_id }),
    forbiddenIds: facts.forbidden_token_ids,
    ...(facts.document_start_id !== undefined && { documentStartId: facts.document_start_id }),
    lengthMode: facts.length_mode,
    canvasSizes: facts.canvas_sizes,
    ...(facts.drafting ? { drafting: facts.drafting } : {}),
    threshold: facts.threshold,
    window: facts.window,
    topK: topCount,
    maxPositions: config.maxPositions,
    contextBudget: { prefixTokens: 512, suffixTokens: 64 }, // no room for more on two cores; settings may say otherwise
    languages: facts.languages,
    ...(facts.adapter && { adapter: facts.adapter }),
    licence: facts.licence,
    origin: facts.origin,
  }
}

function checkStorable(config: ModelConfig, shape: ModelShape, storage: Storage): void {
  if (storage === 'f32') return
  const uneven = linearGroups
    .map(({ name }) => groupSize(shape, name).columns)
    .find((columns) => columns % blockSize !== 0)
  if (uneven)
    throw new BundleError(
      `${config.path}: rows of ${uneven} weights are no whole blocks of ${blockSize}; use --quant f32`,
    )
}
