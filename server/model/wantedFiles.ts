/** Which files of a repository are fetched: what a conversion reads, or what a bundle lists; never code. */
import { z } from 'zod'
import { BundleError } from '../base/errors.ts'
import { isSafePath, type Repository, type RepositoryFile } from './hub.ts'
import { printable } from './licence.ts'

export interface Wanted {
  /** `bundle`: the repository is one already; `weights`: it is to be converted. */
  readonly kind: 'bundle' | 'weights'
  readonly licence: string | undefined // as the bundle's manifest has it
  readonly files: readonly RepositoryFile[] // smallest first, so that what is wrong shows early
}

const always = ['README.md', 'LICENSE', 'LICENSE.txt', 'LICENSE.md']
const besideWeights = ['config.json', 'generation_config.json', 'tokenizer_config.json', 'adapter_config.json']
/** What a tokenizer can be read from; the second is how Qwen's kin publish theirs. */
const tokenizers = [['tokenizer.json'], ['vocab.json', 'merges.txt']]

const manifestSchema = z.object({
  licence: z.string().optional(),
  files: z.array(z.object({ path: z.string(), bytes: z.number(), sha256: z.string() })),
})
const indexSchema = z.object({ weight_map: z.record(z.string(), z.string()) })

/**
 * @param readText the content of a small file of the repository.
 * @throws {BundleError} when the repository lacks what a model needs.
 */
export async function wantedFiles(
  repository: Repository,
  readText: (path: string) => Promise<string>,
): Promise<Wanted> {
  const { id } = repository
  const byPath = new Map(repository.files.map((file) => [file.path, file]))
  const present = (paths: readonly string[]) => paths.flatMap((path) => byPath.get(path) ?? [])
  const sorted = (files: readonly RepositoryFile[]) => [...files].sort((a, b) => a.bytes - b.bytes)

  if (byPath.has('lacuna.json')) {
    const manifest = parse(manifestSchema, await readText('lacuna.json'), `${id}: lacuna.json`)
    const listed = manifest.files.map(({ path, bytes, sha256 }) => {
      const file = byPath.get(path)
      if (!isSafePath(path)) throw new BundleError(`${id}: lacuna.json lists "${printable(path)}", outside the folder`)
      if (!file) throw new BundleError(`${id}: lacuna.json lists ${path}, which the repository lacks`)
      if (file.bytes !== bytes || (file.sha256 ?? sha256) !== sha256)
        throw new BundleError(
          `${id}: ${path} is not the file that lacuna.json lists; nothing can be done about it here`,
        )
      return { ...file, sha256 }
    })
    const others = present([...always, 'lacuna.json']).filter(({ path }) => !listed.some((file) => file.path === path))
    return { kind: 'bundle', licence: manifest.licence, files: sorted([...listed, ...others]) }
  }

  if (!byPath.has('config.json')) throw new BundleError(`${id} holds no config.json, which every model needs`)
  const tokenizer = tokenizers.find((paths) => paths.every((path) => byPath.has(path)))
  if (!tokenizer) throw new BundleError(`${id} holds no tokenizer.json, nor vocab.json and merges.txt`)
  const weights: RepositoryFile[] = []
  for (const stem of ['model', 'adapter_model']) {
    const [single, index] = [byPath.get(`${stem}.safetensors`), byPath.get(`${stem}.safetensors.index.json`)]
    if (single) weights.push(single)
    else if (index) {
      const { weight_map } = parse(indexSchema, await readText(index.path), `${id}: ${index.path}`)
      for (const shard of new Set(Object.values(weight_map))) {
        const file = shard.endsWith('.safetensors') && !shard.includes('/') ? byPath.get(shard) : undefined
        if (!file)
          throw new BundleError(`${id}: ${index.path} names "${printable(shard)}", which is no weights file there`)
        weights.push(file)
      }
      weights.push(index)
    } else if (stem === 'model') {
      throw new BundleError(
        `${id} holds no model.safetensors, alone or in parts; other formats of weights are not read, as some can run code`,
      )
    }
  }
  return {
    kind: 'weights',
    licence: undefined,
    files: sorted([...present([...besideWeights, ...tokenizer, ...always]), ...weights]),
  }
}

function parse<Schema extends z.ZodType>(schema: Schema, text: string, what: string): z.infer<Schema> {
  let data: unknown
  try {
    data = JSON.parse(text)
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    throw new BundleError(`${what}: is no JSON`)
  }
  const read = schema.safeParse(data)
  if (read.success) return read.data
  const issue = read.error.issues[0]!
  throw new BundleError(`${what}: ${issue.path.join('.') || 'the file'}: ${issue.message}`)
}
