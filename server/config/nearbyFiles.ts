/**
 * The files near a document that are of its kind and not private: what they say may come next in it too. Those beside it
 * first; where they are few, those of the folders around, as far as the project goes. Read behind the first answers and
 * kept; looked at again after a while, when somebody asks. Links are not followed.
 */
import { readdir, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, extname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { toLineFeeds } from '../base/lineFeeds.ts'
import { foldersFrom, holding, isWithin, repositoryOf } from './ignoreFiles.ts'
import { readSmallFile } from './smallFile.ts'
import { pathOf, WorkspaceRules } from './workspaceRules.ts'

export interface NearbyFile {
  readonly path: string
  readonly text: string
}

export interface NearbyFilesOptions {
  readonly rules: Pick<WorkspaceRules, 'of'>
  /** Paths of the workspace folders. Of a document in none of them the project is what its Git repository holds. */
  readonly folders: () => readonly string[]
  readonly now: () => number // ms
}

const freshMs = 30_000
const keptFolders = 16
const mostFolders = 64 // of a project, the document's own among them
const mostLooked = 256 // files of them whose times are asked for
const mostRead = 17 // the document itself may be among them
const mostUnits = 65_536 // UTF-16 units of one; larger ones are seldom written by hand
const longestLine = 2_000

interface Known {
  files: readonly NearbyFile[]
  readonly looking: Promise<readonly NearbyFile[]>
  readonly at: number
}

export class NearbyFiles {
  private readonly options: NearbyFilesOptions
  private readonly known = new Map<string, Known>() // by kind and folder

  constructor(options: NearbyFilesOptions) {
    this.options = options
  }

  /** What is known now, perhaps a little old and then being looked at again: the last that were written first. */
  of(uri: string): readonly NearbyFile[] {
    const path = pathOf(uri)
    return path === undefined ? [] : without(path, this.look(path).files)
  }

  /** The same once it has been looked for. Never rejects for what the disk says. */
  async read(uri: string): Promise<readonly NearbyFile[]> {
    const path = pathOf(uri)
    return path === undefined ? [] : without(path, await this.look(path).looking)
  }

  private look(path: string): Known {
    const [folder, kind] = [dirname(path), kindOf(path)]
    const key = `${kind} ${folder}`
    const before = this.known.get(key)
    if (before && this.options.now() - before.at < freshMs) return before
    const looking = kind === '' ? Promise.resolve([]) : this.filesOf(folder, kind)
    const known: Known = { files: before?.files ?? [], looking, at: this.options.now() }
    if (this.known.size >= keptFolders) this.known.clear() // they are read again
    this.known.set(key, known)
    void looking.then((files) => void (known.files = files))
    return known
  }

  /** Folders as many steps away are looked into at once: files beside the document come first. */
  private async filesOf(folder: string, kind: string): Promise<readonly NearbyFile[]> {
    const root = await this.projectOf(folder)
    const files: NearbyFile[] = []
    const seen = new Set<string>()
    let looked = 0
    for (let near = [folder]; near.length > 0 && looked < mostLooked && files.length < mostRead; ) {
      for (const each of near) seen.add(each)
      const listed = await Promise.all(near.map((each) => listingOf(each, kind)))
      const paths = listed.flatMap(({ files }) => files).slice(0, mostLooked - looked)
      looked += paths.length
      files.push(...(await this.firstOf(paths, mostRead - files.length)))
      if (root === undefined) break
      const around = listed.flatMap(({ folders }, i) => (near[i] === root ? folders : [dirname(near[i]!), ...folders]))
      near = [...new Set(around)].filter((each) => !seen.has(each)).slice(0, mostFolders - seen.size)
    }
    return files
  }

  /** The root of the project that a folder is in; a person's home is none. */
  private async projectOf(folder: string): Promise<string | undefined> {
    const root = holding(this.options.folders(), folder)[0] ?? (await repositoryOf(foldersFrom(folder)))
    return root === undefined || isWithin(root, homedir()) ? undefined : root
  }

  /** Texts of those that were written last. */
  private async firstOf(paths: readonly string[], most: number): Promise<readonly NearbyFile[]> {
    const times = await Promise.all(
      paths.map(async (path) => ({
        path,
        time: await stat(path).then(
          ({ mtimeMs }) => mtimeMs,
          () => 0,
        ),
      })),
    )
    times.sort((a, b) => b.time - a.time || (a.path < b.path ? -1 : 1))
    const files: NearbyFile[] = []
    // As many at once as may be wanted: what tells whether they are private is then looked up once.
    for (let first = 0; first < times.length && files.length < most; first += mostRead) {
      const some = times.slice(first, first + mostRead)
      const texts = await Promise.all(some.map(({ path }) => this.textOf(path)))
      files.push(...texts.flatMap((text, i) => (text === undefined ? [] : [{ path: some[i]!.path, text }])))
    }
    return files.slice(0, most)
  }

  /** Undefined where there is none that somebody wrote, or it is nobody's business. */
  private async textOf(path: string): Promise<string | undefined> {
    if ((await this.options.rules.of(pathToFileURL(path).href)).private !== undefined) return undefined
    const file = await readSmallFile(path, 'refused')
    if (file.kind !== 'text' || file.text.length > mostUnits || file.text.includes('\0')) return undefined
    if (file.text.split('\n').some(({ length }) => length > longestLine)) return undefined
    return toLineFeeds(file.text)
  }
}

/** Without an editor: what Git ignores and what is secret by its name is private. */
export function filesBeside(now: () => number, folders: readonly string[] = []): NearbyFiles {
  const rules = new WorkspaceRules({ folders: () => folders, ignored: () => ({ user: [], merged: [] }), now })
  return new NearbyFiles({ rules, folders: () => folders, now })
}

/** Texts of what lies near a file, each folder looked at once: as an editor has them that has nothing else open. */
export function textsBeside(): (path: string, folders?: readonly string[]) => Promise<string[]> {
  const kept = new Map<string, NearbyFiles>()
  return async (path, folders = []) => {
    const key = folders.join()
    const files = kept.get(key) ?? filesBeside(() => 0, folders)
    kept.set(key, files)
    return (await files.read(pathToFileURL(path).href)).map(({ text }) => text)
  }
}

/** Where it cannot be read there is nothing: it is not there, not ours, no folder. */
async function listingOf(folder: string, kind: string): Promise<{ files: string[]; folders: string[] }> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  const pathsOf = (some: typeof entries) => some.map(({ name }) => join(folder, name))
  return {
    files: pathsOf(entries.filter((entry) => entry.isFile() && kindOf(entry.name) === kind)),
    folders: pathsOf(entries.filter((entry) => entry.isDirectory() && !notOurs.test(entry.name))),
  }
}

/** What tools keep for themselves, and what others wrote. */
const notOurs = /^(\..*|node_modules|site-packages|vendor|__pycache__)$/

/** Nor what one of the two was made from: `x.js` and `x.mjs`, say. A header is no such thing. */
function without(path: string, files: readonly NearbyFile[]): readonly NearbyFile[] {
  const isTwin = (other: string) => kindOf(path) === script && stemOf(other) === stemOf(path)
  return files.filter((file) => file.path !== path && !isTwin(file.path)).slice(0, mostRead - 1)
}

function stemOf(path: string): string {
  return path.slice(0, path.length - extname(path).length).replace(/\.d$/, '')
}

/** Endings of languages that are written side by side; any other is a kind of its own. */
const script = 'js jsx mjs cjs ts tsx mts cts'
const kinds = [script, 'c h cc cpp cxx hpp hh']
const kindOfEnding = new Map(kinds.flatMap((endings) => endings.split(' ').map((ending) => [`.${ending}`, endings])))

/** The same for files whose texts are alike; '' for a name without an ending. */
export function kindOf(path: string): string {
  const ending = extname(path).toLowerCase()
  return kindOfEnding.get(ending) ?? ending
}
