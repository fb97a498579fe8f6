/**
 * A block ends where the text goes left of the cursor's line, or back to it when that line was begun by the user and
 * opens the block. Lines that close something (`}`, `end`, `</div>`) or carry it on (`else:`) are no such end, nor is
 * what stands inside a string or a comment of several lines, nor a preprocessor line.
 */
import type { Filter } from './filter.ts'
import { cursorLine, indentOf, isBlank } from './lines.ts'
import { openAfter } from './readCode.ts'

const closing = /^\s*(?:[)\]}]|<\/|end\b|fi\b|done\b|esac\b|#(?:if|ifdef|ifndef|el|end|define|undef|include|pragma))/
const carryingOn = /^\s*(?:else|elif|elsif|elseif|except|finally|catch|rescue|ensure|when)\b/

export const stopAtDedent: Filter = (text, context) => {
  if (context.scope === 'line') return text
  const [first = '', ...lines] = text.split('\n')
  const firstLine = cursorLine(context) + first
  const base = indentOf(firstLine)
  const next = lines.find((line) => !isBlank(line))
  const opensBlock = !isBlank(cursorLine(context)) && next !== undefined && indentOf(next) > base

  let offset = first.length
  for (const line of lines) {
    const indent = indentOf(line)
    const leaves = indent < base || (opensBlock && indent === base && !carryingOn.test(line))
    if (leaves && !isBlank(line) && !closing.test(line)) {
      const { quote } = openAfter(text.slice(0, offset + 1), context)
      if (quote === '') return text.slice(0, offset)
    }
    offset += 1 + line.length
  }
  return text
}
