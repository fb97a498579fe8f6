import { expect, test } from 'vitest'
import { expandSnippet } from './snippetEngine.ts'

test.for([
  ['plain', 'plain'],
  ['\\$1 \\} \\\\ }', '$1 } \\ }'],
  // biome-ignore-start lint/suspicious/noTemplateCurlyInString: snippets
  ['f($1, ${2:b})$0', 'f(, b)'],
  ['$HOME ${NAME:fall${1:back}} $', 'HOME fallback $'],
  ['${1|one,two|}!', 'one!'],
  ['\\n stays', '\\n stays'],
  // biome-ignore-end lint/suspicious/noTemplateCurlyInString: snippets
] as const)('%j becomes %j', ([snippet, text]) => expect(expandSnippet(snippet)).toBe(text))
