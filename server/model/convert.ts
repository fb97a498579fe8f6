/**
 * A Hugging Face folder becomes a bundle: `config.json` + safetensors in, graph, data files and lacuna.json out.
 *
 * Weights pass through one matrix at a time; nothing here depends on how large the model is. Knows the tensor names of
 * Hugging Face and those of our graph, and which becomes which.
 */
import { stat } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { BundleError } from '../base/errors.ts'
import { toHalves } from './float16.ts'
import { blockSize, groupSize, linearGroups, type ModelShape, topCount } from './graph.ts'
import type { Storage } from './layout.ts'
import type { Manifest } from './manifest.ts'
import { bundleShape, type InfillFacts, infillFacts, type ModelConfig, readModelConfig } from './modelConfig.ts'
import { quantizeQ4, quantizeQ8 } from './quantize.ts'
import { openSafetensors, type Safetensors } from './safetensors.ts'
import { type Progress, type WriteTensor, writeBundle } from './writeBundle.ts'

export interface ConvertOptions {
  readonly quant: Manifest['graphs'][number]['quant']
  readonly name?: string // of the model; default: of the folder it is written to
  readonly facts?: Partial<InfillFacts> // what config.json does not say, or says wrongly
}

export interface ConvertReport {
  readonly manifest: Manifest
  readonly blocks: number // of 32 weights, embedding included; 0 in float32
  readonly exactBlocks: number // of these, recovered bit by bit
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
  if (options.quant === 'q8') throw new BundleError('8-bit bundles cannot be written yet; choose q4 or f32')
  const storage: Storage = options.quant
  const config = await readModelConfig(sourceDir)
  const facts = infillFacts(config, options.facts)
  const weights = await openSafetensors(sourceDir, 'model')
  try {
    const adapter = await openAdapter(sourceDir, facts)
    try {
      const manifest = makeManifest(config, facts, adapter, options.name ?? basename(resolve(outDir)))
      const shape = bundleShape(config, manifest)
      checkStorable(config, shape, storage)
      checkTensors(weights, modelTensors(shape, config.tied), `${sourceDir}: model`)
      if (adapter) checkTensors(adapter, adapterTensors(shape), `${sourceDir}: adapter_model`)

      const counts = { blocks: 0, exactBlocks: 0 }
      const plan = { sourceDir, outDir, shape, storage, tied: config.tied, manifest }
      const fill = (write: WriteTensor) =>
        writeTensors({ weights, adapter, shape, storage, tied: config.tied, counts }, write)
      const written = await writeBundle(plan, fill, progress)
      return { manifest: written, ...counts, bytes: written.files.reduce((sum, { bytes }) => sum + bytes, 0) }
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

function makeManifest(
  config: ModelConfig,
  facts: InfillFacts,
  adapter: Safetensors | undefined,
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
  return {
    format: 1,
    name,
    family: config.family,
    ...config.shape,
    vocab,
    attention: facts.attention,
    logitsShift: facts.logits_shift,
    maskId: facts.mask_token_id,
    endIds: facts.end_token_ids,
    ...(facts.expand_token_id !== undefined && { expandId: facts.expand_token_id }),
    forbiddenIds: facts.forbidden_token_ids,
    ...(facts.document_start_id !== undefined && { documentStartId: facts.document_start_id }),
    lengthMode: facts.length_mode,
    canvasSizes: facts.canvas_sizes,
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
  if (!config.tied)
    throw new BundleError(`${config.path}: the head is not tied to the embedding; that is stored in f32 only so far`)
  const uneven = linearGroups
    .map(({ name }) => groupSize(shape, name).columns)
    .find((columns) => columns % blockSize !== 0)
  if (uneven)
    throw new BundleError(`${config.path}: rows of ${uneven} weights are no whole blocks of ${blockSize}; use f32`)
}

/** What is read from `model*.safetensors`, by its name there. */
function modelTensors(shape: ModelShape, tied: boolean): Map<string, readonly number[]> {
  const { layers, width, vocab } = shape
  const tensors = new Map<string, readonly number[]>([
    ['model.embed_tokens.weight', [vocab, width]],
    ['model.norm.weight', [width]],
  ])
  if (!tied) tensors.set('lm_head.weight', [vocab, width])
  for (let layer = 0; layer < layers; layer++) {
    tensors.set(`model.layers.${layer}.input_layernorm.weight`, [width])
    tensors.set(`model.layers.${layer}.post_attention_layernorm.weight`, [width])
    for (const { name, parts } of linearGroups) {
      const { rows, columns } = groupSize(shape, name)
      parts.forEach((part, i) => void tensors.set(`model.layers.${layer}.${part}.weight`, [rows[i]!, columns]))
    }
  }
  return tensors
}

function adapterTensors(shape: ModelShape): Map<string, readonly number[]> {
  const { layers, width, extraIds, extraHeadRows, adapterRank } = shape
  const tensors = new Map<string, readonly number[]>()
  if (extraIds) tensors.set('model.embed_tokens.extra.weight', [extraIds, width])
  if (extraHeadRows) tensors.set('lm_head.extra.weight', [extraHeadRows, width])
  for (let layer = 0; adapterRank && layer < layers; layer++) {
    for (const { name, parts } of linearGroups) {
      const { rows, columns } = groupSize(shape, name)
      parts.forEach((part, i) => {
        tensors.set(`model.layers.${layer}.${part}.lora_A.weight`, [adapterRank, columns])
        tensors.set(`model.layers.${layer}.${part}.lora_B.weight`, [rows[i]!, adapterRank])
      })
    }
  }
  return tensors
}

/** A tensor left over is an error too: a bias or a q/k norm dropped in silence would make another model. */
function checkTensors(found: Safetensors, wanted: ReadonlyMap<string, readonly number[]>, where: string): void {
  for (const [name, dims] of wanted) {
    const actual = found.tensors.get(name)?.dims
    if (actual?.join() !== dims.join()) {
      throw new BundleError(`${where}: tensor ${name}: wanted [${dims}], found ${actual ? `[${actual}]` : 'none'}`)
    }
  }
  for (const name of found.tensors.keys()) {
    const derived = name.endsWith('.rotary_emb.inv_freq') || name === 'lm_head.weight'
    if (!wanted.has(name) && !derived)
      throw new BundleError(`${where}: tensor ${name} has no place in the graph; this model cannot be converted yet`)
  }
}

interface Source {
  readonly weights: Safetensors
  readonly adapter: Safetensors | undefined
  readonly shape: ModelShape
  readonly storage: Storage
  readonly tied: boolean
  readonly counts: { blocks: number; exactBlocks: number }
}

/** All tensors, in the order of `layoutBundle`. */
async function writeTensors(
  { weights, adapter, shape, storage, tied, counts }: Source,
  write: WriteTensor,
): Promise<void> {
  const { layers, extraIds, extraHeadRows, adapterRank } = shape
  const count = ({ exactBlocks, scales }: { exactBlocks: number; scales: Uint16Array }): void => {
    counts.blocks += scales.length
    counts.exactBlocks += exactBlocks
  }
  const small = async (name: string, source: string): Promise<void> => {
    const values = await adapter!.read(source)
    const halves = toHalves(values)
    if (halves.some((half) => (half & 0x7c00) === 0x7c00))
      throw new BundleError(`tensor ${source} does not fit into half precision`)
    await write(name, storage === 'f32' ? values : halves)
  }

  for (let layer = 0; layer < layers; layer++) {
    const source = `model.layers.${layer}`
    for (const norm of ['input_layernorm', 'post_attention_layernorm']) {
      await write(`layers.${layer}.${norm}.weight`, await weights.read(`${source}.${norm}.weight`))
    }
    for (const { name, parts } of linearGroups) {
      const matrix = await stacked(
        weights,
        parts.map((part) => `${source}.${part}.weight`),
      )
      const to = `layers.${layer}.${name}`
      if (storage === 'f32') {
        await write(`${to}.weight`, matrix)
        continue
      }
      const blocks = naming(`${source}.${name}`, () => quantizeQ4(matrix))
      count(blocks)
      await write(`${to}.quants`, blocks.quants)
      await write(`${to}.scales`, blocks.scales)
      await write(`${to}.minimums`, blocks.minimums)
    }
  }
  await write('norm.weight', await weights.read('model.norm.weight'))

  const embedding = await weights.read('model.embed_tokens.weight')
  if (storage === 'f32') await write('embedding.weight', embedding)
  else {
    const blocks = naming('model.embed_tokens', () => quantizeQ8(embedding))
    count(blocks)
    await write('embedding.quants', blocks.quants)
    await write('embedding.scales', blocks.scales)
  }
  if (!tied) await write('head.weight', await weights.read('lm_head.weight'))

  if (extraIds) await small('embedding.extra', 'model.embed_tokens.extra.weight')
  if (extraHeadRows) await small('head.extra', 'lm_head.extra.weight')
  for (let layer = 0; adapterRank && layer < layers; layer++) {
    for (const { name, parts } of linearGroups) {
      for (const [i, part] of parts.entries()) {
        for (const factor of ['lora_A', 'lora_B']) {
          await small(`layers.${layer}.${name}.${i}.${factor}`, `model.layers.${layer}.${part}.${factor}.weight`)
        }
      }
    }
  }
}

/** Matrices of the same width, one below the other. */
async function stacked(weights: Safetensors, names: readonly string[]): Promise<Float32Array> {
  if (names.length === 1) return weights.read(names[0]!)
  const counts = names.map((name) => weights.tensors.get(name)!.dims.reduce((product, dim) => product * dim, 1))
  const matrix = new Float32Array(counts.reduce((sum, n) => sum + n, 0))
  let at = 0
  for (const [i, name] of names.entries()) {
    matrix.set(await weights.read(name), at)
    at += counts[i]!
  }
  return matrix
}

function naming<T>(tensor: string, quantize: () => T): T {
  try {
    return quantize()
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw new BundleError(`tensor ${tensor}: ${error.message}`, { cause: error })
  }
}
