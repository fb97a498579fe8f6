/**
 * Blocks and functions around a place, by brackets or by indentation: what a few rules can tell without a parser. Where
 * they cannot tell, there is no block, and the action is not offered. Pure.
 */
import { lineEnd, lineStart, type Span } from '../../base/spans.ts'
import { closerOf, enclosingOpener, indentAt, openerOf, type Source, trimmed } from './source.ts'

export interface Block {
  readonly kind: 'braces' | 'indented'
  /** From the first character of the header's line to where the body may begin: the opening brace, or behind the colon. */
  readonly header: Span
  /** Between the braces; the indented lines, from the header's end to the last one's end. */
  readonly body: Span
  readonly function?: FunctionHeader
}

export interface FunctionHeader {
  readonly name: Span | undefined
  /** Between the parentheses. */
  readonly parameters: Span
}

const indented = new Set(['python', 'ruby', 'lua'])

/** The innermost block at an offset: the one whose header or body it is in. */
export function blockAt(
  source: Source,
  offset: number,
  accepts: (block: Block) => boolean = () => true,
): Block | undefined {
  return indented.has(source.languageId) ? indentedAt(source, offset, accepts) : bracedAt(source, offset, accepts)
}

/** The innermost function at an offset. */
export function functionAt(
  source: Source,
  offset: number,
): (Block & { readonly function: FunctionHeader }) | undefined {
  const block = blockAt(source, offset, ({ function: header }) => header !== undefined)
  return block?.function ? { ...block, function: block.function } : undefined
}

// Braces.

function bracedAt(source: Source, offset: number, accepts: (block: Block) => boolean): Block | undefined {
  const { code } = source
  // The header first: its brace is still to come. Two lines further on at the most.
  const ahead = code
    .slice(offset, offset + 400)
    .split('\n', 3)
    .join('\n')
  for (const match of ahead.matchAll(/\{/g)) {
    const block = bracedFrom(source, offset + match.index)
    if (block && block.header.start <= offset && accepts(block)) return block
  }
  for (let at = enclosingOpener(code, offset, '{'); at !== undefined; at = enclosingOpener(code, at, '{')) {
    const block = bracedFrom(source, at)
    if (block && accepts(block)) return block
  }
  return undefined
}

function bracedFrom(source: Source, brace: number): Block | undefined {
  const { code } = source
  const end = closerOf(code, brace)
  if (end === undefined) return undefined
  const header = headerBefore(code, brace)
  if (!header) return undefined
  const found = functionIn(source, header)
  return { kind: 'braces', header, body: { start: brace + 1, end }, ...(found ? { function: found } : {}) }
}

/** What an opening brace belongs to, from the start of its line; `undefined` for an object, a set, a string's hole. */
function headerBefore(code: string, brace: number): Span | undefined {
  const before = code.slice(Math.max(0, brace - 600), brace).trimEnd()
  const end = brace - (code.slice(Math.max(0, brace - 600), brace).length - before.length)
  if (/\b(?:else|try|do|finally|loop|unsafe)$/.test(before)) return { start: lineStart(code, end), end: brace }
  const keyword =
    /(?:^|[;{}\n])[ \t]*(?:\w+[ \t]+)*?(?:class|struct|interface|enum|impl|trait|namespace|mod|union|extend|type)\b[^;{}=\n]*$/
  if (keyword.test(before)) return { start: lineStart(code, end), end: brace }
  // Up to here a parameter list, and what may stand between it and the brace: `=>`, a type, `const`, `throws X`.
  const tail =
    /\)((?:[ \t\n]*(?:=>|->|:|const\b|noexcept\b|override\b|final\b|throws\b|where\b)?[ \t]*[\w.,:<>[\]()&*|?'" \t!]*))$/.exec(
      before,
    )
  if (!tail)
    return /\b(?:if|for|while|switch|match)\b[^;{}\n]*$/.test(before)
      ? { start: lineStart(code, end), end: brace }
      : undefined
  const after = tail[1]!.trim()
  if (/=$/.test(after) || /^[,.]/.test(after)) return undefined
  // The outermost list on the header's line: a return type in parentheses stands on the same one.
  const closing = before.indexOf(')', before.length - tail[0].length)
  const base = end - before.length
  const opener = openerOf(code, base + closing)
  return opener === undefined ? undefined : { start: lineStart(code, opener), end: brace }
}

const control =
  /^\s*(?:\}\s*)?(?:if|for|while|switch|catch|else|do|try|with|match|loop|unless|until|foreach|using|lock|synchronized|return|throw|await|new|case)\b/

const named =
  /(?:\bfunction\b\s*\*?\s*([\w$]*)|\bfn\s+(\w+)|\bfunc\s*(?:\([^)]*\)\s*)?(\w*)|\bfun\s+(?:<[^>]*>\s*)?(?:\w+\.)?(\w+))\s*(?:<[^(]*>|\[[^\]]*\])?\s*\(/
const method = /([\w$~#]+)\s*(?:<[^(]*>)?\s*\(/

function functionIn({ code }: Source, { start, end }: Span): FunctionHeader | undefined {
  const text = code.slice(start, end)
  const keyword = named.exec(text)
  if (keyword) return headerOf(code, start, keyword)
  if (/=>\s*$/.test(text)) {
    // The list right before the arrow: calls may stand left of it.
    const closing = text.lastIndexOf(')')
    const opener = closing < 0 ? undefined : openerOf(code, start + closing)
    if (opener === undefined || opener < start) return undefined
    const bound = /([\w$]+)\s*(?::[^=]*)?[=:]\s*(?:async\s*)?(?:<[^(]*>)?$/.exec(code.slice(start, opener))
    const at = bound ? start + bound.index : 0
    return {
      name: bound ? { start: at, end: at + bound[1]!.length } : undefined,
      parameters: { start: opener + 1, end: start + closing },
    }
  }
  if (control.test(text) || /[=.]\s*[\w$]+\s*\(/.test(text) || /=/.test(text.replace(/\([\s\S]*\)/, '')))
    return undefined
  const match = method.exec(text)
  return match ? headerOf(code, start, match) : undefined
}

function headerOf(code: string, start: number, match: RegExpExecArray): FunctionHeader | undefined {
  const open = start + match.index + match[0].length - 1
  const close = closerOf(code, open)
  if (close === undefined) return undefined
  const name = match.slice(1).find((group) => group !== undefined && group !== '')
  const at = name === undefined ? 0 : start + match.index + match[0].lastIndexOf(name, match[0].length - 1)
  return {
    name: name === undefined ? undefined : { start: at, end: at + name.length },
    parameters: { start: open + 1, end: close },
  }
}

// Indentation.

const headers: Readonly<Record<string, RegExp>> = {
  python: /^[ \t]*(?:async[ \t]+)?(?:def|class|if|elif|else|for|while|with|try|except|finally|match|case)\b/,
  ruby: /^[ \t]*def\b/,
  lua: /^[ \t]*(?:local[ \t]+)?(?:[\w.]+[ \t]*=[ \t]*)?function\b/,
}
const definitions: Readonly<Record<string, RegExp>> = {
  python: /^[ \t]*(?:async[ \t]+)?def[ \t]+(\w+)[ \t]*(?:\[[^\]]*\])?\(/,
  ruby: /^[ \t]*def[ \t]+(?:self\.)?(\w+[?!]?)\(/,
  lua: /^[ \t]*(?:local[ \t]+)?(?:([\w.]+)[ \t]*=[ \t]*)?function[ \t]*([\w.:]*)[ \t]*\(/,
}

function indentedAt(source: Source, offset: number, accepts: (block: Block) => boolean): Block | undefined {
  const { code, text } = source
  let at = lineStart(code, offset)
  // A blank line belongs to what stands above it.
  while (at > 0 && isBlankLine(text, at)) at = lineStart(text, at - 1)
  let limit = Number.POSITIVE_INFINITY
  for (;;) {
    if (!isBlankLine(text, at)) {
      const column = columnsOf(indentAt(text, at))
      if (column < limit) {
        // A line inside of brackets has the indentation of the line where they open.
        const opener = enclosingOpener(code, at, '([{', 4000)
        if (opener !== undefined && lineStart(code, opener) < at) {
          at = lineStart(code, opener)
          continue
        }
        const block = indentedFrom(source, at)
        if (block && block.body.end >= Math.min(offset, lineEnd(text, at)) && accepts(block)) return block
        limit = column
      }
    }
    if (at === 0 || limit === 0) return undefined
    at = lineStart(text, at - 1)
  }
}

function indentedFrom(source: Source, start: number): Block | undefined {
  const { code, text, languageId } = source
  const line = code.slice(start, lineEnd(code, start))
  if (!headers[languageId]!.test(line)) return undefined
  const match = definitions[languageId]!.exec(line)
  const header = match ? headerOf(code, start, match) : undefined
  const end = headerEnd(source, header ? header.parameters.end + 1 : start, match !== null)
  if (end === undefined) return undefined
  return {
    kind: 'indented',
    header: { start, end },
    body: indentedBody(text, start, end),
    ...(header ? { function: header } : {}),
  }
}

function headerEnd({ code, languageId }: Source, from: number, isFunction: boolean): number | undefined {
  if (languageId !== 'python') return lineEnd(code, from)
  if (isFunction) {
    const rest = /^[ \t]*(?:->[^:\n]*(?:\[[^\]]*\])?[^:\n]*)?:/.exec(code.slice(from, from + 400))
    return rest ? from + rest[0].length : undefined
  }
  const end = lineEnd(code, from)
  const colon = code.slice(from, end).trimEnd()
  return colon.endsWith(':') ? from + colon.length : undefined
}

function indentedBody(text: string, headerStart: number, headerEnd: number): Span {
  const column = columnsOf(indentAt(text, headerStart))
  const firstEnd = lineEnd(text, headerEnd)
  let end = text.slice(headerEnd, firstEnd).trim() === '' ? headerEnd : firstEnd
  for (let at = nextLine(text, firstEnd); at !== undefined; at = nextLine(text, lineEnd(text, at))) {
    if (isBlankLine(text, at)) continue
    if (columnsOf(indentAt(text, at)) <= column) break
    end = lineEnd(text, at)
  }
  return { start: headerEnd, end }
}

function nextLine(text: string, end: number): number | undefined {
  if (end >= text.length) return undefined
  return end + (text.startsWith('\r\n', end) ? 2 : 1)
}

function isBlankLine(text: string, start: number): boolean {
  return text.slice(start, lineEnd(text, start)).trim() === ''
}

function columnsOf(indent: string): number {
  let columns = 0
  for (const unit of indent) columns += unit === '\t' ? 8 - (columns % 8) : 1
  return columns
}

/** Whether a block's body holds no code of its own: nothing, `pass`, `...`, a comment. */
export function isBodyEmpty({ text, code, languageId }: Source, { body }: Block): boolean {
  const { start, end } = trimmed(code, body)
  const inside = code.slice(start, end)
  if (inside === '' || (languageId === 'python' && /^(?:pass|\.\.\.)$/.test(inside))) return true
  return /^(?:\/\/|#|--|\/\*)/.test(text.slice(start, end)) && /^[/#*-]*\s*$/.test(inside)
}
