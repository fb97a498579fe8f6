/** Where bundles live: the one in the package, and the user's own. */
import { existsSync, readFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import envPaths from 'env-paths'
import { UserError } from '../base/errors.ts'

export interface ModelPlaces {
  readonly embedded: string // folder of folders
  readonly user: string // folder of folders
}

export interface InstalledModel {
  readonly name: string // of its folder
  readonly dir: string
  readonly place: keyof ModelPlaces
}

export const defaultModel = 'lacuna-135m'

export function modelPlaces(): ModelPlaces {
  return {
    embedded: join(packageRoot(dirname(fileURLToPath(import.meta.url))), 'models'),
    user: join(envPaths('lacuna', { suffix: '' }).data, 'models'),
  }
}

/** The same from `server/model/` and from a bundled file in `dist/`. */
function packageRoot(from: string): string {
  for (let dir = from; ; dir = dirname(dir)) {
    const path = join(dir, 'package.json')
    if (existsSync(path) && JSON.parse(readFileSync(path, 'utf8')).name === 'lacuna-ls') return dir
    if (dirname(dir) === dir)
      throw new UserError(`${from}: no package.json of lacuna-ls above it; install Lacuna again`)
  }
}

/** Folders with a lacuna.json, the user's first: one of the same name hides the embedded one. */
export async function listModels(places: ModelPlaces = modelPlaces()): Promise<InstalledModel[]> {
  const models: InstalledModel[] = []
  for (const place of ['user', 'embedded'] as const) {
    for (const name of (await namesIn(places[place])).sort()) {
      const dir = join(places[place], name)
      if (isBundle(dir) && !models.some((model) => model.name === name)) models.push({ name, dir, place })
    }
  }
  return models
}

/**
 * The folder of a model: the default one, one by its name, or a folder as it is.
 *
 * @throws {UserError} that lists what there is.
 */
export async function resolveModel(nameOrDir?: string, places: ModelPlaces = modelPlaces()): Promise<string> {
  const wanted = nameOrDir ?? defaultModel
  const models = await listModels(places)
  const named = models.find(({ name }) => name === wanted)
  if (named) return named.dir
  if (nameOrDir !== undefined && isBundle(resolve(nameOrDir))) return resolve(nameOrDir)
  const list = models.length ? models.map(({ name }) => name).join(', ') : 'none'
  throw new UserError(
    `model "${wanted}": no such model, and no folder with a lacuna.json; installed: ${list}; make one with "lacuna model convert"`,
  )
}

function isBundle(dir: string): boolean {
  return existsSync(join(dir, 'lacuna.json'))
}

async function namesIn(dir: string): Promise<string[]> {
  try {
    return await readdir(dir)
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) return []
    throw error
  }
}
