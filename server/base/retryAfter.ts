/**
 * Milliseconds that a `Retry-After` header asks to wait for, at least 0; undefined where it says nothing that is understood.
 *
 * Source: RFC 9110, 10.2.3: seconds, or a date.
 */
export function retryAfterMs(value: string | undefined): number | undefined {
  const told = value?.trim()
  if (!told) return undefined
  const ms = /^\d+$/.test(told) ? 1000 * Number(told) : Date.parse(told) - Date.now()
  return Number.isNaN(ms) ? undefined : Math.max(0, ms)
}
