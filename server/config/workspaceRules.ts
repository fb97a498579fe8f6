/**
 * What the disk says of a document: whether it is private (a secret by its name, ignored by Git, by `.lacunaignore` or by
 * a setting), and what the workspaces it lies in restrict. Read behind the first answers and kept; looked at again when a
 * second has passed, or when somebody says that a file has changed. Knows no protocol but the form of a uri.
 *
 * Of a link both ends are asked: its own name and place, and those of the file it leads to. Only `file:` documents lie
 * anywhere; of others the name alone counts.
 */
import { realpath } from 'node:fs/promises'
import { basename, dirname, join, parse, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { holding, IgnoreFiles, pathBelow } from './ignoreFiles.ts'
import { KeptRules, type Match } from './ignoreRules.ts'
import type { Restriction } from './restriction.ts'
import { secretName } from './secretNames.ts'
import { KeptFile } from './smallFile.ts'
import { readWorkspaceFile, type WorkspaceFile, workspaceFileName } from './workspaceFile.ts'

export interface Rules {
  /** Why the document gets nothing unasked, in a clause; undefined when it is like any other. */
  readonly private: string | undefined
  /** Of the workspaces it lies in. */
  readonly restrictions: readonly Restriction[]
  /** The files that had a say: ignore files, and those of workspaces. */
  readonly files: readonly string[]
}

export interface WorkspaceRulesOptions {
  /** Paths of the workspace folders. */
  readonly folders: () => readonly string[]
  /** The setting `ignored` of the user, and of the merged source. */
  readonly ignored: () => { readonly user: readonly string[]; readonly merged: readonly string[] }
  readonly now: () => number // ms
  /** Told what is wrong with a workspace's file, at every look. */
  readonly warn?: (sentences: readonly string[]) => void
}

interface Known {
  rules: Rules | undefined
  looking: Promise<Rules>
  readonly at: number
}

export class WorkspaceRules {
  private readonly options: WorkspaceRulesOptions
  private readonly known = new Map<string, Known>() // by uri
  private readonly ignoreFiles = new IgnoreFiles()
  private readonly rules = new KeptRules() // of settings
  private readonly workspaceFiles = new Map<string, KeptFile>() // by folder

  constructor(options: WorkspaceRulesOptions) {
    this.options = options
  }

  /**
   * What is known, perhaps a little old and then being looked at again; a promise when nothing is.
   *
   * @param freshForMs how old it may be before it is looked at again.
   */
  of(uri: string, freshForMs = 1000): Rules | Promise<Rules> {
    const before = this.known.get(uri)
    if (before && this.options.now() - before.at < freshForMs) return before.rules ?? before.looking
    const looking = this.rulesOf(uri)
    const known: Known = { rules: before?.rules, looking, at: this.options.now() }
    this.known.set(uri, known)
    looking.then(
      (rules) => void (known.rules = rules),
      () => void (known.rules = undefined), // whoever waits is told; the next who asks looks again
    )
    return known.rules ?? looking
  }

  /** An ignore file, a workspace's file or a setting is another: nothing of before is used. */
  changed(): void {
    this.known.clear()
  }

  forget(uri: string): void {
    this.known.delete(uri)
  }

  private async rulesOf(uri: string): Promise<Rules> {
    const path = pathOf(uri)
    if (path === undefined) return { private: secretName(namesIn(uri)), restrictions: [], files: [] }
    const real = await realPathOf(path)
    const rules = await Promise.all([...new Set([path, real])].map((place) => this.rulesAt(place)))
    return {
      private: rules.map((one) => one.private).find((reason) => reason !== undefined),
      restrictions: rules.flatMap(({ restrictions }) => restrictions),
      files: [...new Set(rules.flatMap(({ files }) => files))],
    }
  }

  private async rulesAt(path: string): Promise<Rules> {
    // The innermost first: what `ignored` says is said from there on.
    const folders = holding(this.options.folders(), path)
    const [ignores, ...workspaces] = await Promise.all([
      this.ignoreFiles.verdict(path, folders),
      ...folders.map((folder) => this.workspaceFile(folder)),
    ])
    this.options.warn?.(workspaces.flatMap(({ warnings }) => warnings))
    const { user, merged } = this.options.ignored()
    const says = (patterns: readonly string[] = [], folder = parse(path).root): Promise<Match> =>
      this.rules.match([{ folder: '', text: patterns.join('\n') }], pathBelow(folder, path))
    const byUser = await says(user, folders[0])
    const byMerged = await says(merged, folders[0])
    const byFiles = await Promise.all(workspaces.map(({ restriction }, i) => says(restriction.ignored, folders[i])))
    const reasons = [
      byUser === 'ignored' && 'the setting "ignored" names it',
      byUser === 'unsaid' && secretName(path.split(sep)),
      byUser === 'unsaid' && ignores.git === 'ignored' && 'Git ignores it',
      // What a workspace says can only add to this.
      ignores.lacuna === 'ignored' && '.lacunaignore names it',
      byMerged === 'ignored' && 'the setting "ignored" names it',
      byFiles.includes('ignored') && `${workspaceFileName} names it`,
    ]
    return {
      private: reasons.find((reason) => typeof reason === 'string'),
      restrictions: workspaces.map(({ restriction }) => restriction),
      files: [...ignores.files, ...workspaces.filter(({ found }) => found).map((file) => file.path)],
    }
  }

  private async workspaceFile(folder: string): Promise<WorkspaceFile> {
    const kept = this.workspaceFiles.get(folder) ?? new KeptFile(join(folder, workspaceFileName))
    this.workspaceFiles.set(folder, kept)
    return readWorkspaceFile(folder, await kept.read())
  }
}

/** Undefined for documents that are no files, and for names that cannot be one here. */
export function pathOf(uri: string): string | undefined {
  if (!uri.startsWith('file:')) return undefined
  try {
    return fileURLToPath(uri)
  } catch (error) {
    if (error instanceof TypeError || error instanceof URIError) return undefined
    throw error
  }
}

/** Where a path leads to; of a file that is not there yet, where its folder does. */
async function realPathOf(path: string): Promise<string> {
  return realpath(path)
    .catch(async () => join(await realpath(dirname(path)), basename(path)))
    .catch(() => path)
}

/** The parts of a uri's path, which need not lie on any disk. */
function namesIn(uri: string): string[] {
  const path = uri.replace(/[?#].*$/s, '')
  try {
    return decodeURIComponent(path).split(/[/\\]/)
  } catch (error) {
    if (error instanceof URIError) return path.split(/[/\\]/)
    throw error
  }
}
