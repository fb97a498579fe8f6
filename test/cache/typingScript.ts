/** A typing session in real files, the same one at every run: what an editor would ask after each of its edits. */
import { readFileSync } from 'node:fs'
import { applyEdit, lineEnd, lineStart, splitsSurrogates, type TextEdit } from '../../server/base/spans.ts'

export interface TypingStep {
  readonly file: string
  readonly kind: 'type' | 'paste' | 'delete' | 'move' | 'undo'
  readonly text: string // of the whole document after the edit
  readonly offset: number // of the cursor
}

const files = ['test/bench/files/stack.py', 'test/bench/files/graph.ts.txt', 'training/reference.py']
const perFile = 25 // steps before the next file has its turn

/** @returns `count` steps: lines retyped letter by letter, words deleted, code pasted, cursor moved, edits undone. */
export function typingSession(count: number, seed: number): TypingStep[] {
  const random = numbers(seed)
  const below = (limit: number): number => Math.floor(random() * limit)
  const steps: TypingStep[] = []
  const documents = files.map((file, i) => {
    const text = readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8')
    return open(file, i === 1 ? text.replaceAll('\n', '\r\n') : text)
  })
  while (steps.length < count) {
    const document = documents[Math.floor(steps.length / perFile) % documents.length]!
    const until = Math.min(count, steps.length + perFile - (steps.length % perFile))
    while (steps.length < until) {
      const step = nextStep(document, random, below)
      if (step) steps.push(step)
    }
  }
  return steps
}

interface Document {
  readonly file: string
  text: string
  cursor: number
  toType: string
  readonly undo: { readonly edit: TextEdit; readonly cursor: number }[]
}

function open(file: string, text: string): Document {
  return { file, text, cursor: 0, toType: '', undo: [] }
}

function nextStep(document: Document, random: () => number, below: (limit: number) => number): TypingStep | undefined {
  const { text, cursor } = document
  const made = (kind: TypingStep['kind']) => ({
    file: document.file,
    kind,
    text: document.text,
    offset: document.cursor,
  })
  const edit = (start: number, end: number, inserted: string) => {
    document.undo.push({
      edit: { span: { start, end: start + inserted.length }, text: text.slice(start, end) },
      cursor,
    })
    document.text = applyEdit(text, { span: { start, end }, text: inserted })
    document.cursor = start + inserted.length
  }
  if (document.toType !== '') {
    if (random() < 0.08 && cursor > 0) {
      edit(splitsSurrogates(text, cursor - 1) ? cursor - 2 : cursor - 1, cursor, '') // backspace
      return made('delete')
    }
    const letter = document.toType.startsWith('\r\n') ? '\r\n' : String.fromCodePoint(document.toType.codePointAt(0)!)
    document.toType = document.toType.slice(letter.length)
    edit(cursor, cursor, letter)
    return made('type')
  }
  const dice = random()
  if (dice < 0.35) {
    // A line of the file is cut off somewhere, and typed again.
    const place = someLine(text, below)
    const from = place.start + below(place.end - place.start + 1)
    if (splitsSurrogates(text, from)) return undefined
    edit(from, place.end, '')
    document.toType = text.slice(from, place.end).slice(0, 10)
    return made('delete')
  }
  if (dice < 0.5) {
    // A new line is opened below.
    const lineBreak = text.includes('\r\n') ? '\r\n' : '\n'
    const { end } = someLine(text, below)
    edit(end, end, `${lineBreak}    `)
    document.toType = 'x = '
    return made('paste')
  }
  if (dice < 0.6) {
    const source = someLine(text, below)
    edit(cursor, cursor, text.slice(source.start, source.end))
    return made('paste')
  }
  if (dice < 0.75 && document.undo.length > 0) {
    const { edit: back, cursor: before } = document.undo.pop()!
    document.text = applyEdit(text, back)
    document.cursor = before
    return made('undo')
  }
  document.cursor = someLine(text, below).end
  return made('move')
}

/** Three of four near the top of the file, where little has to be read. */
function someLine(text: string, below: (limit: number) => number): { start: number; end: number } {
  const at = below(4) > 0 ? below(Math.min(text.length, 400)) : below(text.length)
  return { start: lineStart(text, at), end: Math.max(lineStart(text, at), lineEnd(text, at)) }
}

function numbers(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return (state >>> 4) / 2 ** 28
  }
}
