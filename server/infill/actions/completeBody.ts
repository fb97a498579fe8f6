/** *Complete this body*: all of an empty one, or what is missing at the end of one that has begun. */
import { type Action, type Change, most, NotHere, type Place } from './action.ts'
import { type Block, blockAt, isBodyEmpty } from './blocks.ts'
import { indentAt, indentUnit, isEmpty, lineSpan, trimmed } from './source.ts'

export const completeBody: Action = {
  name: 'completeBody',
  kind: 'refactor.rewrite',
  title: 'Complete this body',
  offer: (place) => (isEmpty(place.selection) && bodyAt(place) ? [{ title: 'Complete this body' }] : []),
  prepare(request) {
    const block = bodyAt(request)
    if (!block) throw new NotHere('There is no body here that could be completed.')
    const change = isBodyEmpty(request, block) ? wholeBody(request, block) : endOfBody(request, block)
    return { changes: [change], maxTokens: most.block }
  },
}

/** Of a function, or of another block that is still empty; on its header or in its body. */
function bodyAt(place: Place): Block | undefined {
  const { start } = place.selection
  return blockAt(
    place,
    start,
    (block) => block.function !== undefined || (isIn(block, start) && isBodyEmpty(place, block)),
  )
}

function isIn({ header, body }: Block, offset: number): boolean {
  return header.start <= offset && offset <= body.end
}

function wholeBody(place: Place, { kind, header, body }: Block): Change {
  const { text, lineBreak, languageId } = place
  const outer = indentAt(text, header.start)
  const before = lineBreak + outer + indentUnit(text, languageId)
  // Of a body by indentation the line break at its end stands already.
  const after = kind === 'braces' ? lineBreak + outer : ''
  return { span: body, before, fill: { kind: 'hole', scope: 'block' }, after }
}

/** On a new line behind the last statement, which stays. */
function endOfBody(place: Place, { kind, header, body }: Block): Change {
  const { text, lineBreak } = place
  const last = trimmed(text, body)
  const opensLine = lineSpan(text, last.start).start > lineSpan(text, header.end).start
  const inner = opensLine
    ? indentAt(text, last.start)
    : indentAt(text, header.start) + indentUnit(text, place.languageId)
  const rest = text.slice(last.end, body.end)
  const after = kind === 'braces' && !/[\r\n]/.test(rest) ? lineBreak + indentAt(text, header.start) : rest
  return {
    span: { start: last.end, end: body.end },
    before: lineBreak + inner,
    fill: { kind: 'hole', scope: 'block' },
    after,
  }
}
