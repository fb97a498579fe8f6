/**
 * The float32 numbers that a bundle of 4 or 8 bits stands for, as a bundle of its own: what the quantised product is compared
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
import { dequantizeZeroPoints } from './quantizeZeroPoints.ts'
import { readExactly } from './readExactly.ts'
import { noTally, type Progress, type Unit } from './units.ts'
import { writeBundle } from './writeBundle.ts'

/** @throws {BundleError} when `dir` is no intact bundle with a 4-bit graph. */
export async function floatBundle(dir: string, outDir: string, progress?: (progress: Progress) => void): Promise<void> {
  const bundle = await openBundle(dir, { quant: 'q4' })
  const config = await readModelConfig(dir)
  const { graphs: _, files, ...manifest } = bundle.manifest
  const shape = bundleShape(config, manifest)
  const { quant } = bundle.graph
  const stored = layoutBundle(shape, quant)
  const wanted = layoutBundle(shape, 'f32')
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
      if (stored.tensors.has(`${stem}.minimums`))
        return dequantizeQ4({ ...blocks, minimums: await halvesOf(`${stem}.minimums`) })
      if (!stored.tensors.has(`${stem}.zeros`)) return dequantizeQ8(blocks)
      const columns = wanted.tensors.get(name)!.dims[1]!
      return dequantizeZeroPoints({ ...blocks, zeros: await bytesOf(`${stem}.zeros`) }, columns)
    }
    const plan = { sourceDir: dir, outDir, shape, storage: 'f32', manifest, fingerprint: bundle.graph.file } as const
    const units = [...wanted.tensors.keys()].map(
      (name): Unit => ({
        name,
        tensors: [name],
        async fill(write) {
          await write(name, await floatsOf(name))
          return noTally
        },
      }),
    )
    await writeBundle(plan, units, progress)
  } finally {
    for (const handle of handles.values()) await handle.close()
  }
}
