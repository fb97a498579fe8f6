/** The marks of test documents: `║` cursor, `├text┤` hole (the text it replaces, or what was filled), `«text»` selection. */
import type { Span } from '../server/base/spans.ts'

/** A document without its marks; offsets are UTF-16 units into `text`. */
export interface Marked {
  readonly text: string
  readonly cursor: number | undefined
  readonly holes: readonly Span[]
  readonly selection: Span | undefined
}

/** @throws {Error} on a second cursor or selection, and on a mark that is not closed. */
export function parseMarked(marked: string): Marked {
  let text = ''
  let cursor: number | undefined
  let selection: Span | undefined
  const holes: Span[] = []
  const started = new Map<string, number>()
  const close = (opener: string): Span => {
    const start = started.get(opener)
    if (start === undefined || !started.delete(opener))
      throw new Error(`a mark closes what no "${opener}" opened: ${marked}`)
    return { start, end: text.length }
  }
  for (const character of marked) {
    if (character === '║') {
      if (cursor !== undefined) throw new Error(`a second cursor: ${marked}`)
      cursor = text.length
    } else if (character === '├' || character === '«') {
      if (started.has(character)) throw new Error(`"${character}" twice before its end: ${marked}`)
      started.set(character, text.length)
    } else if (character === '┤') {
      holes.push(close('├'))
    } else if (character === '»') {
      if (selection !== undefined) throw new Error(`a second selection: ${marked}`)
      selection = close('«')
    } else text += character
  }
  if (started.size > 0) throw new Error(`"${[...started.keys()].join('", "')}" is never closed: ${marked}`)
  return { text, cursor, holes, selection }
}
