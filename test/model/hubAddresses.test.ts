/** Where requests may go: proxies, redirects, addresses in the clear. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { UserError } from '../../server/base/errors.ts'
import { httpGet, NetworkError } from '../../server/model/httpGet.ts'
import { proxyAuthorization, proxyFor } from '../../server/model/proxy.ts'

async function server(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<URL> {
  const listening = createServer(answer)
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    listening.closeAllConnections()
    listening.close()
  })
  return new URL(`http://127.0.0.1:${(listening.address() as AddressInfo).port}/file`)
}

const signal = new AbortController().signal

describe('proxies', () => {
  const hub = new URL('https://hub.example/owner/name')
  test.each([
    [{}, undefined],
    [{ HTTPS_PROXY: 'http://proxy:3128' }, 'http://proxy:3128'],
    [{ https_proxy: 'http://lower:1', HTTPS_PROXY: 'http://upper:2' }, 'http://lower:1'],
    [{ ALL_PROXY: 'http://all:1' }, 'http://all:1'],
    [{ HTTP_PROXY: 'http://proxy:3128' }, undefined],
    [{ HTTPS_PROXY: 'proxy:3128' }, 'http://proxy:3128'],
    [{ HTTPS_PROXY: '' }, undefined],
  ])('%j: %s', (env, proxy) => expect(proxyFor(hub, env)?.origin).toBe(proxy))

  test.each([
    ['*', true],
    ['hub.example', true],
    ['.example', true],
    ['*.example', true],
    ['example', true],
    ['other.com, hub.example', true],
    ['hub.example:443', true],
    ['hub.example:8443', false],
    ['b.example', false],
    ['', false],
  ])('NO_PROXY=%s: goes around it: %s', (list, around) => {
    expect(proxyFor(hub, { HTTPS_PROXY: 'http://proxy:1', NO_PROXY: list }) === undefined).toBe(around)
  })

  test('NO_PROXY knows IPv6 addresses', () => {
    const env = { HTTPS_PROXY: 'http://proxy:1', NO_PROXY: '::1' }
    expect(proxyFor(new URL('https://[::1]:8443/'), env)).toBeUndefined()
    expect(proxyFor(new URL('https://[::2]:8443/'), env)).toBeDefined()
  })

  test('a name and password are those of the address, never shown', () => {
    expect(proxyAuthorization(new URL('http://me:p%40ss@proxy'))).toBe(`Basic ${btoa('me:p@ss')}`)
    expect(proxyAuthorization(new URL('http://me:50%@proxy'))).toBe(`Basic ${btoa('me:50%')}`)
    expect(proxyAuthorization(new URL('http://proxy'))).toBeUndefined()
    for (const value of ['socks5://me:secret@proxy', 'http://me:secret@']) {
      expect(() => proxyFor(hub, { HTTPS_PROXY: value })).toThrow('HTTPS_PROXY is no address of an HTTP proxy')
      expect(() => proxyFor(hub, { HTTPS_PROXY: value })).not.toThrow('secret')
    }
  })

  test('this machine is asked directly', async () => {
    const url = await server((_, response) => response.end('here'))
    const answer = await httpGet(url, {
      env: { HTTPS_PROXY: 'http://127.0.0.1:9', ALL_PROXY: 'http://127.0.0.1:9' },
      signal,
    })
    expect(answer.status).toBe(200)
    answer.discard()
  })

  test('one that is not there is named, its password is not', async () => {
    const asked = httpGet(hub, { env: { HTTPS_PROXY: 'http://me:secret@127.0.0.1:9' }, signal })
    await expect(asked).rejects.toThrow(
      'https://hub.example/owner/name through proxy http://127.0.0.1:9: connect ECONNREFUSED',
    )
    await expect(asked).rejects.toBeInstanceOf(NetworkError)
    await expect(asked).rejects.not.toThrow('secret')
  })
})

describe('redirects', () => {
  test('keep the token on its own origin only: another port is another', async () => {
    const tokens: (string | undefined)[] = []
    const other = await server(({ headers }, response) => {
      tokens.push(headers.authorization)
      response.end('there')
    })
    const url = await server(({ headers, url: path }, response) => {
      tokens.push(headers.authorization)
      response.writeHead(302, { location: path === '/file' ? '/moved' : other.href }).end()
    })
    const answer = await httpGet(url, { token: { value: 'secret', origin: url.origin }, env: {}, signal })
    expect(answer.url.href).toBe(other.href)
    answer.discard()
    expect(tokens).toEqual(['Bearer secret', 'Bearer secret', undefined])
  })

  test('to an address in the clear, round in circles or to nowhere: refused', async () => {
    const to = async (location: string) => {
      const url = await server((_, response) => response.writeHead(302, { location }).end())
      return httpGet(url, { env: {}, signal })
    }
    await expect(to('http://hub.example/x?token=secret')).rejects.toThrow(
      'http://hub.example/x: models are fetched over https only',
    )
    await expect(to('/again')).rejects.toThrow('redirected more than 8 times')
    await expect(to('http://[')).rejects.toThrow('redirects to no address')
    await expect(to('file:///etc/passwd')).rejects.toBeInstanceOf(UserError)
  })
})

test('an address in the clear is refused', async () => {
  await expect(httpGet(new URL('http://hub.example/'), { env: {}, signal })).rejects.toThrow('over https only')
})

test('an aborted request is neither a failure nor an answer', async () => {
  const stop = new AbortController()
  const url = await server(() => stop.abort()) // asked, and never answered
  await expect(httpGet(url, { env: {}, signal: stop.signal })).rejects.toMatchObject({ name: 'Aborted' })
})
