/**
 * What an editor's snippet engine makes of a snippet: the protocol's grammar, so that whatever was meant as text and not
 * escaped comes out as something else. Tab stops leave their default; a variable nobody knows leaves its name.
 */

export function expandSnippet(snippet: string): string {
  const { text } = parse(snippet, 0, false)
  return text
}

interface Parsed {
  readonly text: string
  readonly end: number // where reading stopped
}

function parse(snippet: string, from: number, isInside: boolean): Parsed {
  let text = ''
  let at = from
  while (at < snippet.length) {
    const unit = snippet[at]!
    if (unit === '\\' && /[\\$}]/.test(snippet[at + 1] ?? '')) {
      text += snippet[at + 1]
      at += 2
    } else if (isInside && unit === '}') {
      return { text, end: at }
    } else if (unit === '$') {
      const filled = placeholder(snippet, at)
      text += filled?.text ?? unit
      at = filled?.end ?? at + 1
    } else {
      text += unit
      at++
    }
  }
  return { text, end: at }
}

/** `$1`, `$name`, `${1}`, `${1:default}`, `${name:default}`, `${1|one,two|}`; undefined where the dollar is none of these. */
function placeholder(snippet: string, at: number): Parsed | undefined {
  const simple = /^\$(?:(\d+)|([_a-zA-Z]\w*))/.exec(snippet.slice(at))
  if (simple) return { text: simple[2] ?? '', end: at + simple[0].length }
  const braced = /^\$\{(?:(\d+)|([_a-zA-Z]\w*))(:|\||\})/.exec(snippet.slice(at))
  if (!braced) return undefined
  const [whole, , name = '', then] = braced
  const start = at + whole.length
  if (then === '}') return { text: name, end: start }
  if (then === '|') {
    const end = snippet.indexOf('|}', start)
    return end < 0 ? undefined : { text: snippet.slice(start, end).split(',')[0]!, end: end + 2 }
  }
  const { text, end } = parse(snippet, start, true)
  return { text, end: end + 1 }
}
