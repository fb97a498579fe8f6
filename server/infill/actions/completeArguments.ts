/** *Complete this argument list*: what is missing at its end, or all of an empty one. */
import type { Span } from '../../base/spans.ts'
import { type Action, most, NotHere, type Place } from './action.ts'
import { blockAt } from './blocks.ts'
import { closerOf, enclosingOpener, isEmpty, lineSpan } from './source.ts'

export const completeArguments: Action = {
  name: 'completeArguments',
  kind: 'refactor.rewrite',
  title: 'Complete this argument list',
  offer: (place) => (isEmpty(place.selection) && listAt(place) ? [{ title: 'Complete this argument list' }] : []),
  prepare(request) {
    const list = listAt(request)
    if (!list) throw new NotHere('The cursor is in no argument list.')
    const { code } = request
    const inside = code.slice(list.start, list.end)
    const end = list.start + inside.trimEnd().length
    // Of blanks up to the parenthesis nothing stays, of a line break all.
    const blanks = code.slice(end, list.end)
    const after = /[\r\n]/.test(blanks) ? blanks : ''
    const before = inside.trim() === '' ? '' : inside.trimEnd().endsWith(',') ? ' ' : ', '
    const span = { start: inside.trim() === '' ? list.start : end, end: list.end }
    return { changes: [{ span, before, fill: { kind: 'hole', scope: 'line' }, after }], maxTokens: most.line }
  },
}

const noCall =
  /(?:^|[^\w$.])(?:if|for|while|switch|catch|match|return|and|or|not|in|is|elif|with|def|fn|func|function|class|await|yield|typeof|new|lambda|async|except|assert)\s*$/

/** Between the parentheses of the innermost call, when they are closed near by. */
function listAt(place: Place): Span | undefined {
  const { code, selection } = place
  const opener = enclosingOpener(code, selection.start, '([{', 4000)
  if (opener === undefined || code[opener] !== '(') return undefined
  const closer = closerOf(code, opener, 4000)
  const before = code.slice(lineSpan(code, opener).start, opener)
  if (closer === undefined || !/[\w$)\]>!?]\s*$/.test(before) || noCall.test(before)) return undefined
  // A list of parameters is none of arguments.
  const block = blockAt(place, opener, ({ function: header }) => header?.parameters.start === opener + 1)
  return block ? undefined : { start: opener + 1, end: closer }
}
