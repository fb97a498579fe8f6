/** *Document this function*: a line of description where the language has it, above or below the signature. */
import { lineEnd, lineStart } from '../../base/spans.ts'
import { documentationStyleOf } from '../languages.ts'
import { type Action, most, NotHere, type Place } from './action.ts'
import { type Block, functionAt } from './blocks.ts'
import { indentAt, indentUnit, isEmpty, lineSpan } from './source.ts'

export const document: Action = {
  name: 'document',
  kind: 'refactor.rewrite',
  title: 'Document this function',
  offer: (place) => (undocumentedAt(place) ? [{ title: 'Document this function' }] : []),
  prepare(request) {
    const found = undocumentedAt(request)
    if (!found) throw new NotHere('There is no function here without a description.')
    const { text, languageId, lineBreak } = request
    const { place, beginsWithName, ...style } = documentationStyleOf(languageId)
    const { header } = found
    const indent = indentAt(text, header.start)
    const [open, close] = [style.open, style.close].map((part) => part.replaceAll('\n', lineBreak + indent)) as [
      string,
      string,
    ]
    const fill = { kind: 'hole', scope: 'line' } as const
    if (place === 'below') {
      const before = lineBreak + indent + indentUnit(text, languageId) + open
      return {
        changes: [{ span: { start: header.end, end: header.end }, before, fill, after: close }],
        maxTokens: most.line,
      }
    }
    const { name } = found.function
    const first = beginsWithName && name ? `${text.slice(name.start, name.end)} ` : ''
    const span = { start: header.start, end: header.start }
    const after = close + lineBreak
    return { changes: [{ span, before: indent + open + first, fill, after }], maxTokens: most.line }
  },
}

/** The function whose signature the cursor is on. */
function undocumentedAt(place: Place) {
  const { text, selection } = place
  if (!isEmpty(selection)) return undefined
  const found = functionAt(place, selection.start)
  if (!found || selection.start > lineEnd(text, found.header.end)) return undefined
  return isDocumented(place, found) ? undefined : found
}

function isDocumented({ text, code, languageId }: Place, { header }: Block): boolean {
  if (documentationStyleOf(languageId).place === 'below') {
    const rest = text.slice(header.end, header.end + 400).trimStart()
    // A body on the line of its header has no room for a description.
    return /^[rbu]?["']{3}|^[rbu]?["']/i.test(rest) || text.slice(header.end, lineEnd(text, header.end)).trim() !== ''
  }
  // Past what decorates it.
  for (let at = header.start; at > 0; ) {
    const start = lineStart(text, at - 1)
    const line = lineSpan(text, start)
    const words = text.slice(line.start, line.end).trim()
    if (words === '') return false
    if (code.slice(line.start, line.end).trim() === '') return true
    if (!/^[@#[]/.test(words)) return false
    at = start
  }
  return false
}
