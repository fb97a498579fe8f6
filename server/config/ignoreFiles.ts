/**
 * The ignore files above a document, as Git looks for them: `.gitignore` from the root of the repository down, with what
 * Git reads beside them, and our own `.lacunaignore`, from the outermost of repository and workspace folder down.
 *
 * Not read: `core.excludesFile` where it is not at its usual place. Not known: which ignored files are tracked all the same.
 */
import { stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join, relative, sep } from 'node:path'
import { KeptRules, type Match, type Patterns } from './ignoreRules.ts'
import { KeptFile, type SmallFile } from './smallFile.ts'

export interface IgnoreVerdict {
  readonly git: Match
  readonly lacuna: Match
  /** Those that were there and read. */
  readonly files: readonly string[]
}

/** By their names; `.git/info/exclude` and the user's own list have others. */
export const ignoreFileNames = ['.gitignore', '.lacunaignore'] as const

const maxKept = 1024 // files that are, or might be, in the folders of documents
const maxDepth = 64 // folders above a document that are looked into

export class IgnoreFiles {
  private readonly kept = new Map<string, KeptFile>() // by path
  private readonly rules = new KeptRules()
  private readonly looking = new Map<string, Promise<string | undefined>>() // for repositories, by folder

  /** Files that were looked at, there or not; for tests. */
  get keptCount(): number {
    return this.kept.size
  }

  /** @param folders workspace folders that hold the file. Never rejects for what the disk says. */
  async verdict(path: string, folders: readonly string[]): Promise<IgnoreVerdict> {
    const above = foldersFrom(dirname(path))
    const repository = await this.repositoryOf(above)
    const roots = [...folders, repository, above[0]].filter((root) => root !== undefined)
    const top = roots.reduce((a, b) => (b.length < a.length ? b : a))
    const gitRoot = repository ?? top
    const [beside, git, lacuna] = await Promise.all([
      repository === undefined ? [] : this.read(besideRepository(repository)),
      this.readDown(gitRoot, above, '.gitignore'),
      this.readDown(top, above, '.lacunaignore'),
    ])
    return {
      git: await this.rules.match([...beside, ...git], pathBelow(gitRoot, path)),
      lacuna: await this.rules.match(lacuna, pathBelow(top, path)),
      files: [...beside, ...git, ...lacuna].map(({ file }) => file),
    }
  }

  /** Who asks while it is looked for is told the same. */
  private repositoryOf(above: readonly string[]): Promise<string | undefined> {
    const [folder] = above as [string]
    const looking = this.looking.get(folder) ?? repositoryOf(above).finally(() => this.looking.delete(folder))
    this.looking.set(folder, looking)
    return looking
  }

  private readDown(root: string, above: readonly string[], name: string): Promise<FoundPatterns[]> {
    const down = above.filter((folder) => isWithin(root, folder)).reverse()
    return this.read(down.map((folder) => ({ file: join(folder, name), folder: pathBelow(root, folder) })))
  }

  /** Those that are there, in the same order. */
  private async read(wanted: readonly Omit<FoundPatterns, 'text'>[]): Promise<FoundPatterns[]> {
    const files = await Promise.all(wanted.map(({ file }) => this.file(file)))
    return files.flatMap((file, i) => (file.kind === 'text' ? [{ ...wanted[i]!, text: file.text }] : []))
  }

  private file(path: string): Promise<SmallFile> {
    const kept = this.kept.get(path) ?? new KeptFile(path)
    if (this.kept.size >= maxKept) this.kept.clear() // they are read again
    this.kept.set(path, kept)
    return kept.read()
  }
}

interface FoundPatterns extends Patterns {
  readonly file: string
}

/** From a folder up to the root of the disk. */
export function foldersFrom(start: string): string[] {
  const above: string[] = []
  for (let folder = start; above.length < maxDepth; folder = dirname(folder)) {
    above.push(folder)
    if (dirname(folder) === folder) break
  }
  return above
}

/** The nearest folder with a `.git`, which is a file in linked work trees. */
export async function repositoryOf(above: readonly string[]): Promise<string | undefined> {
  const found = await Promise.all(
    above.map((folder) =>
      stat(join(folder, '.git')).then(
        () => true,
        () => false,
      ),
    ),
  )
  return above[found.indexOf(true)]
}

/** What holds in the whole repository. */
function besideRepository(root: string): Omit<FoundPatterns, 'text'>[] {
  const ownFolder = process.env.XDG_CONFIG_HOME || join(homedir(), '.config')
  const files = [join(ownFolder, 'git', 'ignore'), join(root, '.git', 'info', 'exclude')]
  return files.map((file) => ({ file, folder: '' }))
}

/** Whether a path is a folder itself, or lies below it. */
export function isWithin(folder: string, path: string): boolean {
  return path === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep)
}

/** Those of the folders that hold a path, the innermost first. */
export function holding(folders: readonly string[], path: string): string[] {
  return folders.filter((folder) => isWithin(folder, path)).sort((a, b) => b.length - a.length)
}

/** With `/` between its parts, as patterns are. */
export function pathBelow(root: string, path: string): string {
  return relative(root, path).replaceAll(sep, '/')
}
