/**
 * Writes the files of a bundle so that an interrupted run leaves no half bundle: every file as `*.part` first, on disk
 * before it is renamed, and lacuna.json, without which a folder is no bundle, last of all.
 */
import { createHash } from 'node:crypto'
import { type FileHandle, mkdir, open as openFile, readFile, rename, rm, stat } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { BundleError } from '../base/errors.ts'
import { buildGraph, type ModelShape } from './graph.ts'
import { hashFile } from './hashFile.ts'
import { layoutBundle, type Storage } from './layout.ts'
import type { Manifest } from './manifest.ts'

export interface Progress {
  readonly doneBytes: number
  readonly totalBytes: number
}

export interface BundlePlan {
  readonly sourceDir: string // where config.json and the tokenizer are; may be `outDir`
  readonly outDir: string
  readonly shape: ModelShape
  readonly storage: Storage
  readonly tied: boolean
  readonly manifest: Omit<Manifest, 'graphs' | 'files'>
}

/** Takes the tensors of the layout in its order. */
export type WriteTensor = (name: string, data: Uint8Array | Uint16Array | Float32Array) => Promise<void>

const requiredFiles = ['config.json', 'tokenizer.json']
const optionalFiles = ['generation_config.json', 'tokenizer_config.json']

/** @throws {BundleError} when `sourceDir` lacks a file; whatever `fill` throws. */
export async function writeBundle(
  plan: BundlePlan,
  fill: (write: WriteTensor) => Promise<void>,
  progress: (progress: Progress) => void = () => {},
): Promise<Manifest> {
  const { outDir, shape, storage, tied } = plan
  const layout = layoutBundle(shape, storage, tied)
  const graph = buildGraph(shape, layout.tensors)
  const sideFiles = await presentFiles(plan.sourceDir)
  const totalBytes = layout.files.reduce((sum, { bytes }) => sum + bytes, 0)
  await mkdir(join(outDir, 'onnx'), { recursive: true })

  const parts: string[] = [] // paths relative to outDir, to be renamed
  const files: Manifest['files'] = []
  const order = layout.tensors.entries()
  let open: PartFile | undefined
  let doneBytes = 0
  const partFile = async (path: string): Promise<PartFile> => {
    parts.push(path)
    return openPart(join(outDir, path))
  }
  const closeOpen = async (): Promise<void> => {
    if (open) files.push({ path: parts.at(-1)!, ...(await open.finish()) })
    open = undefined
  }
  const write: WriteTensor = async (name, data) => {
    const next = order.next().value
    if (next?.[0] !== name) throw new Error(`tensor ${name} was written where ${next?.[0] ?? 'the end'} was due`)
    const { file, offset, length } = next[1]
    if (data.byteLength !== length) throw new Error(`tensor ${name} has ${data.byteLength} bytes, not ${length}`)
    if (offset === 0) {
      await closeOpen()
      open = await partFile(`onnx/${file}`)
    }
    await open!.writeAt(offset, data)
    doneBytes += length
    progress({ doneBytes, totalBytes })
  }

  try {
    await fill(write)
    await closeOpen()
    const missing = order.next().value
    if (missing) throw new Error(`tensor ${missing[0]} was not written`)
    open = await partFile(`onnx/${layout.graphFile}`)
    await open.writeAt(0, graph)
    await closeOpen()
    for (const name of sideFiles) {
      if (resolve(outDir) === resolve(plan.sourceDir)) {
        files.push({ path: name, ...(await hashFile(join(outDir, name))) })
        continue
      }
      open = await partFile(name)
      await open.writeAt(0, await readFile(join(plan.sourceDir, name)))
      await closeOpen()
    }
    files.sort((a, b) => (a.path < b.path ? -1 : 1))
    const externalData = layout.files.map(({ name }) => `onnx/${name}`)
    const manifest: Manifest = {
      ...plan.manifest,
      graphs: [{ file: `onnx/${layout.graphFile}`, quant: storage, externalData }],
      files,
    }
    await rm(join(outDir, 'lacuna.json'), { force: true }) // from here until the end the folder is no bundle
    for (const path of parts) await rename(join(outDir, `${path}.part`), join(outDir, path))
    const last = await openPart(join(outDir, 'lacuna.json'))
    await last.writeAt(0, Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`))
    await last.finish()
    await rename(join(outDir, 'lacuna.json.part'), join(outDir, 'lacuna.json'))
    progress({ doneBytes: totalBytes, totalBytes })
    return manifest
  } catch (error) {
    await open?.abandon()
    for (const path of [...parts, 'lacuna.json']) await rm(join(outDir, `${path}.part`), { force: true })
    throw error
  }
}

async function presentFiles(dir: string): Promise<string[]> {
  const present: string[] = []
  for (const name of [...requiredFiles, ...optionalFiles]) {
    const found = await stat(join(dir, name)).then(
      (entry) => entry.isFile(),
      () => false,
    )
    if (found) present.push(name)
    else if (requiredFiles.includes(name))
      throw new BundleError(`${join(dir, name)}: no such file; a model folder needs it`)
  }
  return present
}

interface PartFile {
  /** Offsets only grow; what lies between is zero. */
  writeAt(offset: number, data: Uint8Array | Uint16Array | Float32Array): Promise<void>
  finish(): Promise<{ bytes: number; sha256: string }>
  abandon(): Promise<void>
}

async function openPart(path: string): Promise<PartFile> {
  const file: FileHandle = await openFile(`${path}.part`, 'w')
  const hash = createHash('sha256')
  let end = 0
  const append = async (bytes: Uint8Array): Promise<void> => {
    hash.update(bytes)
    for (let done = 0; done < bytes.length; )
      done += (await file.write(bytes, done, bytes.length - done, end + done)).bytesWritten
    end += bytes.length
  }
  return {
    async writeAt(offset, data) {
      if (offset < end) throw new Error(`${basename(path)}: byte ${offset} was asked for after byte ${end}`)
      if (offset > end) await append(new Uint8Array(offset - end))
      await append(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
    },
    async finish() {
      await file.sync()
      await file.close()
      return { bytes: end, sha256: hash.digest('hex') }
    },
    async abandon() {
      await file.close()
    },
  }
}
