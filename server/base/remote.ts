/** Where text may be sent, and how an address is shown: the same for every server the user names. */
import { isIP } from 'node:net'
import { UserError } from './errors.ts'

/**
 * @param what names the setting or option.
 * @throws {UserError} for anything but https, or http on this very machine; for an address with a password in it.
 */
export function remoteAddress(text: string, what: string): URL {
  const wanted = `${what}: wanted an address such as https://HOST:PORT, found`
  if (!URL.canParse(text)) throw new UserError(`${wanted} "${withoutSecrets(text)}"`)
  const url = new URL(text)
  // NAME:PASSWORD@HOST is one of the scheme NAME.
  if (!/^https?:$/.test(url.protocol)) throw new UserError(`${wanted} one that begins with "${url.protocol}"`)
  if (url.username !== '' || url.password !== '')
    throw new UserError(`${what}: an address must not hold a password; give a token by its variable or file`)
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url))) return url
  throw new UserError(`${what}: ${shownAddress(url)}: wanted https (http: only on this very machine)`)
}

/** Of what may be no address at all. */
function withoutSecrets(text: string): string {
  return text.replace(/[^/]*@/, '(not shown)@').replace(/[?#].*$/s, '?(not shown)')
}

export function isLoopback(url: URL): boolean {
  const host = url.hostname.replace(/^\[|\]$/g, '').toLowerCase()
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}

/** Without what may be secret: what follows `?`, what stands before `@`. */
export function shownAddress(url: URL): string {
  return `${url.origin}${url.pathname === '/' ? '' : url.pathname}`
}

const certificateCodes: ReadonlySet<string> = new Set([
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'CERT_UNTRUSTED',
  'HOSTNAME_MISMATCH',
])

/** Whether nobody vouches for a server, by the code of the failure. */
export function isCertificateCode(code: string): boolean {
  return certificateCodes.has(code) || code.startsWith('ERR_TLS_CERT')
}

/** @param where the address as it is shown. */
export function untrusted(where: string, code: string): UserError {
  return new UserError(
    `${where}: its certificate is not trusted (${code}); where a company's own authority signs it, set NODE_EXTRA_CA_CERTS to that authority's file`,
  )
}
