/** What a rival wrote goes through the product's own plan and filters: same context, same stop, same clean-up, same limit. */
import type { TextEdit } from '../../../server/base/spans.ts'
import { finishHoles } from '../../../server/infill/finishHoles.ts'
import { type HolesPlan, planHoles } from '../../../server/infill/plan.ts'
import type { SessionModel } from '../../../server/session/sessionModel.ts'
import type { Case } from '../benchmark.ts'

export function planOf({ text, offset }: Pick<Case, 'text' | 'offset'>, model: SessionModel): HolesPlan {
  return planHoles(text, [{ start: offset, end: offset }], model)
}

/**
 * @param written what stands in the gap, what the plan held back included.
 * @param complete false when the limit cut it short.
 */
export function finishedEdit(
  { offset, scope, languageId }: Pick<Case, 'offset' | 'scope' | 'languageId'>,
  plan: HolesPlan,
  written: string,
  complete: boolean,
): TextEdit | undefined {
  const [finished] = finishHoles(plan, [{ text: written, scope, complete }], languageId)
  if (finished!.kind === 'nothing') return undefined
  return { span: { start: offset, end: offset + finished!.replaceAfter }, text: finished!.text }
}
