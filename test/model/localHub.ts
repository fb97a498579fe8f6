/**
 * A hub on this machine that speaks as the public one does, as far as its client shows: paths, headers, redirects to
 * another host, error codes. Real sockets; what goes wrong is chosen per request.
 *
 * Source: huggingface_hub `hf_api.py` (`model_info`, `ModelInfo.__init__`), `file_download.py` (`hf_hub_url`, `http_get`,
 * `get_hf_file_metadata`, `_get_metadata_or_catch_error`), `utils/_http.py` (`hf_raise_for_status`,
 * `_httpx_follow_relative_redirects_with_backoff`), `constants.py`.
 */
import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'
import { gitBlobSha1 } from '../../server/model/download.ts'

export interface HubRepository {
  readonly files: Readonly<Record<string, Uint8Array>>
  readonly sha?: string
  readonly cardData?: unknown
  readonly tags?: readonly string[]
  /** Who may read the files; everybody may read the list. */
  readonly gatedFor?: string // token
  /** Who may know that it exists. */
  readonly privateFor?: string // token
  readonly renamedTo?: string
  /** Overrides what the list says of a file. */
  readonly listed?: Readonly<Record<string, Record<string, unknown>>>
}

export interface Seen {
  readonly host: 'hub' | 'cdn'
  readonly path: string
  readonly authorization: string | undefined
  readonly range: string | undefined
  readonly ifRange: string | undefined
}

/** What happens to one request instead of, or while, answering it. */
export type Fault =
  /** After so many bytes of the body the connection is destroyed; of another version of the file, if one is given. */
  | {
      readonly kind: 'cut'
      readonly afterBytes: number
      readonly etag?: string
      readonly body?: Uint8Array
      readonly noRange?: true
    }
  | { readonly kind: 'hold'; readonly afterBytes: number } // then silence
  | { readonly kind: 'status'; readonly status: number; readonly headers?: Record<string, string> }
  | { readonly kind: 'noRange' } // answers 200 to a Range
  | { readonly kind: 'body'; readonly body: Uint8Array; readonly chunked?: true } // another content, under the same name
  | { readonly kind: 'endless' } // the body never ends
  | { readonly kind: 'otherRange' } // 206, from another byte than asked for
  | { readonly kind: 'etag'; readonly etag: string }

export interface LocalHub {
  readonly endpoint: string
  readonly cdn: string
  readonly seen: readonly Seen[]
  /** Called for each request; what it returns happens. */
  fault: (seen: Seen) => Fault | undefined
}

export const commit = '0123456789abcdef0123456789abcdef01234567'
const largeBytes = 4096 // above this a file is in Git LFS, and served by the other host

export async function localHub(
  repositories: Readonly<Record<string, HubRepository>>,
  tls?: { readonly key: string; readonly cert: string },
): Promise<LocalHub> {
  const seen: Seen[] = []
  const start = async (host: Seen['host'], answer: (seen: Seen, response: ServerResponse) => void): Promise<string> => {
    const listener = (request: IncomingMessage, response: ServerResponse) => {
      const { authorization, range } = request.headers
      const ifRange = request.headers['if-range'] as string | undefined
      const now: Seen = { host, path: request.url!, authorization, range, ifRange }
      seen.push(now)
      answer(now, response)
    }
    const server: Server = tls ? createSecureServer(tls, listener) : createServer(listener)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => {
      server.closeAllConnections()
      server.close()
    })
    return `${tls ? 'https://localhost' : 'http://127.0.0.1'}:${(server.address() as AddressInfo).port}`
  }
  const hub: { -readonly [Key in keyof LocalHub]: LocalHub[Key] } = {
    endpoint: '',
    cdn: '',
    seen,
    fault: () => undefined,
  }
  hub.cdn = await start('cdn', (request, response) => {
    const [, id, path] = /^\/(.+?)\/blobs\/(.+)\?Signature=/.exec(request.path)!
    const content = repositories[id!]!.files[decodeURIComponent(path!)]!
    const md5 = createHash('md5').update(content).digest('hex') // a bucket's tag is not the hub's
    send(response, request, content, { etag: `"${md5}"` }, hub.fault(request))
  })
  hub.endpoint = await start('hub', (request, response) => {
    const fault = hub.fault(request)
    if (fault?.kind === 'status') return refuse(response, fault.status, fault.headers)
    const url = new URL(request.path, 'http://hub')
    const [, id, revision = 'main', path] =
      /^\/api\/models\/([^/]+\/[^/]+?)(?:\/revision\/([^/]+))?$/.exec(url.pathname) ??
      /^\/([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(url.pathname) ??
      []
    const repository = id === undefined ? undefined : repositories[id]
    const token = request.authorization?.replace('Bearer ', '')
    if (repository?.renamedTo !== undefined) {
      // Relative, as the client expects for a repository that moved.
      return refuse(response, 307, { location: request.path.replace(id!, repository.renamedTo) })
    }
    if (token === 'invalid') {
      return refuse(response, 401, { 'x-error-message': 'Invalid credentials in Authorization header' })
    }
    if (!repository || (repository.privateFor !== undefined && token !== repository.privateFor)) {
      // To those without a token the hub does not say whether it exists.
      return refuse(response, token ? 404 : 401, { 'x-error-code': 'RepoNotFound' })
    }
    const sha = repository.sha ?? commit
    if (decodeURIComponent(revision) !== 'main' && revision !== sha)
      return refuse(response, 404, { 'x-error-code': 'RevisionNotFound' })
    if (path === undefined)
      return sendList(response, id!, repository, sha, /^true$/i.test(url.searchParams.get('blobs') ?? ''))
    if (repository.gatedFor !== undefined && token !== repository.gatedFor)
      return refuse(response, token ? 403 : 401, {
        'x-error-code': 'GatedRepo',
        'x-error-message': 'Access is restricted.',
      })
    const content = repository.files[decodeURIComponent(path)]
    if (!content) return refuse(response, 404, { 'x-error-code': 'EntryNotFound', 'x-repo-commit': sha })
    if (content.length <= largeBytes) {
      const headers = { etag: `"${gitBlobSha1(content)}"`, 'x-repo-commit': sha }
      return send(response, request, content, headers, fault)
    }
    response.writeHead(302, {
      location: `${hub.cdn}/${id}/blobs/${path}?Signature=secret`,
      'x-linked-etag': `"${sha256(content)}"`,
      'x-linked-size': content.length,
      'x-repo-commit': sha,
    })
    response.end()
  })
  return hub
}

export function sha256(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('hex')
}

function sendList(response: ServerResponse, id: string, repository: HubRepository, sha: string, blobs: boolean): void {
  const { files, cardData, tags, gatedFor, listed } = repository
  const siblings = Object.entries(files).map(([rfilename, content]) => ({
    rfilename,
    ...(blobs && {
      size: content.length,
      blobId: gitBlobSha1(content),
      ...(content.length > largeBytes && {
        blobId: 'f'.repeat(40), // of the pointer
        lfs: { sha256: sha256(content), size: content.length, pointerSize: 134 },
      }),
    }),
    ...listed?.[rfilename],
  }))
  const body = { id, sha, gated: gatedFor === undefined ? false : 'auto', private: false, cardData, tags, siblings }
  response.writeHead(200, { 'content-type': 'application/json; charset=utf-8', 'x-repo-commit': sha })
  response.end(JSON.stringify(body))
}

function refuse(response: ServerResponse, status: number, headers: Record<string, string> = {}): void {
  response.writeHead(status, headers)
  response.end('{"error":"refused"}')
}

/** A file, or the range of it that is asked for, as RFC 9110 has it. */
function send(
  response: ServerResponse,
  { range, ifRange }: Seen,
  file: Uint8Array,
  given: Record<string, string>,
  fault: Fault | undefined,
): void {
  if (fault?.kind === 'status') return refuse(response, fault.status, fault.headers)
  const content = (fault && 'body' in fault && fault.body) || file
  const etag = (fault && 'etag' in fault && fault.etag) || given.etag!
  const headers = { ...given, etag, 'accept-ranges': 'bytes' }
  const from = /^bytes=(\d+)-$/.exec(range ?? '')?.[1]
  const knowsRanges = fault?.kind !== 'noRange' && !(fault?.kind === 'cut' && fault.noRange)
  const isRange = from !== undefined && (ifRange === undefined || ifRange === etag) && knowsRanges
  if (isRange && Number(from) >= content.length)
    return refuse(response, 416, { ...headers, 'content-range': `bytes */${content.length}` })
  const first = fault?.kind === 'otherRange' ? 1 : Number(from)
  const body = isRange ? content.subarray(first) : content
  response.writeHead(isRange ? 206 : 200, {
    ...headers,
    ...(!(fault?.kind === 'body' && fault.chunked) &&
      fault?.kind !== 'endless' && { 'content-length': String(body.length) }),
    ...(isRange && { 'content-range': `bytes ${first}-${content.length - 1}/${content.length}` }),
  })
  if (fault?.kind === 'endless') {
    const more = () => void (response.destroyed || response.write(body, more))
    more()
  } else if (fault?.kind === 'cut' || fault?.kind === 'hold') {
    response.write(body.subarray(0, fault.afterBytes), () => {
      if (fault.kind === 'cut') response.destroy()
    })
  } else response.end(body)
}
