/** Whether what a client sent is a place in a document: what is typed here came over a wire. */
import type { Position, Range } from 'vscode-languageserver'

export function isRange(range: unknown): range is Range {
  const { start, end } = (range ?? {}) as { start?: unknown; end?: unknown }
  return isPosition(start) && isPosition(end)
}

export function isPosition(position: unknown): position is Position {
  const { line, character } = (position ?? {}) as { line?: unknown; character?: unknown }
  return Number.isInteger(line) && Number.isInteger(character)
}
