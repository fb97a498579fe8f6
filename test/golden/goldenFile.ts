/**
 * Golden documents as text. A file holds cases, set apart by a line of `====`; a case is a title and sections, each
 * begun by a line `---- name argument`. A test reads sections by name, and what it did not read is an error, so that no
 * field stands in a file unasserted.
 */

export interface GoldenCase {
  readonly title: string
  readonly sections: readonly GoldenSection[]
}

export interface GoldenSection {
  readonly name: string // as in `---- document typescript`: "document"
  readonly argument: string // "typescript", or empty
  readonly text: string // its lines, without the last line break
}

export function parseGolden(file: string): GoldenCase[] {
  return file
    .replace(/\n$/, '')
    .split(/^====\n/m)
    .map(parseCase)
}

export function formatGolden(cases: readonly GoldenCase[]): string {
  return cases.map(formatCase).join('====\n')
}

/** Reads one case's sections and knows which were left. */
export function readSections(golden: GoldenCase) {
  const unread = new Map(golden.sections.map((section) => [section.name, section]))
  if (unread.size < golden.sections.length) throw new Error(`${golden.title}: a section stands there twice`)
  return {
    take(name: string): GoldenSection {
      const section = unread.get(name)
      if (section === undefined) throw new Error(`${golden.title}: no section "${name}"`)
      unread.delete(name)
      return section
    },
    /** A section without text that may be absent. */
    takeFlag(name: string, argument: string): boolean {
      const section = unread.get(name)
      if (section === undefined) return false
      if (section.argument !== argument || section.text !== '') {
        throw new Error(`${golden.title}: "${name}" can only be "---- ${name} ${argument}" without lines of its own`)
      }
      return unread.delete(name)
    },
    end(): void {
      if (unread.size > 0)
        throw new Error(`${golden.title}: nothing reads the section "${[...unread.keys()].join('", "')}"`)
    },
  }
}

function parseCase(text: string): GoldenCase {
  const [title = '', ...parts] = text.replace(/\n$/, '').split(/\n?^---- /m)
  if (title === '' || title.includes('\n')) throw new Error(`a case begins with a title of one line, not "${title}"`)
  return { title, sections: parts.map(parseSection) }
}

function parseSection(part: string): GoldenSection {
  const end = part.indexOf('\n')
  const head = end < 0 ? part : part.slice(0, end)
  const [name = '', ...argument] = head.split(' ')
  return { name, argument: argument.join(' '), text: end < 0 ? '' : part.slice(end + 1) }
}

function formatCase({ title, sections }: GoldenCase): string {
  return `${[title, ...sections.map(formatSection)].join('\n')}\n`
}

function formatSection({ name, argument, text }: GoldenSection): string {
  const head = `---- ${name}${argument === '' ? '' : ` ${argument}`}`
  return text === '' ? head : `${head}\n${text}`
}
