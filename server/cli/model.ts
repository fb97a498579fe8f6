/** `lacuna model …`: makes, checks and lists bundles. */
import { UserError } from '../base/errors.ts'
import { convertModel } from '../model/convert.ts'
import { verifyBundle } from '../model/openBundle.ts'
import { listModels, resolveModel } from '../model/store.ts'
import type { Command } from './command.ts'
import { progressBar } from './progressBar.ts'

export const modelConvert: Command = {
  name: 'model convert',
  positionals: ['DIR'],
  summary: 'Makes onnx/ and lacuna.json from config.json and *.safetensors of a Hugging Face folder.',
  options: {
    out: { type: 'string', value: 'DIR', help: 'where the bundle goes (default: into DIR itself)' },
    quant: { type: 'string', value: 'KIND', help: 'q4 (default) or f32' },
  },
  async run(args, terminal) {
    const source = args.positionals[0]!
    const quant = args.text('quant') ?? 'q4'
    if (quant !== 'q4' && quant !== 'f32') throw new UserError(`--quant is q4 or f32, found "${quant}"`)
    const out = args.text('out') ?? source
    const bar = progressBar(terminal.err, 'converting')
    const report = await convertModel(source, out, { quant }, bar.update).finally(bar.end)
    const megabytes = (report.bytes / 1e6).toFixed(1)
    const exact = quant === 'q4' ? `; ${report.exactBlocks} of ${report.blocks} blocks exactly as given` : ''
    terminal.out(`${out}: ${report.manifest.name}, ${megabytes} MB${exact}\n`)
    return 0
  },
}

export const modelVerify: Command = {
  name: 'model verify',
  positionals: ['[MODEL]'],
  summary: 'Checks size and sha256 of every file of a bundle (default: the embedded one).',
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
  summary: 'Lists the bundles on this machine.',
  options: {},
  async run(_args, terminal) {
    for (const { name, dir } of await listModels()) terminal.out(`${name}\t${dir}\n`)
    return 0
  },
}
