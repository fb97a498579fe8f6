/** *Rewrite the selection* (it is masked, both sides stay), and *change it as I say* (the wish stands before it as a comment). */
import { lineStart, type Span } from '../../base/spans.ts'
import { commentLines } from '../languages.ts'
import { type Action, most, NotHere, type Place, type Prepared } from './action.ts'
import { indentAt, lineSpan, trimmed } from './source.ts'

export const rewrite: Action = {
  name: 'rewrite',
  kind: 'refactor.rewrite',
  title: 'Rewrite the selection',
  offer: (place) => (selected(place) ? [{ title: 'Rewrite the selection' }] : []),
  prepare: (request) => masked(request),
}

/**
 * Where the client asks for the wish, it is offered for every selection; otherwise the comment above the selection is the
 * wish, and stays, for it is the user's.
 *
 * @param asksWish of the client.
 */
export function changeAction(asksWish: boolean): Action {
  return {
    name: 'change',
    kind: 'refactor.rewrite',
    title: 'Change the selection as I say',
    offer(place) {
      if (!selected(place)) return []
      if (asksWish) return [{ title: 'Change the selection as I say…' }]
      if (commentAbove(place)) return [{ title: 'Change the selection as the comment above says' }]
      return [{ title: 'Change the selection as I say', disabled: 'Say it in a comment on the line above.' }]
    },
    prepare(request) {
      const { text, languageId, lineBreak, selection } = request
      const wish = request.wish?.trim() ?? ''
      if (wish === '') {
        if (commentAbove(request)) return masked(request)
        throw new NotHere('Say what you wish in a comment on the line above the selection.')
      }
      const prepared = masked(request)
      const { start } = trimmed(text, selection)
      const comment = commentLines(wish, languageId, indentAt(text, start), lineBreak)
      return { ...prepared, hints: [{ offset: lineStart(text, start), text: comment + lineBreak }] }
    },
  }
}

function selected({ text, selection }: Place): Span | undefined {
  const inside = trimmed(text, selection)
  return inside.end > inside.start ? inside : undefined
}

function masked(place: Place): Prepared {
  const span = selected(place)
  if (!span) throw new NotHere('Nothing is selected.')
  const isBlock = /[\r\n]/.test(place.text.slice(span.start, span.end))
  return {
    changes: [{ span, fill: { kind: 'hole', scope: isBlock ? 'block' : 'line' } }],
    maxTokens: isBlock ? most.block : most.line,
  }
}

/** Whether the line above the selection is a comment and nothing else. */
function commentAbove({ text, code, selection }: Place): boolean {
  const first = lineStart(text, trimmed(text, selection).start)
  if (first === 0) return false
  const { start, end } = lineSpan(text, first - 1 - (text.startsWith('\r\n', first - 2) ? 1 : 0))
  const line = text.slice(start, end).trim()
  return /[\p{L}]/u.test(line) && code.slice(start, end).trim() === ''
}
