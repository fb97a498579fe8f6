/**
 * Gaps filled by somebody who knows text alone: the same window of the document, larger, and the same filters; neither ids nor
 * probabilities, so whatever the filters leave is shown. One gap after the other from the left.
 */
import type { TextEdit } from '../base/spans.ts'
import type { Infiller, Written } from '../infill/infiller.ts'
import { piecesAround, type Scope, textWindowSize } from '../infill/plan.ts'
import { type FilledHoles, filledHole, type HolesRequest, type Outcome, outcomesOf } from './gaps.ts'

/**
 * @param now milliseconds.
 * @param onProgress the edits as they would be now; `undefined` where there is none to show.
 * @throws as `Infiller.infill`.
 * @throws {RangeError} when a gap is outside the text, or touches another one.
 */
export async function fillElsewhere(
  infiller: Infiller,
  now: () => number,
  request: HolesRequest,
  signal: AbortSignal,
  onProgress: (edits: readonly (TextEdit | undefined)[]) => void,
): Promise<FilledHoles> {
  const started = now()
  const { holes: asked, maxTokens } = request
  const spans = asked.map(({ span }) => span)
  const { pieces } = piecesAround(request.text, spans, textWindowSize)
  const plan = { pieces, held: spans.map(() => '') }
  const finished = (written: readonly { text: string; complete: boolean }[]): Outcome[] => {
    const middles = asked.map(({ scope }, i) => ({ text: '', complete: false, ...written[i], scope }))
    return outcomesOf(request, plan, middles)
  }
  const gaps = { pieces, scopes: asked.map(({ scope }) => scope), maxTokens }
  const written = await writeElsewhere(infiller, gaps, signal, (soFar) =>
    onProgress(finished(soFar).map(({ edit }) => edit)),
  )
  const holes = finished(written).map((outcome, i) => {
    const { text, complete } = written[i]!
    return filledHole(outcome, { ids: [], text, probabilities: [], finish: complete ? 'ended' : 'length' })
  })
  const took = now() - started
  const cost = { writtenBy: infiller.shown, steps: 0, rows: 0, encodedRows: 0 }
  return { holes, ...cost, ms: { encode: 0, denoise: took, total: took } }
}

interface TextGaps {
  readonly pieces: readonly string[] // before, between and after the gaps, LF line ends only
  readonly scopes: readonly Scope[]
  readonly maxTokens: number // of each
}

/**
 * Each gap with what was written into those before it in place, and those after it closed.
 *
 * What is held back for tokens to break well is told here: whoever reads text breaks it for itself, and cannot be held to how
 * its text begins.
 *
 * @param onProgress what is written so far, as far as a gap was come to.
 * @throws as `Infiller.infill`.
 */
async function writeElsewhere(
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
