/**
 * `node dist/fullSize.js`: a model of CoDA-1.7B's very shape with random weights
 * (8.14 GB of float32) is written, converted, loaded and stepped, each in a process of its own, and what each took is
 * printed as one line of JSON. Needs 12 GB of disk and some minutes; what is there already in DIR is used again.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, open, rename, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { engineOptions } from '../../server/cli/openRooms.ts'
import { openOnnxEngine } from '../../server/engine/onnx/onnxEngine.ts'
import { convertModel } from '../../server/model/convert.ts'
import { openBundle } from '../../server/model/openBundle.ts'
import { counterWeight } from '../oracle/counterWeights.ts'
import { commandLine } from './options.ts'
import { median, rounded } from './stats.ts'

const help = `node dist/fullSize.js [options]
  --dir DIR           where the model is made (default: lacuna-full-size beside other temporary files)
  --quant LIST        of q4,q8 (default both)
  --layers N          default 28, all of them
`
const { values: options } = commandLine(help, {
  options: {
    dir: { type: 'string', default: join(tmpdir(), 'lacuna-full-size') },
    quant: { type: 'string', default: 'q4,q8' },
    layers: { type: 'string', default: '28' },
    phase: { type: 'string' },
  },
})

/** CoDA's `config.json`, as far as it is about the network. */
const config = {
  model_type: 'CoDA',
  hidden_size: 2048,
  intermediate_size: 6144,
  num_attention_heads: 16,
  num_key_value_heads: 8,
  num_hidden_layers: Number(options.layers),
  head_dim: 128,
  hidden_act: 'silu',
  max_position_embeddings: 40960,
  rms_norm_eps: 1e-6,
  rope_theta: 1_000_000,
  vocab_size: 151936,
  mask_token_id: 151669,
}
const source = join(options.dir, 'source')
const bundle = (quant: string): string => join(options.dir, quant)

switch (options.phase) {
  case undefined:
    await all()
    break
  case 'make':
    await make()
    break
  default: {
    const [phase, quant] = options.phase.split(':') as ['convert' | 'step', 'q4' | 'q8']
    if (phase === 'convert') await convert(quant)
    else await step(quant)
  }
}

async function all(): Promise<void> {
  await mkdir(source, { recursive: true })
  const result: Record<string, unknown> = {}
  const phases = ['make', ...options.quant.split(',').flatMap((quant) => [`convert:${quant}`, `step:${quant}`])]
  for (const phase of phases) {
    process.stderr.write(`${phase} …\n`)
    const args = [fileURLToPath(import.meta.url), '--phase', phase, '--dir', options.dir, '--layers', options.layers]
    const child = spawnSync(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'], encoding: 'utf8' })
    if (child.status !== 0) throw new Error(`${phase} ended with ${child.status ?? child.signal}`)
    result[phase] = JSON.parse(child.stdout)
  }
  process.stdout.write(`${JSON.stringify(result)}\n`)
}

/** A sharded float32 folder in the layout of the public one. */
async function make(): Promise<void> {
  const began = performance.now()
  await writeFile(join(source, 'config.json'), JSON.stringify(config))
  await writeFile(join(source, 'tokenizer.json'), JSON.stringify(tokenizer()))
  const { vocab_size: vocab, hidden_size: width, intermediate_size: mlp, head_dim: headDim } = config
  const [qWidth, kvWidth] = [config.num_attention_heads * headDim, config.num_key_value_heads * headDim]
  const shards: [string, readonly [string, readonly number[]][]][] = [
    ['model-embedding.safetensors', [['model.embed_tokens.weight', [vocab, width]]]],
    [
      'model-head.safetensors',
      [
        ['lm_head.weight', [vocab, width]],
        ['model.norm.weight', [width]],
      ],
    ],
  ]
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const at = `model.layers.${layer}`
    shards.push([
      `model-layer-${layer}.safetensors`,
      [
        [`${at}.input_layernorm.weight`, [width]],
        [`${at}.post_attention_layernorm.weight`, [width]],
        [`${at}.self_attn.q_norm.weight`, [headDim]],
        [`${at}.self_attn.k_norm.weight`, [headDim]],
        [`${at}.self_attn.q_proj.weight`, [qWidth, width]],
        [`${at}.self_attn.k_proj.weight`, [kvWidth, width]],
        [`${at}.self_attn.v_proj.weight`, [kvWidth, width]],
        [`${at}.self_attn.o_proj.weight`, [width, qWidth]],
        [`${at}.mlp.gate_proj.weight`, [mlp, width]],
        [`${at}.mlp.up_proj.weight`, [mlp, width]],
        [`${at}.mlp.down_proj.weight`, [width, mlp]],
      ],
    ])
  }
  const weight_map: Record<string, string> = {}
  for (const [file, tensors] of shards) {
    for (const [name] of tensors) weight_map[name] = file
    const path = join(source, file)
    if (!existsSync(path)) await writeShard(path, tensors)
  }
  await writeFile(join(source, 'model.safetensors.index.json'), JSON.stringify({ weight_map }))
  let bytes = 0
  for (const [file] of shards) bytes += (await stat(join(source, file))).size
  process.stdout.write(JSON.stringify({ gigabytes: rounded(bytes / 1e9, 2), seconds: secondsSince(began) }))
}

async function writeShard(path: string, tensors: readonly [string, readonly number[]][]): Promise<void> {
  const header: Record<string, unknown> = {}
  let end = 0
  for (const [name, dims] of tensors) {
    const bytes = 4 * dims.reduce((product, dim) => product * dim, 1)
    header[name] = { dtype: 'F32', shape: dims, data_offsets: [end, end + bytes] }
    end += bytes
  }
  const text = Buffer.from(JSON.stringify(header))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.length))
  const file = await open(`${path}.part`, 'w')
  await file.write(length)
  await file.write(text)
  for (const [name, dims] of tensors) {
    const [rows, columns] = dims.length === 2 ? (dims as [number, number]) : [1, dims[0]!]
    const rowsAtOnce = Math.max(1, Math.floor(2 ** 22 / columns))
    for (let row = 0; row < rows; row += rowsAtOnce) {
      const count = Math.min(rowsAtOnce, rows - row)
      // Rows of their own stream, so that no tensor need be whole in memory.
      const part = counterWeight(
        1,
        row === 0 ? name : `${name} from row ${row}`,
        dims.length === 2 ? [count, columns] : dims,
      )
      await file.write(new Uint8Array(part.buffer))
    }
  }
  await file.close()
  await rename(`${path}.part`, path)
}

/** Every byte a token, and the special ones where CoDA has them. */
function tokenizer(): unknown {
  let next = 0x100
  const printable = (byte: number) => (byte > 32 && byte < 127) || (byte > 160 && byte !== 173)
  const letters = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(printable(byte) ? byte : next++))
  const vocab = Object.fromEntries(letters.map((letter, byte) => [letter, byte]))
  const special = { '<|endoftext|>': 151643, '<|im_start|>': 151644, '<|im_end|>': 151645, '<|mask|>': 151669 }
  return {
    added_tokens: Object.entries(special).map(([content, id]) => ({ id, content, special: true })),
    normalizer: null,
    post_processor: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, use_regex: true },
    decoder: { type: 'ByteLevel' },
    model: { type: 'BPE', vocab, merges: [] },
  }
}

async function convert(quant: 'q4' | 'q8'): Promise<void> {
  await rm(bundle(quant), { recursive: true, force: true })
  const began = performance.now()
  const report = await convertModel(source, bundle(quant), { quant, name: `coda-1.7b-shape-${quant}` })
  process.stdout.write(
    JSON.stringify({
      seconds: secondsSince(began),
      peak_rss_mb: peakMegabytes(),
      bundle_gb: rounded(report.bytes / 1e9, 3),
      weights_off_percent: rounded(100 * Math.sqrt(report.squaredError / report.squaredSum), 2),
    }),
  )
}

async function step(quant: 'q4' | 'q8'): Promise<void> {
  const opened = await openBundle(bundle(quant), { check: 'sizes' })
  const began = performance.now()
  const engine = await openOnnxEngine(engineOptions(opened))
  const loaded = { load_s: secondsSince(began), rss_mb: Math.round(process.memoryUsage().rss / 1e6) }
  const stepMs: Record<string, number> = {}
  for (const rows of [8, 32]) {
    const times: number[] = []
    for (let round = 0; round < 6; round++) {
      const ids = Array.from({ length: rows }, (_, i) => (i === 0 ? 100 : opened.manifest.maskId))
      const positions = ids.map((_, i) => i)
      const start = performance.now()
      const [prediction] = await engine.step(
        [{ ids, positions, context: [], asked: positions.slice(1), setIds: [] }],
        new AbortController().signal,
      )
      times.push(performance.now() - start)
      if (!prediction!.entropy.every((value) => value > 0)) throw new Error('an entropy is no number')
    }
    stepMs[rows] = Math.round(median(times.slice(1)))
  }
  const rss = Math.round(process.memoryUsage().rss / 1e6)
  await engine.close()
  process.stdout.write(
    JSON.stringify({ ...loaded, rss_after_steps_mb: rss, peak_rss_mb: peakMegabytes(), step_ms: stepMs }),
  )
}

function secondsSince(began: number): number {
  return rounded((performance.now() - began) / 1000, 1)
}

function peakMegabytes(): number {
  return Math.round((process.resourceUsage().maxRSS * 1024) / 1e6)
}
