/** Which proxy, if any, the environment names for an https address: HTTPS_PROXY, ALL_PROXY, NO_PROXY. Pure. */
import { UserError } from '../base/errors.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** @throws {UserError} when the variable holds no address of an HTTP proxy; the value is not repeated, it may hold a password. */
export function proxyFor(url: URL, env: Environment): URL | undefined {
  const name = ['https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY'].find((key) => env[key])
  if (!name || isExempt(url, env.no_proxy || env.NO_PROXY || '')) return undefined
  const value = env[name]!
  const text = value.includes('://') ? value : `http://${value}`
  const proxy = URL.canParse(text) ? new URL(text) : undefined
  if (!proxy || (proxy.protocol !== 'http:' && proxy.protocol !== 'https:')) {
    throw new UserError(`${name} is no address of an HTTP proxy; wanted http://HOST:PORT`)
  }
  return proxy
}

/** What goes into `Proxy-Authorization`, when the proxy's address holds a name. */
export function proxyAuthorization(proxy: URL): string | undefined {
  if (proxy.username === '') return undefined
  const pair = `${decoded(proxy.username)}:${decoded(proxy.password)}`
  return `Basic ${Buffer.from(pair).toString('base64')}`
}

/** Entries of NO_PROXY: `*`, a host, or a domain with or without its leading dot, each with or without a port. */
function isExempt(url: URL, list: string): boolean {
  const host = hostOf(url)
  const port = url.port || '443'
  return list
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .some((entry) => {
      if (entry === '*') return true
      const match = /^\[?(.*?)\]?(?::(\d+))?$/.exec(entry.toLowerCase())!
      const isAddress = entry.includes('::') && !entry.includes(']')
      const name = (isAddress ? entry.toLowerCase() : match[1]!).replace(/^\*?\./, '')
      if (!isAddress && match[2] !== undefined && match[2] !== port) return false
      return host === name || host.endsWith(`.${name}`)
    })
}

/** Percent signs resolved; text that only looks as if it had some stays as it is. */
export function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch (error) {
    if (error instanceof URIError) return part
    throw error
  }
}

/** Without the brackets of an IPv6 address. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '').toLowerCase()
}
