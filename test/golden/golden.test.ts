/**
 * Runs every golden document: what `finish` makes of a model's text at the `║` of a document. `UPDATE_GOLDEN=1` writes
 * the `shown` sections anew; review the difference. Sections of a case:
 *
 *     ---- document <language>   with one ║
 *     ---- scope block           optional; the rest of the line is wanted otherwise
 *     ---- cut short             optional; a deadline or a token budget ended the text
 *     ---- model                 what the model wrote
 *     ---- shown                 the completed lines, ├┤ around what is inserted; or "nothing" and the reason
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { restOfLine } from '../../server/infill/filters/lines.ts'
import { type FinishContext, type Finished, finish } from '../../server/infill/finish.ts'
import { parseMarked } from '../markup.ts'
import { formatGolden, type GoldenCase, parseGolden, readSections } from './goldenFile.ts'

const folder = new URL('./', import.meta.url)
const isUpdating = process.env.UPDATE_GOLDEN === '1'
const languages = new Set([
  'c',
  'go',
  'javascript',
  'javascriptreact',
  'lua',
  'python',
  'rust',
  'shellscript',
  'typescript',
  'typescriptreact',
])

for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) =>
  file.endsWith('.golden'),
)) {
  const file = readFileSync(new URL(name, folder), 'utf8')
  const cases = parseGolden(file)
  if (isUpdating) writeFileSync(new URL(name, folder), formatGolden(cases.map(updated)))

  describe(name, () => {
    test.for(cases)('$title', (golden) => {
      const { context, model, shown } = read(golden)
      const finished = finish(model, context)
      if (!isUpdating) expect(show(finished, context)).toBe(shown)
      if (finished.kind === 'text') expect(finish(finished.text, { ...context, complete: true })).toEqual(finished)
    })
  })
}

test('each package that text of real files is from is named with its licence, and no other', () => {
  const files = readdirSync(new URL('model/', folder)).filter((name) => name.endsWith('.golden'))
  const cases = files.flatMap((name) => parseGolden(readFileSync(new URL(`model/${name}`, folder), 'utf8')))
  const used = new Set(cases.map(({ title }) => title.split(', ')[0]!))
  const readme = readFileSync(new URL('model/README.md', folder), 'utf8')
  const named = [...readme.matchAll(/^\| (\S+) \| [^|]+ \| [^|]*\w[^|]* \|$/gm)].map(([, name]) => name!)
  expect(named.filter((name) => name !== 'package').sort()).toEqual([...used].sort())
})

describe('the runner', () => {
  const file = 'a case\n---- document c\nf(║)\n---- model\nx)\n---- shown\nf(├x┤)\n'
  const [golden] = parseGolden(file)

  test('reads a case and writes it back', () => {
    expect(show(finish('x)', read(golden!).context), read(golden!).context)).toBe('f(├x┤)')
    expect(formatGolden([golden!, golden!])).toBe(`${file}====\n${file}`)
  })

  test.for([
    ['a section nothing reads', '---- shown', '---- wanted\n---- shown'],
    ['a section twice', '---- shown', '---- model\n---- shown'],
    ['no section "shown"', '---- shown', '---- show'],
    ['an unknown language', 'document c', 'document cobol'],
    ['a scope that is none', '---- model', '---- scope line\n---- model'],
    ['a document without a cursor', '║', ''],
    ['a document with a hole nothing reads', '║', '║├x┤'],
    ['a model text with a cursor', '\nx)', '\nx║)'],
  ])('refuses %s', ([, part, instead]) => {
    const [broken] = parseGolden(file.replace(part!, instead!))
    expect(() => read(broken!)).toThrow()
  })

  test('sees a wrong result', () => {
    const { context, shown } = read(golden!)
    expect(show(finish('y)', context), context)).not.toBe(shown)
    expect(show({ kind: 'text', text: 'x', replaceAfter: 1 }, context)).not.toBe(shown)
  })
})

function read(golden: GoldenCase) {
  const sections = readSections(golden)
  const document = sections.take('document')
  const model = sections.take('model').text
  const shown = sections.take('shown').text
  const scope = sections.takeFlag('scope', 'block') ? 'block' : 'line'
  const complete = !sections.takeFlag('cut', 'short')
  sections.end()
  if (!languages.has(document.argument)) throw new Error(`${golden.title}: unknown language "${document.argument}"`)
  if (/[║├┤«»]/.test(model)) throw new Error(`${golden.title}: the model's text has no marks`)

  const { text, cursor, holes, selection } = parseMarked(document.text)
  if (cursor === undefined || cursor === null) throw new Error(`${golden.title}: the document has no cursor`)
  if (holes.length > 0 || selection) throw new Error(`${golden.title}: only the cursor is read`)
  const context: FinishContext = {
    before: text.slice(0, cursor),
    after: text.slice(cursor),
    scope,
    complete,
    languageId: document.argument,
  }
  return { context, model, shown }
}

function show(finished: Finished, context: FinishContext): string {
  if (finished.kind === 'nothing') return `nothing\n${finished.reason}`
  const left = context.before.slice(context.before.lastIndexOf('\n') + 1)
  return `${left}├${finished.text}┤${restOfLine(context).slice(finished.replaceAfter)}`
}

function updated(golden: GoldenCase): GoldenCase {
  const { context, model } = read(golden)
  const text = show(finish(model, context), context)
  return {
    ...golden,
    sections: golden.sections.map((section) => (section.name === 'shown' ? { ...section, text } : section)),
  }
}
