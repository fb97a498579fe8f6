/**
 * The middles of gaps from somebody who knows text alone, one gap after the other from the left: each with what was written
 * into those before it in place, and those after it closed.
 */
import type { Infiller, Written } from '../infill/infiller.ts'
import { type Scope, textWindowSize } from '../infill/plan.ts'

export interface TextGaps {
  readonly pieces: readonly string[] // before, between and after the gaps, LF line ends only
  readonly scopes: readonly Scope[]
  readonly maxTokens: number // of each
}

/**
 * What is held back for tokens to break well is told here: whoever reads text breaks it for itself, and cannot be held to how
 * its text begins.
 *
 * @param onProgress what is written so far, as far as a gap was come to.
 * @throws as `Infiller.infill`.
 */
export async function writeElsewhere(
  infiller: Infiller,
  { pieces, scopes, maxTokens }: TextGaps,
  signal: AbortSignal,
  onProgress: (written: readonly Written[]) => void,
): Promise<Written[]> {
  const done: Written[] = []
  let before = pieces[0]!
  for (const [i, scope] of scopes.entries()) {
    const told = before.slice(-mostBefore)
    const after = pieces
      .slice(i + 1)
      .join('')
      .slice(0, mostAfter)
    const progress = (text: string) => onProgress([...done, { text: afterBlanks(told, text), complete: false }])
    const { text, complete } = await infiller.infill({ before: told, after, scope, maxTokens }, signal, progress)
    const written = { text: afterBlanks(told, text), complete }
    done.push(written)
    before += written.text + pieces[i + 1]!
  }
  return done
}

/** Between gaps there may be any amount of text; a window never has more. */
const mostBefore = textWindowSize.prefix + textWindowSize.jump
const mostAfter = textWindowSize.suffix

/** Models whose tokens take the blank before a word write it again: what stands there already is not doubled. */
function afterBlanks(before: string, text: string): string {
  return /[ \t]$/.test(before) ? text.replace(/^[ \t]+/, '') : text
}
