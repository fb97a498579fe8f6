/** The data files of a bundle while they are written, as `*.part`, and the journal of what is in them. */
import { type FileHandle, lstat, open as openFile, rename, rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { BundleError } from '../base/errors.ts'
import { hasCode, isDiskFull } from '../base/hasCode.ts'
import { hashFile } from './hashFile.ts'
import type { BundleLayout } from './layout.ts'
import type { Manifest } from './manifest.ts'
import { largeJson, readJsonFile } from './readJsonFile.ts'
import { addTally, noTally, type Progress, type Tally, type Unit } from './units.ts'

export interface DataPlace {
  readonly dir: string
  readonly journal: string // file name
  readonly fingerprint: string // of the work; what a journal of other work says does not count
  readonly syncEveryMs: number // how much work a killed process can cost
}

export class DataFiles {
  tally = noTally
  private readonly place: DataPlace
  private readonly layout: BundleLayout
  private readonly handles: ReadonlyMap<string, FileHandle>
  private readonly done: Map<string, Tally>
  private doneBytes = 0
  private syncedAt = performance.now()

  private constructor(
    place: DataPlace,
    layout: BundleLayout,
    handles: ReadonlyMap<string, FileHandle>,
    done: Map<string, Tally>,
  ) {
    this.place = place
    this.layout = layout
    this.handles = handles
    this.done = done
  }

  static async open(place: DataPlace, layout: BundleLayout): Promise<DataFiles> {
    const path = (name: string) => join(place.dir, `${name}.part`)
    const done = await readJournal(join(place.dir, place.journal), place.fingerprint)
    const sizes = await Promise.all(layout.files.map(({ name }) => sizeOf(path(name))))
    if (layout.files.some(({ bytes }, i) => sizes[i] !== bytes)) done.clear()
    if (done.size === 0) await checkRoom(place.dir, layout)
    const handles = new Map<string, FileHandle>()
    for (const { name, bytes } of layout.files) {
      const handle = done.size > 0 ? await openFile(path(name), 'r+') : await openNew(path(name))
      await handle.truncate(bytes)
      handles.set(name, handle)
    }
    return new DataFiles(place, layout, handles, done)
  }

  get progress(): Progress {
    return { doneBytes: this.doneBytes, totalBytes: this.layout.files.reduce((sum, { bytes }) => sum + bytes, 0) }
  }

  /** Whether the journal has the unit; then it counts as done. */
  has(unit: Unit): boolean {
    const tally = this.done.get(unit.name)
    if (!tally) return false
    this.count(unit, tally)
    return true
  }

  async fill(unit: Unit): Promise<void> {
    const written = new Map(unit.tensors.map((name) => [name, 0]))
    const tally = await unit.fill(async (name, data, firstByte = 0) => {
      const tensor = this.layout.tensors.get(name)
      if (!tensor || !written.has(name))
        throw new Error(`unit ${unit.name} wrote ${name}, which is none of its tensors`)
      if (firstByte + data.byteLength > tensor.length)
        throw new Error(`tensor ${name} has ${tensor.length} bytes, not ${firstByte + data.byteLength}`)
      written.set(name, written.get(name)! + data.byteLength)
      const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
      const handle = this.handles.get(tensor.file)!
      for (let at = 0; at < bytes.length; )
        at += (await handle.write(bytes, at, bytes.length - at, tensor.offset + firstByte + at)).bytesWritten
    })
    for (const [name, bytes] of written) {
      const { length } = this.layout.tensors.get(name)!
      if (bytes !== length) throw new Error(`tensor ${name} has ${length} bytes, ${bytes} were written`)
    }
    this.done.set(unit.name, tally)
    this.count(unit, tally)
    if (performance.now() - this.syncedAt > this.place.syncEveryMs) await this.sync()
  }

  /** Closes the files. @returns their names, sizes and sha256. */
  async finish(): Promise<Manifest['files']> {
    const filled = [...this.layout.tensors.keys()].length
    if (this.tensorCount !== filled) throw new Error(`${this.tensorCount} of ${filled} tensors were written`)
    await this.sync()
    await this.close()
    const files: Manifest['files'] = []
    for (const { name } of this.layout.files)
      files.push({ path: name, ...(await hashFile(join(this.place.dir, `${name}.part`))) })
    return files
  }

  async close(): Promise<void> {
    for (const handle of this.handles.values()) await handle.close().catch(ignoreClosed)
  }

  /** Closes the files so that another run can go on from here, as far as the disk takes it. */
  async pause(): Promise<void> {
    try {
      await this.sync()
    } catch (error) {
      if (!isDiskFull(error) && !hasCode(error, 'EBADF')) throw error
    } finally {
      await this.close()
    }
  }

  async forget(): Promise<void> {
    await rm(join(this.place.dir, this.place.journal), { force: true })
  }

  private tensorCount = 0

  private count(unit: Unit, tally: Tally): void {
    this.tally = addTally(this.tally, tally)
    this.tensorCount += unit.tensors.length
    for (const name of unit.tensors) this.doneBytes += this.layout.tensors.get(name)!.length
  }

  private async sync(): Promise<void> {
    for (const handle of this.handles.values()) await handle.datasync()
    const path = join(this.place.dir, this.place.journal)
    const journal: Journal = { fingerprint: this.place.fingerprint, done: [...this.done] }
    await writeSynced(`${path}.new`, Buffer.from(JSON.stringify(journal)))
    await rename(`${path}.new`, path)
    this.syncedAt = performance.now()
  }
}

interface Journal {
  readonly fingerprint: string
  readonly done: readonly (readonly [string, Tally])[]
}

/** A journal that is missing, damaged or of other work is as good as none. */
async function readJournal(path: string, fingerprint: string): Promise<Map<string, Tally>> {
  try {
    const journal = (await readJsonFile(path, 'remove it', largeJson)) as Journal
    return journal.fingerprint === fingerprint ? new Map(journal.done) : new Map()
  } catch (error) {
    if (error instanceof BundleError || error instanceof TypeError) return new Map()
    throw error
  }
}

async function checkRoom(outDir: string, layout: BundleLayout): Promise<void> {
  const { bavail, bsize } = await statfs(outDir)
  const needed = layout.files.reduce((sum, { bytes }) => sum + bytes, 0)
  if (bavail * bsize >= needed) return
  const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(2)} GB`
  throw new BundleError(
    `${outDir}: the bundle takes ${gigabytes(needed)}, ${gigabytes(bavail * bsize)} are free; make room or choose another --out`,
  )
}

export async function writeSynced(path: string, data: Uint8Array): Promise<void> {
  const file = await openNew(path)
  try {
    await file.writeFile(data)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Never through a link that somebody left there. */
async function openNew(path: string): Promise<FileHandle> {
  await rm(path, { force: true })
  return openFile(path, 'wx')
}

async function sizeOf(path: string): Promise<number> {
  return lstat(path).then(
    (entry) => (entry.isFile() ? entry.size : -1),
    () => -1,
  )
}

function ignoreClosed(error: unknown): void {
  if (!hasCode(error, 'EBADF')) throw error
}
