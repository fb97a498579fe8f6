/** Whether the weights are those that the network's sizes ask for: every tensor, of its shape, and no other. */
import { BundleError } from '../base/errors.ts'
import { groupSize, linearGroups, type ModelShape } from './graph.ts'
import type { Safetensors } from './safetensors.ts'
import type { Sources } from './sourceUnits.ts'
import { normNames, tensorNames } from './tensorNames.ts'

/** @throws {BundleError} when a tensor is missing or of another shape, or one is left over that has no place. */
export function checkSources(sources: Sources, dir: string): void {
  checkTensors(sources.weights, modelTensors(sources), `${dir}: model`)
  if (sources.adapter) checkTensors(sources.adapter, adapterTensors(sources.shape), `${dir}: adapter_model`)
}

/** What is read from `model*.safetensors`, by its name there. */
function modelTensors({ shape, naming }: Sources): Map<string, readonly number[]> {
  const { layers, width, vocab, headDim, biases, tiedHead } = shape
  const names = tensorNames(naming)
  const tensors = new Map<string, readonly number[]>([
    [names.embedding, [vocab, width]],
    [names.norm, [width]],
  ])
  if (!tiedHead) tensors.set(names.head, [vocab, width])
  for (let layer = 0; layer < layers; layer++) {
    const { prefix, norms, groups } = names.layer(layer)
    for (const norm of normNames(shape))
      tensors.set(`${prefix}.${norms[norm]}`, [norm.endsWith('layernorm') ? width : headDim])
    for (const { name } of linearGroups) {
      const { rows, columns } = groupSize(shape, name)
      groups[name].forEach((part, i) => {
        tensors.set(`${prefix}.${part}.weight`, [rows[i]!, columns])
        if (biases.includes(name)) tensors.set(`${prefix}.${part}.bias`, [rows[i]!])
      })
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

const heads = [tensorNames('transformers').head, tensorNames('llada').head]

/** A tensor left over is an error too: a bias or a norm dropped in silence would make another model. */
function checkTensors(found: Safetensors, wanted: ReadonlyMap<string, readonly number[]>, where: string): void {
  for (const [name, dims] of wanted) {
    const actual = found.tensors.get(name)?.dims
    if (actual?.join() !== dims.join()) {
      throw new BundleError(`${where}: tensor ${name}: wanted [${dims}], found ${actual ? `[${actual}]` : 'none'}`)
    }
  }
  for (const name of found.tensors.keys()) {
    const derived = name.endsWith('.rotary_emb.inv_freq') || heads.includes(name) // tied, and stored all the same
    if (!wanted.has(name) && !derived)
      throw new BundleError(`${where}: tensor ${name} has no place in the graph; this model cannot be converted yet`)
  }
}
