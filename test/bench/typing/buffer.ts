/** An editor's text: a cursor, and edits beside it. Tells each edit as a server wants to hear it. */
import type { Key, Place } from './recording.ts'

export interface Change {
  readonly start: Place
  readonly end: Place
  readonly text: string
}

export class Buffer {
  private readonly lines: string[]
  cursor: Place = { line: 0, character: 0 }

  constructor(text: string) {
    this.lines = text.split('\n')
  }

  get text(): string {
    return this.lines.join('\n')
  }

  /** The cursor's line. */
  get line(): string {
    return this.lines[this.cursor.line]!
  }

  /** @returns undefined when only the cursor moved. */
  press({ place, remove, insert }: Pick<Key, 'place' | 'remove' | 'insert'>): Change | undefined {
    if (place) this.cursor = place
    return remove > 0 || insert !== '' ? this.edit(remove, 0, insert) : undefined
  }

  /** Replaces so many units left and right of the cursor, on its line, and goes behind what was inserted. */
  edit(left: number, right: number, insert: string): Change {
    const { line, character } = this.cursor
    const whole = this.line
    if (left > character || right > whole.length - character)
      throw new RangeError(`line ${line} has no ${left} units before ${character} and ${right} after it`)
    const inserted = insert.split('\n')
    const first = whole.slice(0, character - left) + inserted[0]!
    const rest = whole.slice(character + right)
    const last = inserted.length === 1 ? first : inserted.at(-1)!
    this.lines.splice(line, 1, ...(inserted.length === 1 ? [] : [first, ...inserted.slice(1, -1)]), last + rest)
    this.cursor = { line: line + inserted.length - 1, character: last.length }
    return {
      start: { line, character: character - left },
      end: { line, character: character + right },
      text: insert,
    }
  }
}
