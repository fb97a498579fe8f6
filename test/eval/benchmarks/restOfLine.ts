/**
 * The rest of a line of a real file, cut at any character, prose included: exact only when the whole insertion is what stood
 * there. Files of packages that the model was not trained on, as `test/bench/fetchFiles.sh` lays them.
 */
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { UserError } from '../../../server/base/errors.ts'
import { textsBeside } from '../../../server/config/nearbyFiles.ts'
import { allLanguages, drawGaps, packageOf } from '../../bench/gapCases.ts'
import type { Benchmark, Case } from '../benchmark.ts'
import { scoreEdits } from '../compareEdits.ts'
import type { Drawing } from './generation.ts'
import { sha256Of } from './jsonLines.ts'

const maxTokens = 48
const defaultLimit = 60

/** `fetchFiles.sh` lays what figures are told of into `test/` of its folder. */
export function heldOutFolder(folder: string | undefined): string {
  if (folder === undefined || !existsSync(folder) || !statSync(folder).isDirectory())
    throw new UserError(
      `${folder ?? 'rest-of-line'}: no folder of files; lay one with "test/bench/fetchFiles.sh DIR" and name it with --files DIR`,
    )
  const inside = join(folder, 'test')
  return existsSync(inside) ? inside : folder
}

/**
 * @param limit cases of each language.
 * @param alone without what lies beside the file.
 */
export async function restOfLine(
  folder: string,
  {
    limit = defaultLimit,
    seed,
    languages = allLanguages,
    alone = false,
  }: Drawing & { readonly languages?: readonly string[] | undefined; readonly alone?: boolean },
): Promise<Benchmark> {
  const beside = textsBeside()
  const drawn = drawGaps(folder, limit, seed, languages).map(async (gap, i): Promise<Case> => {
    const { path, languageId, text, offset, truth } = gap
    return {
      key: `${i % limit} ${path}:${offset}`,
      group: languageId,
      languageId,
      text,
      nearby: alone ? [] : await beside(join(folder, path), [join(folder, packageOf(path))]),
      offset,
      scope: 'line',
      maxTokens,
      truth,
    }
  })
  const cases = await Promise.all(drawn)
  if (cases.length === 0) throw new UserError(`${folder}: no file of ${languages.join(', ')}`)
  return {
    name: 'rest-of-line',
    // More of the same cases are the same run.
    about: { files: sha256Of(JSON.stringify(filesOf(cases))), maxTokens, nearby: !alone },
    cases,
    score: async (gap, answer) => scoreEdits(gap, answer),
  }
}

/** The first case of each language tells whether the folder is the same. */
function filesOf(cases: readonly Case[]) {
  const languages = [...new Set(cases.map(({ group }) => group))]
  return languages.map((name) => cases.find(({ group }) => group === name)).map((one) => [one!.key, one!.text])
}
