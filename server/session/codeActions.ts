/** Code actions from a place in a document to edits of it: what `lsp/` sees of them. Listing asks no model. */
import type { TextEdit } from '../base/spans.ts'
import { type PrepareRequest, prepareAction } from '../infill/actions/actions.ts'
import { editsOf, layOut } from '../infill/actions/layOut.ts'
import type { FillRequest } from './askedTasks.ts'
import type { Session } from './session.ts'

export { type ActionName, actionNames, type ListedDiagnostic, NotHere, type Offer } from '../infill/actions/action.ts'
export { listActions, type PrepareRequest, titleOf } from '../infill/actions/actions.ts'

/**
 * @param onProgress UTF-16 units written so far.
 * @returns edits of the request's text, from the left, at least one.
 * @throws {NotHere} where there is nothing to do, or nothing was found; its message is for the user.
 * @throws {Aborted} when the signal fires.
 */
export async function carryOut(
  session: Pick<Session, 'fill'>,
  { nearby, ...request }: PrepareRequest & Pick<FillRequest, 'nearby'>,
  signal: AbortSignal,
  onProgress: (writtenUnits: number) => void,
): Promise<TextEdit[]> {
  const prepared = prepareAction(request)
  const laidOut = layOut(request.text, prepared)
  const { languageId } = request
  const { maxTokens } = prepared
  const filled = await session.fill(
    { ...laidOut, languageId, maxTokens, ...(nearby ? { nearby } : {}) },
    signal,
    onProgress,
  )
  return editsOf(request.text, prepared, filled)
}
