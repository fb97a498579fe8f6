/** `lacuna model convert`: a Hugging Face folder becomes a bundle. */
import { readFile, rm } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { UserError } from '../base/errors.ts'
import { type ConvertOptions, type ConvertReport, convertModel } from '../model/convert.ts'
import type { InfillFacts } from '../model/infillFacts.ts'
import { isFinishedBundle, refreshBundle } from '../model/refreshBundle.ts'
import { agreementLine, agreementOf } from './agreement.ts'
import type { Arguments, Command, Option } from './command.ts'
import { progressBar } from './progressBar.ts'

/** What the files of a model cannot say, as options. */
export const factOptions = {
  attention: { type: 'string', value: 'KIND', help: 'who sees whom: bidirectional or causal-context' },
  shift: { type: 'string', value: 'N', help: '1 where row p − 1 scores position p, else 0' },
  'mask-id': { type: 'string', value: 'N', help: 'the mask token' },
  'end-id': { type: 'string', value: 'N[,N]', help: 'the tokens that end a middle' },
  'length-mode': {
    type: 'string',
    value: 'MODE',
    help: "how a middle's length is found: search, end-token, expand-delete",
  },
} as const satisfies Record<string, Option>

/** @throws {UserError} for a value that is none of its option's. */
export function factsOption(args: Arguments): Partial<InfillFacts> {
  const attention = oneOf(args, 'attention', ['bidirectional', 'causal-context'])
  const lengthMode = oneOf(args, 'length-mode', ['search', 'end-token', 'expand-delete'])
  const shift = oneOf(args, 'shift', ['0', '1'])
  const mask = args.count('mask-id', 0)
  const ends = args.text('end-id')
  if (ends !== undefined && !/^\d+(,\d+)*$/.test(ends))
    throw new UserError(`--end-id takes ids such as 151645 or 151643,151645; found "${ends}"`)
  return {
    ...(attention && { attention }),
    ...(lengthMode && { length_mode: lengthMode }),
    ...(shift && { logits_shift: shift === '1' ? 1 : 0 }),
    ...(mask !== undefined && { mask_token_id: mask }),
    ...(ends !== undefined && { end_token_ids: ends.split(',').map(Number) }),
  }
}

export const quantOption = { type: 'string', value: 'KIND', help: 'q4 (default), q8 or f32' } as const satisfies Option

export function quantOf(args: Arguments): ConvertOptions['quant'] {
  return oneOf(args, 'quant', ['q4', 'q8', 'f32']) ?? 'q4'
}

export const modelConvert: Command = {
  name: 'model convert',
  positionals: ['DIR'],
  summary: 'Makes onnx/ and lacuna.json from config.json and *.safetensors of a Hugging Face folder.',
  details:
    'Llama, Qwen2 and Qwen3 networks and their masked-diffusion children: CoDA, Dream, Dream-Coder, DreamOn, DiffuCoder,\n' +
    'Open-dCoder, LLaDA, the mdlm models of dllm-hub. What the files do not say is asked for.\n' +
    'Interrupted, the same command goes on where it stopped. A bundle of an older version, without its weights, gets a new graph.',
  options: {
    out: { type: 'string', value: 'DIR', help: 'where the bundle goes (default: into DIR itself)' },
    quant: quantOption,
    report: {
      type: 'boolean',
      help: 'compare with float32 on real code; takes room for 4 bytes a weight while it runs',
    },
    ...factOptions,
  },
  async run(args, terminal) {
    const source = args.positionals[0]!
    const out = args.text('out') ?? source
    if (out === source && (await isFinishedBundle(source))) {
      const { name } = await refreshBundle(source)
      terminal.out(`${source}: ${name}: no weights here, so the graph was made again over the data files\n`)
      return 0
    }
    const convert = async (to: string, quant: ConvertOptions['quant'], title: string): Promise<ConvertReport> => {
      const bar = progressBar(terminal.err, title)
      const options = { quant, facts: factsOption(args), name: basename(resolve(out)) }
      return convertModel(source, to, options, bar.update).finally(bar.end)
    }
    const quant = quantOf(args)
    // Beside the bundle: there is room on that disk, if anywhere. Of one name, so that what an interrupted run left is
    // gone on with, or goes.
    const float = join(out, 'float32-for-report')
    if (!args.flag('report')) await rm(float, { recursive: true, force: true })
    terminal.out(`${out}: ${reportLine(await convert(out, quant, 'converting'))}\n`)
    if (!args.flag('report') || quant === 'f32') return 0
    try {
      await convert(float, 'f32', 'converting to float32, to compare')
      const code = await readFile(fileURLToPath(import.meta.url), 'utf8') // this program: code that is always at hand
      terminal.out(`${agreementLine(await agreementOf({ dir: out, quant }, { dir: float }, code))}\n`)
    } finally {
      await rm(float, { recursive: true, force: true })
    }
    return 0
  },
}

/** What was made, and how far the stored weights are from those given. */
export function reportLine({ manifest, storage, bytes, blocks, exactBlocks, ...tally }: ConvertReport): string {
  const size = `${manifest.name}, ${storage}, ${(bytes / 1e6).toFixed(1)} MB`
  if (blocks === 0) return size
  if (exactBlocks === blocks) return `${size}; all ${blocks} blocks exactly as given`
  const error = Math.sqrt(tally.squaredError / tally.squaredSum)
  return `${size}; weights off by ${(100 * error).toFixed(2)} % (root mean square), ${exactBlocks} of ${blocks} blocks exactly as given`
}

function oneOf<const Value extends string>(
  args: Arguments,
  option: string,
  values: readonly Value[],
): Value | undefined {
  const given = args.text(option)
  const found = values.find((value) => value === given)
  if (given === undefined || found !== undefined) return found
  throw new UserError(`--${option} is ${values.join(' or ')}, found "${given}"`)
}
