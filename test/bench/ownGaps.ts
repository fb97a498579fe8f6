/** Gaps of a folder of real files or, where none is named, of Lacuna's own sources, so that a bench runs on any checkout. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { drawGaps, type GapCase } from './gapCases.ts'

// Runs from the build folder.
const root = fileURLToPath(new URL('../', import.meta.url))

/**
 * The languages in turn, so that a run that is cut short has some of each.
 *
 * @param perLanguage of Python, TypeScript and JavaScript each, as far as there are files.
 */
export function gapsOf(folder: string | undefined, perLanguage: number, seed: number): GapCase[] {
  const folders = folder === undefined ? [join(root, 'server'), join(root, 'training')] : [folder]
  const cases = folders.flatMap((path) => drawGaps(path, perLanguage, seed))
  const languages = [...new Set(cases.map(({ languageId }) => languageId))]
  const byLanguage = languages.map((id) => cases.filter(({ languageId }) => languageId === id))
  return Array.from({ length: perLanguage }, (_, i) => byLanguage.flatMap((own) => own[i] ?? [])).flat()
}
