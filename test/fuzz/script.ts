/**
 * What the model of a fuzzed session says: a pure function of seed, text and place, so that a client can tell from its own
 * text what a right answer must be.
 */
import { EngineError, EngineGoneError } from '../../server/base/errors.ts'
import { type Span, splitsSurrogates, type TextEdit } from '../../server/base/spans.ts'
import type { Answer, InfillRequest } from '../../server/session/session.ts'
import { never } from '../e2e/scriptedSession.ts'
import { linesOf } from './clientText.ts'
import { hashOf, Random } from './random.ts'

/** Where somebody asks, as the client knows it. */
export interface Asking {
  readonly text: string
  readonly offset: number
  readonly selected: { readonly span: Span; readonly text: string } | undefined
}

export type Said =
  | {
      readonly kind: 'completion'
      readonly edit: TextEdit
      readonly others: readonly TextEdit[]
      readonly partial: boolean
    }
  | { readonly kind: 'nothing' | 'pending' | 'never' | 'failed' | 'gone' }

const pieces = [
  'x',
  'value',
  ' = ',
  '(',
  ')',
  '{ a: [1] }',
  ';',
  '🦊',
  '👩‍💻',
  'é',
  '中',
  '\t',
  '$1',
  `$${'{2:y}'}`,
  '}',
  '\\',
  '\\$',
  '"',
  '\n',
  '\r\n',
  '\n    ',
  '\r\n\t',
  '\n\n',
  '\n}',
]

export function said(seed: number, { text, offset, selected }: Asking): Said {
  const random = new Random(hashOf(seed, text, offset, selected?.text ?? ''))
  if (random.chance(0.1)) return { kind: 'nothing' }
  if (random.chance(0.06)) return { kind: 'pending' }
  if (random.chance(0.06)) return { kind: 'never' }
  if (random.chance(0.02)) return { kind: 'failed' }
  if (random.chance(0.003)) return { kind: 'gone' }
  let insert = ''
  for (let count = 1 + random.below(6); count > 0; count--) insert += random.pick(pieces)
  const at = selected?.span ?? { start: offset, end: offset }
  // Of the rest of the line some is replaced now and then; never half a character. Mostly it is written again.
  const lineEnd = linesOf(text).find(({ end }) => end >= at.end)?.end ?? at.end
  let end = random.chance(0.3) ? at.end + random.below(lineEnd - at.end + 1) : at.end
  if (splitsSurrogates(text, end)) end++
  const gone = text.slice(at.end, end)
  if (random.chance(0.7)) insert += gone
  // Two foxes share a half with a pen.
  else if (random.chance(0.5)) insert += gone.replace(/🦊$/u, '🖊')
  if (random.chance(0.3)) insert += random.pick(pieces)
  const edit = { span: { start: at.start, end }, text: (selected?.text ?? '') + insert }
  const others = random.chance(0.2) ? ['other', '🦊'].map((other) => ({ ...edit, text: `${edit.text}${other}` })) : []
  return { kind: 'completion', edit, others, partial: random.chance(0.2) }
}

/** @throws {EngineError} where the script fails. */
export function answerOf(what: Said): Answer | Promise<never> {
  switch (what.kind) {
    case 'completion':
    case 'pending':
      return what as Answer
    case 'nothing':
      return { kind: 'nothing', reason: 'the script says so' }
    case 'never':
      return never
    case 'failed':
      throw new EngineError('the script fails here')
    case 'gone':
      throw new EngineGoneError('the script ends here')
  }
}

export function askingOf({ snapshot, offset, selected }: InfillRequest): Asking {
  return { text: snapshot.text, offset, selected }
}
