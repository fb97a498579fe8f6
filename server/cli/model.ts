/** `lacuna model …`: what is installed, and what to do with it. */
import { messageOf, UserError } from '../base/errors.ts'
import { shownBytes, sum } from '../model/downloadAll.ts'
import { type Manifest, readManifest } from '../model/manifest.ts'
import { verifyBundle } from '../model/openBundle.ts'
import {
  chooseDefault,
  chosenDefault,
  defaultModel,
  installedModel,
  listModels,
  removableModel,
  removeModel,
  resolveModel,
} from '../model/store.ts'
import type { Command } from './command.ts'
import { confirm } from './confirm.ts'

export const modelVerify: Command = {
  name: 'model verify',
  positionals: ['[MODEL]'],
  summary: 'Checks size and sha256 of every file of a bundle (default: the default model).',
  options: {},
  async run(args, terminal) {
    const dir = await resolveModel(args.positionals[0])
    const verdicts = await verifyBundle(dir, ({ path, problem }) =>
      terminal.out(problem ? `BAD  ${path}: ${problem}\n` : `ok   ${path}\n`),
    )
    const bad = verdicts.filter(({ problem }) => problem !== undefined).length
    if (bad > 0)
      throw new UserError(
        `${bad} of ${verdicts.length} files of ${dir} are not as lacuna.json says; fetch or convert the model again`,
      )
    return 0
  },
}

export const modelList: Command = {
  name: 'model list',
  positionals: [],
  summary: 'Lists the bundles on this machine: name, size, quantisation, licence, folder; * marks the default.',
  options: {},
  async run(_args, terminal) {
    const models = await listModels()
    const chosen = await chosenDefault()
    const standard = models.some(({ name }) => name === chosen) ? chosen : defaultModel
    for (const { name, dir } of models) {
      const facts = await readManifest(dir).then(
        (manifest) => [sizeOf(manifest), quantsOf(manifest), manifest.licence],
        (error: unknown) => {
          if (error instanceof UserError) return [`cannot be used: ${messageOf(error)}`]
          throw error
        },
      )
      terminal.out(`${[`${name === standard ? '*' : ' '} ${name}`, ...facts, dir].join('\t')}\n`)
    }
    return 0
  },
}

export const modelShow: Command = {
  name: 'model show',
  positionals: ['[MODEL]'],
  summary: "Shows what a bundle's lacuna.json says of it (default: the default model).",
  options: { json: { type: 'boolean', help: 'print lacuna.json as it is' } },
  async run(args, terminal) {
    const dir = await resolveModel(args.positionals[0])
    const manifest = await readManifest(dir)
    if (args.flag('json')) {
      terminal.out(`${JSON.stringify(manifest, null, 2)}\n`)
      return 0
    }
    for (const [left, right] of factsOf(manifest, dir)) terminal.out(`${left.padEnd(16)}${right}\n`)
    return 0
  },
}

export const modelUse: Command = {
  name: 'model use',
  positionals: ['NAME'],
  summary: 'Makes a model the default, for the server and all commands that are given none.',
  options: {},
  async run(args, terminal) {
    const name = args.positionals[0]!
    await readManifest((await installedModel(name)).dir) // a damaged one must not become the default
    await chooseDefault(name)
    terminal.out(`${name} is the default model now\n`)
    return 0
  },
}

export const modelRemove: Command = {
  name: 'model remove',
  positionals: ['NAME'],
  summary: 'Deletes a model that was added; the embedded one stays.',
  options: { yes: { type: 'boolean', short: 'y', help: 'do not ask' } },
  async run(args, terminal) {
    const name = args.positionals[0]!
    const { dir } = await removableModel(name)
    if (!(await confirm(`Delete ${dir}?`, args.flag('yes'), terminal))) {
      terminal.err('nothing was deleted\n')
      return 1
    }
    await removeModel(name)
    terminal.out(`${name}: deleted\n`)
    return 0
  },
}

function sizeOf({ files }: Manifest): string {
  return shownBytes(sum(files))
}

function quantsOf({ graphs }: Manifest): string {
  return graphs.map(({ quant }) => quant).join('+')
}

/** In the order a person asks. */
function factsOf(manifest: Manifest, dir: string): readonly (readonly [string, string])[] {
  const {
    layers,
    width,
    heads,
    kvHeads,
    headDim,
    mlp,
    vocab,
    canvasSizes,
    threshold,
    window,
    contextBudget,
    drafting,
  } = manifest
  const ids = (values: readonly number[]) =>
    values.length > 8 ? `${values.slice(0, 8).join(', ')} and ${values.length - 8} more` : values.join(', ') || 'none'
  return [
    ['name', manifest.name],
    ['folder', dir],
    ['licence', manifest.licence],
    ['origin', manifest.origin],
    ['size', `${sizeOf(manifest)} in ${manifest.files.length} files`],
    ['graphs', manifest.graphs.map(({ file, quant }) => `${quant} (${file})`).join(', ')],
    ['family', manifest.family],
    ['network', `${layers} layers of ${width}, ${heads} heads of ${headDim} over ${kvHeads} key heads, MLP ${mlp}`],
    ...(manifest.adapter ? [['adapter', `rank ${manifest.adapter.rank}`] as const] : []),
    ['vocabulary', `${vocab} ids`],
    ['attention', manifest.attention],
    ['logits shift', String(manifest.logitsShift)],
    ['mask id', String(manifest.maskId)],
    ['end ids', ids(manifest.endIds)],
    ...(manifest.expandId === undefined ? [] : [['expand id', String(manifest.expandId)] as const]),
    ['forbidden ids', ids(manifest.forbiddenIds)],
    ['length mode', manifest.lengthMode],
    ['canvas sizes', canvasSizes.join(', ')],
    ['schedule', `threshold ${threshold}, window ${window}`],
    ...(drafting
      ? [
          [
            'drafting',
            `${drafting.slots} slots, ${drafting.open} look ahead; what follows ${drafting.distance} on`,
          ] as const,
        ]
      : []),
    ['positions', String(manifest.maxPositions)],
    ['context', `${contextBudget.prefixTokens} tokens before the gap, ${contextBudget.suffixTokens} after`],
    ['languages', manifest.languages.join(', ') || 'not said'],
  ]
}
