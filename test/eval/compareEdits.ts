/** Edits held against what stood in the gap: whole documents are compared, so that it does not matter how an edit is put. */
import { applyEdit, type TextEdit } from '../../server/base/spans.ts'
import type { Answer, Case, Score } from './benchmark.ts'

/** The document once more, with the edit in it. */
export function filled({ text }: Pick<Case, 'text'>, edit: TextEdit | undefined): string {
  return edit ? applyEdit(text, edit) : text
}

export function isExact(gap: Pick<Case, 'text' | 'offset' | 'truth'>, edit: TextEdit | undefined): boolean {
  if (!edit) return false
  return filled(gap, edit) === gap.text.slice(0, gap.offset) + gap.truth + gap.text.slice(gap.offset)
}

/** Whether the edit puts in a beginning of what stood there, and takes nothing away. */
export function isBeginning({ offset, truth }: Pick<Case, 'offset' | 'truth'>, edit: TextEdit | undefined): boolean {
  if (!edit || edit.text === '') return false
  return edit.span.start === offset && edit.span.end === offset && truth.startsWith(edit.text)
}

/**
 * What every benchmark of gaps tells: `exact`, `begins` (right as far as it goes), and of answers that may be kept back
 * `shown` and `right_of_shown` (told of what was shown alone).
 */
export function scoreEdits(gap: Case, { edit, shown }: Answer): Score {
  const begins = isExact(gap, edit) || isBeginning(gap, edit)
  const score = { exact: isExact(gap, edit), begins, answered: edit !== undefined && edit.text !== '' }
  if (!shown) return score
  if (!shown.edit) return { ...score, shown: false }
  return { ...score, shown: true, right_of_shown: isExact(gap, shown.edit) || isBeginning(gap, shown.edit) }
}
