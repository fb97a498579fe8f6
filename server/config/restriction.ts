/**
 * What a source other than the user's own may say: less than the user allows, never more. Each keeps its own opinion, and
 * the strictest counts; so nothing a workspace holds can switch on what the user switched off. Pure.
 */
import { type Mode, modes, type Settings } from './settings.ts'

export interface Restriction {
  readonly mode?: Mode
  readonly languages?: Settings['languages']
  readonly ignored?: Settings['ignored']
}

/** The mode that one source wants for a language; `auto` where it says nothing. */
export function modeIn({ mode = 'auto', languages = {} }: Restriction, languageId: string): Mode {
  return Object.hasOwn(languages, languageId) ? languages[languageId]! : mode
}

export function strictest(wanted: readonly Mode[]): Mode {
  return modes[Math.max(0, ...wanted.map((mode) => modes.indexOf(mode)))]!
}
