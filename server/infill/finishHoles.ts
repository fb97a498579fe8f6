/**
 * From what a model wrote into several gaps to what may be offered: each through the filters, with what stands in the
 * other gaps in place. From the left: those before it are finished, those after it are as the model wrote them. Pure.
 */
import { type FinishContext, type Finished, finish } from './finish.ts'
import type { HolesPlan, Scope } from './plan.ts'

/** What the model wrote into one gap, what was held back for it included. */
export interface Middle {
  readonly text: string
  readonly scope: Scope
  /** False when it was cut short. */
  readonly complete: boolean
}

/**
 * @param middles one for each gap of the plan.
 * @returns the same, finished. None of them replaces text past the next gap.
 */
export function finishHoles(
  { pieces, held }: Pick<HolesPlan, 'pieces' | 'held'>,
  middles: readonly Middle[],
  languageId: string | undefined,
): Finished[] {
  let before = pieces[0]!
  return middles.map(({ scope, complete }, i) => {
    const piece = pieces[i + 1]!
    const written = withoutHeld(middles[i]!, held[i]!)
    const context = { before, scope, complete, ...(languageId === undefined ? {} : { languageId }) }
    const finished = written === undefined ? notSure : finishBefore(written, piece, afterNext(i), context)
    const { text, replaceAfter } = finished.kind === 'text' ? finished : { text: '', replaceAfter: 0 }
    before += text + piece.slice(replaceAfter)
    return finished
  })

  /** What follows the next piece. */
  function afterNext(i: number): string {
    const rest = middles.slice(i + 1).map((middle, k) => roughly(middle, held[i + 1 + k]!) + pieces[i + 2 + k]!)
    return rest.join('')
  }
}

/** What is replaced ends before the next gap: where it would not, the filters see no further than that. */
function finishBefore(text: string, piece: string, rest: string, context: Omit<FinishContext, 'after'>): Finished {
  const finished = finish(text, { ...context, after: piece + rest })
  const isTooFar = finished.kind === 'text' && finished.replaceAfter > piece.length
  return isTooFar ? finish(text, { ...context, after: piece }) : finished
}

const notSure: Finished = { kind: 'nothing', reason: 'the model was not sure enough' }

/** `undefined` as long as not even that was written. */
function withoutHeld({ text }: Middle, held: string): string | undefined {
  return text !== '' && text.startsWith(held) ? text.slice(held.length) : undefined
}

/** Not finished, but no more of it than its line where no more is wanted. */
function roughly(middle: Middle, held: string): string {
  const text = withoutHeld(middle, held) ?? ''
  const end = middle.scope === 'line' ? text.indexOf('\n') : -1
  return end < 0 ? text : text.slice(0, end)
}
