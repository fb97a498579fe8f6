/**
 * What a repository of a Hugging Face hub holds, and what its refusals mean. Paths, headers and error codes are those
 * of the public client, huggingface_hub: `hf_api.py` `HfApi.model_info`, `file_download.py` `hf_hub_url`,
 * `utils/_http.py` `hf_raise_for_status`.
 */
import { z } from 'zod'
import type { Clock } from '../base/clock.ts'
import { BundleError, UserError } from '../base/errors.ts'
import { shownAddress } from '../base/remote.ts'
import { httpGet, NetworkError } from './httpGet.ts'
import { type Asked, BusyError, refusalOf } from './hubRefusal.ts'
import { type Licence, licenceOf, printable } from './licence.ts'
import type { Hub, ModelReference } from './modelReference.ts'
import type { Environment } from './proxy.ts'
import { Retries } from './retries.ts'

export interface Repository {
  readonly hub: Hub
  readonly id: string // the hub's own spelling
  readonly revision: string // as asked for
  readonly commit: string // what it stands for
  readonly licence: Licence
  readonly gated: boolean
  readonly parameterCount: number | undefined
  readonly files: readonly RepositoryFile[]
}

export interface RepositoryFile {
  readonly path: string // relative, with `/`; stays inside the folder
  readonly bytes: number
  readonly sha256: string | undefined // of large files
  readonly gitSha1: string | undefined // of small ones: of `blob SIZE\0` and the content
}

/** What all requests share. */
export interface Net {
  readonly env: Environment
  readonly clock: Clock
  readonly note: (message: string) => void
  readonly signal: AbortSignal
  readonly idleMs?: number
}

const longestText = 32 * 1024 * 1024 // bytes, of what is read into memory

const hex = (digits: string) => z.string().regex(new RegExp(`^[0-9a-fA-F]{${digits}}$`))
const size = z.number().int().nonnegative()

// Source: huggingface_hub `hf_api.py`, `ModelInfo.__init__`.
const answerSchema = z.object({
  id: z.string().optional(),
  sha: hex('7,64'),
  gated: z.union([z.boolean(), z.string()]).nullish(),
  disabled: z.boolean().nullish(),
  tags: z.array(z.string()).nullish(),
  cardData: z
    .object({
      license: z.union([z.string(), z.array(z.string())]).nullish(),
      license_name: z.string().nullish(),
      license_link: z.string().nullish(),
    })
    .nullish()
    .catch(undefined), // whatever a card holds: its licence is then unknown
  safetensors: z.object({ total: size }).nullish().catch(undefined),
  siblings: z.array(
    z.object({
      rfilename: z.string(),
      size: size.nullish(),
      blobId: z.string().nullish(),
      lfs: z.object({ sha256: hex('64'), size }).nullish(),
    }),
  ),
})

/** @throws {UserError} when the repository is missing, private, gated, or its answer makes no sense. */
export async function readRepository(
  { hub, id, revision }: Extract<ModelReference, { kind: 'repository' }>,
  net: Net,
): Promise<Repository> {
  const url = new URL(`${hub.endpoint}/api/models/${id}/revision/${encodeURIComponent(revision)}?blobs=true`)
  const text = await readText(url, { hub, id, revision, what: 'the repository' }, net)
  const answer = answerSchema.safeParse(parsed(text))
  if (!answer.success) {
    const issue = answer.error.issues[0]!
    const where = issue.path.length ? `${issue.path.join('.')}: ` : ''
    throw new UserError(`${shownAddress(url)}: ${where}${issue.message}; is this a Hugging Face hub?`)
  }
  const { sha, gated, disabled, tags, cardData, siblings, safetensors } = answer.data
  if (disabled) throw new UserError(`${id}: the hub has disabled this repository`)
  const inTags = tags?.filter((tag) => tag.startsWith('license:')).map((tag) => tag.slice('license:'.length))
  const detail = [cardData?.license_name, cardData?.license_link].filter(Boolean).join(', ')
  return {
    hub,
    id,
    revision,
    commit: sha.toLowerCase(),
    licence: licenceOf(cardData?.license?.length ? cardData.license : inTags, detail),
    gated: gated !== false && gated !== null && gated !== undefined,
    parameterCount: safetensors?.total,
    files: siblings.map(({ rfilename, size: bytes, blobId, lfs }) => {
      if (climbs(rfilename))
        throw new BundleError(`${id}: a file is called "${printable(rfilename)}", which leaves the folder; refused`)
      const length = lfs?.size ?? bytes
      if (length === undefined || length === null)
        throw new UserError(`${id}: the hub does not say how large ${printable(rfilename)} is`)
      const gitSha1 = !lfs && blobId && /^[0-9a-f]{40}$/.test(blobId) ? blobId : undefined
      return { path: rfilename, bytes: length, sha256: lfs?.sha256.toLowerCase(), gitSha1 }
    }),
  }
}

/** Pinned to the commit, so that a branch that moves in between changes nothing. */
export function fileUrl({ hub, id, commit }: Repository, path: string): URL {
  return new URL(`${hub.endpoint}/${id}/resolve/${commit}/${path.split('/').map(encodeURIComponent).join('/')}`)
}

/** A small file's text, kept in memory. */
export function readFileText(repository: Repository, path: string, net: Net): Promise<string> {
  const { hub, id, revision } = repository
  return readText(fileUrl(repository, path), { hub, id, revision, what: path }, net)
}

/** Nothing of a repository that tries is trusted, whether or not the file would be fetched. */
function climbs(path: string): boolean {
  return /^\/|^[A-Za-z]:|[\\\x00-\x1f\x7f]/.test(path) || path.split('/').includes('..')
}

/** Relative, inside its folder, and the same name on every system: what a file that is written may be called. */
export function isSafePath(path: string): boolean {
  const parts = path.split('/')
  if (path === '' || /[\\:\x00-\x1f\x7f]/.test(path)) return false
  return !parts.some((part) => part === '' || part === '.' || part === '..' || /[. ]$/.test(part))
}

async function readText(url: URL, asked: Asked, net: Net): Promise<string> {
  const retries = new Retries(net.clock, net.note)
  const { env, signal, idleMs } = net
  for (;;) {
    try {
      const answer = await httpGet(url, { token: asked.hub.token, env, signal, ...(idleMs ? { idleMs } : {}) })
      if (answer.status !== 200) {
        answer.discard()
        throw refusalOf(answer, asked)
      }
      const pieces: Uint8Array[] = []
      let bytes = 0
      for await (const piece of answer.pieces()) {
        pieces.push(piece)
        if ((bytes += piece.length) > longestText)
          throw new UserError(
            `${shownAddress(url)}: longer than ${longestText / 2 ** 20} MiB; is this a Hugging Face hub?`,
          )
      }
      return Buffer.concat(pieces).toString('utf8')
    } catch (error) {
      if (error instanceof BusyError) await retries.wait(error, error.askedMs, signal)
      else if (error instanceof NetworkError && !isUnreachable(error)) await retries.wait(error, undefined, signal)
      else throw error
    }
  }
}

/** More likely a wrong name or no network than a bad moment. */
function isUnreachable({ code }: NetworkError): boolean {
  return code === 'ENOTFOUND' || code === 'ECONNREFUSED' || code === 'ENETUNREACH' || code === 'EHOSTUNREACH'
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    if (error instanceof SyntaxError) return undefined // the schema says so
    throw error
  }
}
