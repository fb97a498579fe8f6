/** Where only the rest of the cursor's line is wanted, the text ends with that line. */
import type { Filter } from './filter.ts'

export const cutAtLineEnd: Filter = (text, context) => {
  if (context.scope === 'block') return text
  const end = text.indexOf('\n')
  return end < 0 ? text : text.slice(0, end)
}
