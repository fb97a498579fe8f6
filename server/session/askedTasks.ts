/**
 * What is asked for by a command and not by typing: holes of a text that is nobody's document yet, filled whatever the
 * model has to say. Behind all that is typed: blocks are no rests of lines that a person waits for.
 */
import { UserError } from '../base/errors.ts'
import type { FilledText, LaidOut } from '../infill/actions/layOut.ts'
import { fillHoles, type Rooms } from './fillGap.ts'
import { askedFor, type FilledHole, type HolesRequest } from './gaps.ts'

export interface FillRequest extends LaidOut {
  readonly languageId: string
  /** As in `InfillRequest`. */
  readonly nearby?: readonly string[]
  readonly maxTokens: number // of each hole
}

/**
 * All holes together, each in sight of the others; those that are too far apart for that one after the other.
 *
 * @param onProgress UTF-16 units written so far.
 * @returns one for each hole, `undefined` where there is nothing to put.
 * @throws {Aborted} when the signal fires.
 */
export async function fillText(
  rooms: Rooms,
  { text, nearby = [], holes, languageId, maxTokens }: FillRequest,
  signal: AbortSignal,
  onProgress: (writtenUnits: number) => void,
): Promise<(FilledText | undefined)[]> {
  const request = { text, nearby, languageId, maxTokens, certainty: askedFor }
  const fill = async (some: HolesRequest['holes'], writtenUnits: number) => {
    const filled = await fillHoles(rooms, { ...request, holes: some }, signal, (edits) =>
      onProgress(edits.reduce((sum, edit) => sum + (edit?.text.length ?? 0), writtenUnits)),
    )
    return filled.holes.map((hole, i) => textOf(hole, some[i]!.span.end))
  }
  try {
    return await fill(holes, 0)
  } catch (error) {
    if (!(error instanceof UserError) || holes.length === 1) throw error
    const filled: (FilledText | undefined)[] = []
    for (const hole of holes) {
      const writtenUnits = filled.reduce((sum, one) => sum + (one?.text.length ?? 0), 0)
      filled.push(...(await fill([hole], writtenUnits)))
    }
    return filled
  }
}

function textOf(hole: FilledHole, end: number): FilledText | undefined {
  if (hole.kind === 'nothing') return undefined
  const probability = hole.probabilities.reduce((product, one) => product * one, 1)
  return { text: hole.edit.text, replaceAfter: hole.edit.span.end - end, probability }
}
