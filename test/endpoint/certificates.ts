/** An authority of one's own, and a certificate of it for this machine: written in DER by hand, since Node only reads them. */
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'

export interface Certificates {
  readonly authority: string // PEM
  readonly key: string
  readonly cert: string
}

/** @returns a certificate for `localhost` and 127.0.0.1, good for two days. */
export function certificates(): Certificates {
  const [authority, server] = [newKey(), newKey()]
  const isAuthority = extension('551d13', sequence(der(0x01, Buffer.from([0xff]))))
  const names = sequence(der(0x82, Buffer.from('localhost')), der(0x87, Buffer.from([127, 0, 0, 1])))
  const name = 'Authority of a test'
  return {
    authority: signed({ subject: name, key: authority.publicKey, extensions: isAuthority }, name, authority.privateKey),
    key: server.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    cert: signed(
      { subject: 'localhost', key: server.publicKey, extensions: extension('551d11', names) },
      name,
      authority.privateKey,
    ),
  }
}

interface Holder {
  readonly subject: string
  readonly key: KeyObject
  readonly extensions: Buffer
}

const newKey = () => generateKeyPairSync('ec', { namedCurve: 'prime256v1' })

/** RFC 5280, section 4.1. */
function signed({ subject, key, extensions }: Holder, issuer: string, by: KeyObject): string {
  const ecdsaWithSha256 = sequence(oid('2a8648ce3d040302'))
  const dayMs = 24 * 3600 * 1000
  const told = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))), // version 3
    der(0x02, Buffer.from([1, ...Buffer.from(subject).subarray(0, 8)])), // serial
    ecdsaWithSha256,
    nameOf(issuer),
    sequence(time(Date.now() - dayMs), time(Date.now() + dayMs)),
    nameOf(subject),
    key.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(extensions)),
  )
  const signature = sign('sha256', told, by)
  const all = sequence(told, ecdsaWithSha256, der(0x03, Buffer.from([0]), signature))
  return `-----BEGIN CERTIFICATE-----\n${all.toString('base64').replace(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`
}

function der(tag: number, ...contents: readonly Buffer[]): Buffer {
  const content = Buffer.concat(contents)
  const { length } = content
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}

const sequence = (...contents: readonly Buffer[]) => der(0x30, ...contents)
const oid = (hex: string) => der(0x06, Buffer.from(hex, 'hex'))
const nameOf = (common: string) => sequence(der(0x31, sequence(oid('550403'), der(0x0c, Buffer.from(common)))))
const extension = (id: string, value: Buffer) => sequence(oid(id), der(0x04, value))

/** As UTCTime: YYMMDDhhmmssZ. */
function time(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replace(/\D/g, '')
  return der(0x17, Buffer.from(`${digits.slice(2, 14)}Z`))
}
