/**
 * No completed line ends in blanks, and no line break or blank is added where the document has one already. Blanks in
 * front of text right of the cursor stay: `if ║{` needs the space of `(x) `, `{║}` the line break after its last entry.
 */
import type { Filter } from './filter.ts'
import { isBlank, restOfLine } from './lines.ts'

export const dropTrailingBlanks: Filter = (text, context) => {
  if (isBlank(text)) return ''
  const trimmed = text.replace(/[ \t]+(?=\n)/g, '')
  const rest = restOfLine(context)
  if (isBlank(rest)) return trimmed.trimEnd()
  return /^[ \t]/.test(rest) ? trimmed.replace(/[ \t]+$/, '') : trimmed
}
