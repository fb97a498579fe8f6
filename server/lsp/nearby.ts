/**
 * What there is beside a document that may say what comes next in it: other open documents of its kind, the last changed first,
 * then files near it. None of them private.
 */
import { toLineFeeds } from '../base/lineFeeds.ts'
import { kindOf, type NearbyFiles } from '../config/nearbyFiles.ts'
import { pathOf, type WorkspaceRules } from '../config/workspaceRules.ts'
import type { Snapshot } from '../session/session.ts'
import type { Documents } from './documents.ts'

const mostTexts = 16
const freshForMs = 30_000 // there may be many, and each look is some milliseconds of disk
const mostUnits = 1_048_576 // UTF-16 units of all of them: searched in half a millisecond

export class Nearby {
  private readonly documents: Documents
  private readonly files: NearbyFiles
  private readonly rules: WorkspaceRules
  private readonly told = new WeakMap<Snapshot, string>() // with LF line ends

  constructor(documents: Documents, files: NearbyFiles, rules: WorkspaceRules) {
    this.documents = documents
    this.files = files
    this.rules = rules
  }

  /** @returns texts with LF line ends, the nearest first. */
  textsFor(snapshot: Snapshot): readonly string[] {
    const others = this.documents
      .snapshots()
      .filter((other) => other.uri !== snapshot.uri && this.isAlike(other, snapshot))
    const open = new Set(others.map(({ uri }) => pathOf(uri)))
    const files = this.files.of(snapshot.uri).filter(({ path }) => !open.has(path))
    let units = 0
    return [...others.map((other) => this.textOf(other)), ...files.map(({ text }) => text)]
      .slice(0, mostTexts)
      .filter(({ length }) => (units += length) <= mostUnits)
  }

  private isAlike(other: Snapshot, { uri, languageId }: Snapshot): boolean {
    if (other.languageId !== languageId && kindOf(other.uri) !== (kindOf(uri) || languageId)) return false
    const rules = this.rules.of(other.uri, freshForMs)
    return !(rules instanceof Promise) && rules.private === undefined // looked up the next time
  }

  private textOf(snapshot: Snapshot): string {
    const known = this.told.get(snapshot) ?? toLineFeeds(snapshot.text)
    this.told.set(snapshot, known)
    return known
  }
}
