/** What a hub means by an answer other than success: whether to try again, and what to tell the person. */
import { UserError } from '../base/errors.ts'
import { shownAddress } from '../base/remote.ts'
import { retryAfterMs } from '../base/retryAfter.ts'
import type { Answer } from './httpGet.ts'
import { printable } from './licence.ts'
import type { Hub } from './modelReference.ts'

/** What was asked, for the message when it is refused. */
export interface Asked {
  readonly hub: Hub
  readonly id: string
  readonly revision: string
  readonly what: string
}

/** A refusal that another attempt may get over. */
export class BusyError extends Error {
  override readonly name = 'BusyError'
  readonly askedMs: number | undefined

  constructor(message: string, askedMs: number | undefined) {
    super(message)
    this.askedMs = askedMs
  }
}

/** What an answer other than success means. Source: `hf_raise_for_status`, and the statuses that its callers retry. */
export function refusalOf({ status, allHeaders: headers, url }: Answer, asked: Asked): Error {
  const { hub, id, revision, what } = asked
  const { token, endpoint } = hub
  const code = headers['x-error-code']
  const said = printable(String(headers['x-error-message'] ?? '')).replaceAll(token?.value ?? '\0', '…')
  if ([408, 429, 500, 502, 503, 504].includes(status)) {
    const asks = status === 429 ? 'the hub asks for patience' : 'the server is in trouble'
    const askedMs = askedWaitMs(headers)
    const wait = askedMs === undefined ? '' : `, ${Math.ceil(askedMs / 1000)} s`
    return new BusyError(`${shownAddress(url)}: ${asks} (HTTP ${status}${wait})`, askedMs)
  }
  if (said === 'Access to this resource is disabled.')
    return new UserError(`${id}: the hub has disabled this repository`)
  if (code === 'GatedRepo') {
    const terms = `accept its terms at ${endpoint}/${id}`
    return new UserError(
      token
        ? `${id} is gated and the account of HF_TOKEN has no access; ${terms} with that account`
        : `${id} is gated; ${terms}, then set HF_TOKEN to a token of that account`,
    )
  }
  if (code === 'RevisionNotFound') return new UserError(`${id} has no revision "${revision}"`)
  if (code === 'EntryNotFound') return new UserError(`${id} at ${revision} holds no ${what}`)
  if (said === 'Invalid credentials in Authorization header')
    return new UserError(`${endpoint} does not know the token in HF_TOKEN; set a valid one, or none`)
  // 401 is also the answer for what does not exist, to those who show no token.
  if (code === 'RepoNotFound' || status === 401 || status === 404) {
    const access = token ? 'is the account of HF_TOKEN allowed to see it?' : 'a private one needs HF_TOKEN'
    return new UserError(`${id}: no such repository at ${endpoint}; is the name right? ${access}`)
  }
  if (status === 403) {
    const advice = token ? 'may the token in HF_TOKEN read it?' : 'it may need HF_TOKEN'
    return new UserError(`${id}: access to ${what} is forbidden${said ? ` (${said})` : ''}; ${advice}`)
  }
  return new UserError(`${shownAddress(url)}: HTTP ${status}${said ? ` (${said})` : ''}`)
}

/** Source: `parse_ratelimit_headers`, `_parse_retry_after`; dates, which the client leaves aside, are read too. */
function askedWaitMs(headers: Answer['headers']): number | undefined {
  const limit = /"\w+"\s*;\s*r\s*=\s*0\s*;\s*t\s*=\s*(\d+)/.exec(String(headers.ratelimit ?? ''))
  if (limit) return 1000 * Number(limit[1])
  return retryAfterMs(headers['retry-after'])
}
