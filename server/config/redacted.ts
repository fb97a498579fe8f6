/** Settings for a report that somebody may pass on: no passwords, no tokens, no name of a home folder. Pure. */
import type { Settings } from './settings.ts'

const secretKey = /token|secret|password|passwd|credential|apikey|authorization/i

/** @param home the home folder, which becomes `~`. */
export function redacted(settings: Settings, home: string): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(settings).map(([key, value]) => {
      if (typeof value !== 'string') return [key, value]
      return [key, secretKey.test(key) ? '(not shown)' : withoutSecrets(value, home)]
    }),
  )
}

/** A path from the home folder on; of an address neither who asks nor what follows the path. */
export function withoutSecrets(text: string, home: string): string {
  if (/^https?:/i.test(text)) {
    return text.replace(/\/\/[^/?#]*@/, '//(not shown)@').replace(/[?#].*$/s, (rest) => `${rest[0]}(not shown)`)
  }
  const rest = text.slice(home.length)
  return home !== '' && text.startsWith(home) && /^(?:[/\\]|$)/.test(rest) ? `~${rest}` : text
}
