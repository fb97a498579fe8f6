/** Bundles of a hostile publisher: everything may lie, and the sizes and hashes agree with the lie. */
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { expect } from 'vitest'
import { UserError } from '../../../server/base/errors.ts'
import type { Manifest } from '../../../server/model/manifest.ts'
import { randomBundle } from '../randomBundle.ts'
import { temporaryFolder } from '../temporaryFolder.ts'

export type Json = Record<string, unknown>

let files: ReadonlyMap<string, Buffer> | undefined

/** A small intact 4-bit bundle in a folder `bundle` of its own; made once in a process, copied after that. */
export async function intactBundle(): Promise<string> {
  const root = await temporaryFolder()
  files ??= await bundleFiles(join(root, 'made'))
  const dir = join(root, 'bundle')
  await mkdir(join(dir, 'onnx'), { recursive: true })
  for (const [name, bytes] of files) await writeFile(join(dir, name), bytes)
  return dir
}

async function bundleFiles(dir: string): Promise<Map<string, Buffer>> {
  const { q4 } = await randomBundle(dir, { layers: 1 }, 23)
  const entries = await readdir(q4, { recursive: true, withFileTypes: true })
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  const found = new Map<string, Buffer>()
  for (const path of paths) found.set(relative(q4, path), await readFile(path))
  await rm(dir, { recursive: true })
  return found
}

export async function editJson(path: string, edit: (json: never) => void): Promise<void> {
  const json = JSON.parse(await readFile(path, 'utf8'))
  edit(json as never)
  await writeFile(path, JSON.stringify(json))
}

export const editManifest = (dir: string, edit: (manifest: Manifest & Json) => void) =>
  editJson(join(dir, 'lacuna.json'), edit)
export const editConfig = (dir: string, edit: (config: Json) => void) => editJson(join(dir, 'config.json'), edit)

/** Makes sizes and hashes in lacuna.json those of the files, as a publisher would. */
export async function rehash(dir: string): Promise<void> {
  const path = join(dir, 'lacuna.json')
  const manifest: Manifest = JSON.parse(await readFile(path, 'utf8'))
  for (const file of manifest.files) {
    const place = join(dir, file.path)
    if (
      !(await stat(place).then(
        (entry) => entry.isFile(),
        () => false,
      ))
    )
      continue
    const bytes = await readFile(place)
    Object.assign(file, { bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') })
  }
  await writeFile(path, JSON.stringify(manifest))
}

/** Refused with one clear line that matches: an error for the person at the keyboard, nothing else. */
export async function expectRefusal(work: Promise<unknown>, message: RegExp | string): Promise<void> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error, 'nothing was refused').toBeDefined()
  expect(error, String((error as Error).stack)).toBeInstanceOf(UserError)
  const text = (error as UserError).message
  expect(text).toMatch(message)
  expect(text, 'one line without control characters').toMatch(/^\P{Cc}*$/u)
  expect(text.length).toBeLessThan(1000)
}

/** All paths below a folder, with sizes: to see that nothing was written. */
export async function listing(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true })
  const lines = entries.map(async (entry) => {
    const path = join(entry.parentPath, entry.name)
    return `${path} ${entry.isFile() ? (await stat(path)).size : ''}`
  })
  return (await Promise.all(lines)).sort()
}
