/**
 * What was filled, what is kept of it, and what is answered: kept things know their place and no offsets, so they serve whatever
 * has changed elsewhere in the document. Pure.
 */
import { applyEdit, type TextEdit } from '../base/spans.ts'
import type { Found, KeptCompletion, KeptText, Place } from '../cache/completionCache.ts'
import type { Candidates } from './candidates.ts'
import type { Filled } from './gaps.ts'
import { isWorthALook } from './gate.ts'
import type { Answer, InfillRequest } from './session.ts'

/** The document as it would be with the editor's chosen menu item in it. */
export interface Virtual {
  readonly text: string
  readonly offset: number
}

export function withSelection({ snapshot, offset, selected }: InfillRequest): Virtual {
  if (!selected) return { text: snapshot.text, offset }
  return { text: applyEdit(snapshot.text, selected), offset: selected.span.start + selected.text.length }
}

/** Whether what is kept answers a request, or the model must be asked. */
export function serves({ kept, typed }: Found, invoked: boolean): boolean {
  if (invoked) return kept.others !== undefined
  return kept.kind !== 'partial' || typed > 0
}

export function samePlace(a: Place, b: Place): boolean {
  return a.uri === b.uri && a.scope === b.scope && a.before === b.before && a.after === b.after
}

/** @param offset of the gap, where the edit begins. */
export function keptText({ span, text }: TextEdit, offset: number): KeptText {
  return { text, replaceAfter: span.end - offset }
}

/** @param filled with candidates where it was asked for by hand. */
export function keptOf(
  filled: Filled & Partial<Pick<Candidates, 'others'>>,
  offset: number,
  showAbove: number,
): KeptCompletion {
  const kind: KeptCompletion['kind'] = filled.finish === 'unsure' ? 'unsure' : 'whole'
  const others = filled.others?.map((edit) => keptText(edit, offset))
  const asked = others ? { others } : {}
  if (filled.kind === 'nothing') return { text: '', replaceAfter: 0, reason: filled.reason, kind, ...asked }
  const kept: KeptCompletion = { ...keptText(filled.edit, offset), kind, ...asked }
  return kind === 'unsure' && showAbove > 0 && !isWorthALook(kept.text) ? { ...kept, hidden: true } : kept
}

/** Back from the virtual document, where the place is at `offset`: a chosen item is part of the edit. */
export function answerOf(kept: KeptCompletion, offset: number, { selected }: InfillRequest): Answer {
  const partial = kept.kind === 'partial'
  if (kept.hidden) return { kind: 'nothing', reason: 'too little is sure to be worth a look' }
  if (kept.text === '') return { kind: 'nothing', reason: kept.reason ?? 'nothing was left to add' }
  const editOf = ({ text, replaceAfter }: KeptText): TextEdit => {
    if (!selected) return { span: { start: offset, end: offset + replaceAfter }, text }
    return { span: { start: selected.span.start, end: selected.span.end + replaceAfter }, text: selected.text + text }
  }
  const others = kept.others?.map(editOf) ?? []
  return { kind: 'completion', partial, edit: editOf(kept), ...(others.length > 0 ? { others } : {}) }
}
