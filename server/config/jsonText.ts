/** JSON that a person wrote: where it is broken is said as an editor counts, line and column. Pure. */

export type ParsedJson =
  | { readonly value: unknown }
  | { readonly problem: string; readonly line: number; readonly column: number }

/** Lines and columns from 1, columns in UTF-16 units. A byte order mark is no fault. */
export function parseJsonText(text: string): ParsedJson {
  const plain = text.replace(/^\ufeff/, '')
  try {
    return { value: JSON.parse(plain) }
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    const { offset, wanted } = firstFault(plain)
    const before = plain.slice(0, offset)
    const line = before.split('\n').length
    const column = offset - before.lastIndexOf('\n')
    const found = offset >= plain.length ? 'the end' : JSON.stringify(String.fromCodePoint(plain.codePointAt(offset)!))
    return { problem: `wanted ${wanted}, found ${found}`, line, column }
  }
}

interface Fault {
  readonly offset: number
  readonly wanted: string
}

const blanks = /[ \t\r\n]*/y
const scalar =
  /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y
const name = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y

/**
 * Of text that is no JSON. `JSON.parse` says where only for some faults, and not in the same way in all versions of Node.
 * In one pass, and without calls within calls: a stranger may have written it.
 */
function firstFault(text: string): Fault {
  let at = 0
  const open: string[] = [] // brackets not yet closed
  let next: 'value' | 'first value' | 'name' | 'first name' | 'colon' | 'comma' | 'end' = 'value'
  const take = (pattern: RegExp): boolean => {
    pattern.lastIndex = at
    if (!pattern.test(text)) return false
    at = pattern.lastIndex
    return true
  }
  for (;;) {
    take(blanks)
    const character = text[at]
    const inObject = open.at(-1) === '{'
    const mayClose = next === 'first value' || next === 'first name' || next === 'comma'
    if (mayClose && open.length > 0 && character === (inObject ? '}' : ']')) {
      at++
      open.pop()
      next = open.length === 0 ? 'end' : 'comma'
      continue
    }
    switch (next) {
      case 'value':
      case 'first value':
        if (character === '{' || character === '[') {
          at++
          open.push(character)
          next = character === '{' ? 'first name' : 'first value'
        } else if (take(scalar)) next = open.length === 0 ? 'end' : 'comma'
        else return { offset: at, wanted: next === 'value' ? 'a value' : 'a value or "]"' }
        break
      case 'name':
      case 'first name':
        if (!take(name)) return { offset: at, wanted: `a name in double quotes${next === 'name' ? '' : ' or "}"'}` }
        next = 'colon'
        break
      case 'colon':
        if (character !== ':') return { offset: at, wanted: '":"' }
        at++
        next = 'value'
        break
      case 'comma':
        if (character !== ',') return { offset: at, wanted: inObject ? '"," or "}"' : '"," or "]"' }
        at++
        next = inObject ? 'name' : 'value'
        break
      case 'end':
        return { offset: at, wanted: 'nothing more' }
    }
  }
}
