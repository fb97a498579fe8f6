/**
 * The float32 numbers that a 4-bit bundle stands for, as a bundle of its own: what the quantised product is compared
 * with, made from nothing but the shipped files.
 */
import { type FileHandle, open } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { BundleError } from '../base/errors.ts'
import { fromHalves } from './float16.ts'
import { layoutBundle } from './layout.ts'
import { bundleShape, readModelConfig } from './modelConfig.ts'
import { openBundle } from './openBundle.ts'
import { dequantizeQ4, dequantizeQ8 } from './quantize.ts'
import { readExactly } from './safetensors.ts'
import { type Progress, writeBundle } from './writeBundle.ts'

/** @throws {BundleError} when `dir` is no intact bundle with a 4-bit graph. */
export async function floatBundle(dir: string, outDir: string, progress?: (progress: Progress) => void): Promise<void> {
  const bundle = await openBundle(dir, { quant: 'q4' })
  const config = await readModelConfig(dir)
  const { graphs: _, files, ...manifest } = bundle.manifest
  const shape = bundleShape(config, manifest)
  const stored = layoutBundle(shape, 'q4', config.tied)
  const wanted = layoutBundle(shape, 'f32', config.tied)
  for (const { name, bytes } of stored.files) {
    const path = `onnx/${name}`
    if (files.find((file) => file.path === path)?.bytes === bytes) continue
    throw new BundleError(
      `${join(dir, path)}: not the ${bytes} bytes that config.json and lacuna.json ask for; convert it again`,
    )
  }

  const handles = new Map<string, FileHandle>()
  try {
    for (const { name } of stored.files) handles.set(name, await open(join(dirname(bundle.graphPath), name), 'r'))
    const bytesOf = async (name: string): Promise<Uint8Array<ArrayBuffer>> => {
      const { file, offset, length } = stored.tensors.get(name)!
      return readExactly(handles.get(file)!, join(dir, 'onnx', file), offset, length)
    }
    const halvesOf = async (name: string) => new Uint16Array((await bytesOf(name)).buffer)
    const floatsOf = async (name: string): Promise<Float32Array> => {
      const own = stored.tensors.get(name)
      if (own?.type === 'float16') return fromHalves(await halvesOf(name))
      if (own) return new Float32Array((await bytesOf(name)).buffer)
      const stem = name.replace(/\.weight$/, '')
      const blocks = { quants: await bytesOf(`${stem}.quants`), scales: await halvesOf(`${stem}.scales`) }
      if (stem === 'embedding') return dequantizeQ8(blocks)
      return dequantizeQ4({ ...blocks, minimums: await halvesOf(`${stem}.minimums`) })
    }
    const plan = { sourceDir: dir, outDir, shape, storage: 'f32', tied: config.tied, manifest } as const
    await writeBundle(
      plan,
      async (write) => {
        for (const name of wanted.tensors.keys()) await write(name, await floatsOf(name))
      },
      progress,
    )
  } finally {
    for (const handle of handles.values()) await handle.close()
  }
}
