/** What a model card says of the licence, and whether it lets everybody do anything with the model. */

export interface Licence {
  readonly text: string // as the card has it; 'unknown' when it says nothing
  readonly permissive: boolean
}

/** Model cards name licences by these identifiers. All others, and none, must be accepted by hand. */
const permissive = /^(apache-2\.0|mit|bsd|bsd-[\w-]+|isc|cc-by-4\.0)$/

/**
 * @param names one or several; several must all be permissive.
 * @param detail what the card adds to `other`: a name, an address.
 */
export function licenceOf(names: string | readonly string[] | null | undefined, detail = ''): Licence {
  const all = (typeof names === 'string' ? [names] : (names ?? [])).map((name) => printable(name)).filter(Boolean)
  if (all.length === 0) return { text: 'unknown', permissive: false }
  return {
    text: `${all.join(', ')}${detail ? ` (${printable(detail)})` : ''}`,
    permissive: all.every((name) => permissive.test(name.toLowerCase())),
  }
}

/** The `license:` of a README's front matter; none when there is none. */
export function licenceInCard(readme: string): string | undefined {
  const frontMatter = /^---\r?\n([\s\S]*?)\r?\n---/.exec(readme)?.[1]
  const value = frontMatter && /^license:[ \t]*["']?([^"'\r\n]+?)["']?[ \t]*$/m.exec(frontMatter)?.[1]
  return value || undefined
}

/** Text from elsewhere on one line, without control characters. */
export function printable(text: string): string {
  return text
    .replace(/[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]+/g, ' ')
    .trim()
    .slice(0, 200)
}
