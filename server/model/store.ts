/** Where bundles live: the one in the package, and the user's own; which of them is the default. */
import { existsSync, readFileSync } from 'node:fs'
import { lstat, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import envPaths from 'env-paths'
import { UserError } from '../base/errors.ts'
import { hasCode } from '../base/hasCode.ts'

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
    user: join(storeHome(), 'models'),
  }
}

/** Where models that are being fetched or converted lie until they are installed; on the disk of the user's models. */
export function downloadsFolder(): string {
  return join(storeHome(), 'downloads')
}

/** The platform's folder for data of programs, or LACUNA_HOME. */
function storeHome(): string {
  const home = process.env.LACUNA_HOME
  return home ? resolve(home) : envPaths('lacuna', { suffix: '' }).data
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
 * @param warn told when the default that was chosen is gone; the embedded model then takes its place.
 * @throws {UserError} that lists what there is.
 */
export async function resolveModel(
  nameOrDir?: string,
  places: ModelPlaces = modelPlaces(),
  warn: (message: string) => void = (message) => void process.stderr.write(`lacuna: ${message}\n`),
): Promise<string> {
  const models = await listModels(places)
  const find = (name: string) => models.find((model) => model.name === name)?.dir
  const chosen = nameOrDir === undefined ? await chosenDefault(places) : undefined
  if (chosen !== undefined) {
    const dir = find(chosen)
    if (dir !== undefined) return dir
    warn(`the default model "${chosen}" is gone; taking ${defaultModel}. "lacuna model use NAME" chooses another`)
  }
  const wanted = nameOrDir ?? defaultModel
  const named = find(wanted)
  if (named !== undefined) return named
  if (nameOrDir !== undefined && isBundle(resolve(nameOrDir))) return resolve(nameOrDir)
  const list = models.length ? models.map(({ name }) => name).join(', ') : 'none'
  throw new UserError(
    `model "${wanted}": no such model, and no folder with a lacuna.json; installed: ${list}; make one with "lacuna model convert"`,
  )
}

/** The name that "lacuna model use" wrote; none when it never did. */
export async function chosenDefault(places: ModelPlaces = modelPlaces()): Promise<string | undefined> {
  try {
    return (await readFile(defaultFile(places), 'utf8')).trim() || undefined
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return undefined
    throw error
  }
}

/** @throws {UserError} when no model has the name. */
export async function chooseDefault(name: string, places: ModelPlaces = modelPlaces()): Promise<void> {
  const model = await installedModel(name, places)
  if (model.name === defaultModel) return rm(defaultFile(places), { force: true })
  await mkdir(places.user, { recursive: true })
  await writeFile(`${defaultFile(places)}.part`, `${name}\n`)
  await rename(`${defaultFile(places)}.part`, defaultFile(places))
}

/** @throws {UserError} that lists what there is; a folder's path is no name. */
export async function installedModel(name: string, places: ModelPlaces = modelPlaces()): Promise<InstalledModel> {
  const models = await listModels(places)
  const found = models.find((model) => model.name === name)
  if (found) return found
  throw new UserError(`model "${name}": no such model; installed: ${models.map((model) => model.name).join(', ')}`)
}

/** Gives a finished bundle its place, in one step. @throws {UserError} when the name is taken. */
export async function installModel(bundle: string, name: string, places: ModelPlaces = modelPlaces()): Promise<string> {
  await checkFree(name, places)
  await mkdir(places.user, { recursive: true })
  const dir = join(places.user, name)
  await rename(bundle, dir)
  return dir
}

/** @throws {UserError} when the name cannot be a folder's, or is that of another model. */
export async function checkFree(name: string, places: ModelPlaces = modelPlaces()): Promise<void> {
  if (!/^[A-Za-z0-9](?:[\w.-]{0,98}\w)?$/.test(name))
    throw new UserError(`"${name}" cannot be a model's name; wanted letters, digits, ".", "-" and "_"`)
  const taken = (await listModels(places)).find((model) => model.name.toLowerCase() === name.toLowerCase())
  if (taken?.place === 'embedded') throw new UserError(`${name} is the embedded model; choose another with --name`)
  const dir = join(places.user, name)
  if (taken)
    throw new UserError(
      `${taken.dir}: there is such a model already; "lacuna model remove ${taken.name}" first, or choose another name with --name`,
    )
  // What an interrupted removal left, for one; "model remove" does not see it.
  if (existsSync(dir)) throw new UserError(`${dir}: in the way, and no model; delete it, or choose another with --name`)
}

/** @throws {UserError} for the embedded model and for what is not there. */
export async function removeModel(name: string, places: ModelPlaces = modelPlaces()): Promise<InstalledModel> {
  const model = await removableModel(name, places)
  if ((await chosenDefault(places)) === name) await rm(defaultFile(places), { force: true })
  // Without its manifest it is no bundle: what is interrupted here leaves no half model behind. Of a link, only the link
  // is ours.
  if (!(await lstat(model.dir)).isSymbolicLink()) await rm(join(model.dir, 'lacuna.json'), { force: true })
  await rm(model.dir, { recursive: true, force: true })
  return model
}

/** @throws {UserError} for the embedded model and for what is not there. */
export async function removableModel(name: string, places: ModelPlaces = modelPlaces()): Promise<InstalledModel> {
  const model = await installedModel(name, places)
  if (model.place === 'embedded') throw new UserError(`${name} is the embedded model, part of the program; it stays`)
  return model
}

function defaultFile(places: ModelPlaces): string {
  return join(places.user, '.default')
}

function isBundle(dir: string): boolean {
  return existsSync(join(dir, 'lacuna.json'))
}

async function namesIn(dir: string): Promise<string[]> {
  try {
    return await readdir(dir)
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return []
    throw error
  }
}
