/** What a person may name after `lacuna model add`: a repository of the hub, its page, or a folder. */
import { stat } from 'node:fs/promises'
import { isAbsolute, resolve } from 'node:path'
import { UserError } from '../base/errors.ts'
import { shownAddress } from '../base/remote.ts'
import { refuseInTheClear, type Token } from './httpGet.ts'
import { decoded, type Environment } from './proxy.ts'

export type ModelReference =
  | { readonly kind: 'folder'; readonly dir: string }
  | { readonly kind: 'repository'; readonly hub: Hub; readonly id: string; readonly revision: string }

export interface Hub {
  readonly endpoint: string // an origin, perhaps with a path; no slash at its end
  readonly token: Token | undefined
}

// Source: huggingface_hub `constants.py`: ENDPOINT, DEFAULT_REVISION, HF_URL_HOSTS.
const publicHub = 'https://huggingface.co'
const shortHub = 'https://hf.co'
const defaultRevision = 'main'

/** @throws {UserError} that says what could have been named. */
export async function parseReference(text: string, env: Environment): Promise<ModelReference> {
  if (/^https?:\/\//i.test(text)) return parseAddress(text, env)
  if (text.includes('://')) throw new UserError(`"${text.slice(0, text.indexOf(':'))}" is no scheme; ${wanted}`)
  if (await isFolder(text)) return { kind: 'folder', dir: resolve(text) }
  const looksLikePath = isAbsolute(text) || text.startsWith('.') || text.startsWith('~') || text.includes('\\')
  if (looksLikePath) throw new UserError(`${text}: no such folder; ${wanted}`)
  const at = text.indexOf('@')
  const id = at < 0 ? text : text.slice(0, at)
  if (!isRepositoryId(id)) throw new UserError(`"${text}" is no folder and no repository; ${wanted}`)
  const revision = at < 0 ? defaultRevision : text.slice(at + 1)
  return { kind: 'repository', hub: hubOf(env), id, revision: checkedRevision(revision) }
}

const wanted = 'wanted OWNER/NAME, OWNER/NAME@REVISION, a folder, or the https address of a repository'

/** HF_ENDPOINT and HF_TOKEN, as the hub's own client reads them. */
export function hubOf(env: Environment): Hub {
  const endpoint = (env.HF_ENDPOINT || publicHub).replace(/\/+$/, '')
  if (!URL.canParse(endpoint)) throw new UserError('HF_ENDPOINT is no address; wanted https://HOST')
  const url = new URL(endpoint)
  if (url.username || url.password) throw new UserError(`HF_ENDPOINT holds a name or password; ${tokenAdvice}`)
  refuseInTheClear(url)
  const value = env.HF_TOKEN?.trim()
  if (value && !/^[\x21-\x7e]+$/.test(value)) throw new UserError('HF_TOKEN holds characters that no token has')
  return { endpoint, token: value ? { value, origin: url.origin } : undefined }
}

const tokenAdvice = 'give a token in HF_TOKEN, and no password in an address'

/** `https://host/owner/name`, perhaps with `/tree/revision`; the token of HF_ENDPOINT goes to that host alone. */
function parseAddress(text: string, env: Environment): ModelReference {
  if (!URL.canParse(text)) throw new UserError(`the address cannot be read; ${wanted}`)
  const url = new URL(text)
  if (url.username || url.password) throw new UserError(`the address holds a name or password; ${tokenAdvice}`)
  refuseInTheClear(url)
  const named = hubOf(env)
  const origin = url.origin === shortHub ? publicHub : url.origin
  // A hub may live under a path of its host: then the address begins with the whole endpoint.
  const path = new URL(named.endpoint).pathname.replace(/\/$/, '')
  const isNamed = origin === new URL(named.endpoint).origin && url.pathname.startsWith(`${path}/`)
  const hub: Hub = isNamed ? named : { endpoint: origin, token: undefined }
  const rest = (isNamed ? url.pathname.slice(path.length) : url.pathname).split('/').filter(Boolean).map(decoded)
  const [owner, name, tree, ...revision] = rest
  const id = `${owner}/${name}`
  if (owner === undefined || name === undefined || !isRepositoryId(id) || (tree !== undefined && tree !== 'tree')) {
    throw new UserError(`${shownAddress(url)}: no repository's page; wanted https://HOST/OWNER/NAME or …/tree/REVISION`)
  }
  return { kind: 'repository', hub, id, revision: checkedRevision(revision.join('/') || defaultRevision) }
}

/** Source: huggingface_hub `utils/_validators.py`, `validate_repo_id`; the owner is needed here. */
function isRepositoryId(text: string): boolean {
  const part = '[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?'
  return new RegExp(`^${part}/${part}$`).test(text) && !/--|\.\./.test(text) && text.length <= 193
}

function checkedRevision(text: string): string {
  if (/^[\w./+-]{1,200}$/.test(text) && !text.includes('..')) return text
  throw new UserError(`"${text}" is no revision; wanted a branch, a tag or a commit's hash`)
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (entry) => entry.isDirectory(),
    () => false,
  )
}
