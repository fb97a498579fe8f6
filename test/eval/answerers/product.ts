/**
 * The product itself, as `lacuna complete` and the server open it: what it answers when it is asked by hand, and what it
 * would show when nobody asked. Knows sessions, not denoising.
 */
import type { TextEdit } from '../../../server/base/spans.ts'
import { fillGap, type Rooms } from '../../../server/session/fillGap.ts'
import { askedFor, type Filled, unasked } from '../../../server/session/gaps.ts'
import { isWorthALook } from '../../../server/session/gate.ts'
import type { Answerer, Case } from '../benchmark.ts'

const never = new AbortController().signal

/** @param showAbove the server's setting of this name. */
export function product(rooms: Rooms, about: Answerer['about'], showAbove: number): Answerer {
  return {
    name: 'lacuna',
    about: { ...about, showAbove },
    async ask({ text, nearby = [], offset, scope, maxTokens, languageId }: Case) {
      const gap = { text, nearby, offset, scope, maxTokens, languageId }
      // Only rests of lines are shown unasked. First, so that the context is read when the time is taken.
      const seen = scope === 'line' ? await fillGap(rooms, { ...gap, certainty: unasked(showAbove) }, never) : undefined
      const filled = await fillGap(rooms, { ...gap, certainty: askedFor }, never)
      return {
        edit: editOf(filled),
        ...(seen ? { shown: { edit: shownOf(seen) } } : {}),
        steps: filled.steps,
        rows: filled.rows,
        tokens: filled.tokens,
        encodeMs: (seen ?? filled).ms.encode,
        ms: filled.ms.denoise,
      }
    },
    close: async () => {},
  }
}

function editOf(filled: Filled): TextEdit | undefined {
  return filled.kind === 'completion' ? filled.edit : undefined
}

/** As `liveSession.ts` has it: a beginning of a character or two is kept back. */
function shownOf(filled: Filled): TextEdit | undefined {
  const edit = editOf(filled)
  return edit && filled.finish === 'unsure' && !isWorthALook(edit.text) ? undefined : edit
}
