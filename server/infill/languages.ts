/**
 * What the rooms know of languages, by LSP's name of each: how comments and strings are written, where documentation
 * stands. One table; a language that is not in it reads like C.
 */

/** What a reader of brackets must skip. */
export interface CodeSyntax {
  readonly comment: '//' | '#' | '--' // of a line; the slash kind has /* */ too
  readonly quotes: readonly string[] // longest first
  readonly lifetimes: boolean // 'a is no string
}

/** Where the description of a function stands, and what is around it. */
export interface DocumentationStyle {
  readonly place: 'above' | 'below' // the signature
  readonly open: string // line breaks are LF, without indentation
  readonly close: string
  /** The text begins with the function's name, as Go wants it. */
  readonly beginsWithName?: true
}

const slashes: CodeSyntax = { comment: '//', quotes: ['"""', '"', "'", '`'], lifetimes: false }
const rust: CodeSyntax = { comment: '//', quotes: ['"'], lifetimes: true }
const hashes: CodeSyntax = { comment: '#', quotes: ['"""', "'''", '"', "'"], lifetimes: false }
const shell: CodeSyntax = { comment: '#', quotes: ['"', "'", '`'], lifetimes: false }
const dashes: CodeSyntax = { comment: '--', quotes: ['"', "'"], lifetimes: false }
const hashLanguages = 'python ruby yaml toml perl r elixir julia makefile dockerfile cmake nix powershell'.split(' ')
const codeSyntaxes: ReadonlyMap<string, CodeSyntax> = new Map([
  ...hashLanguages.map((id): [string, CodeSyntax] => [id, hashes]),
  ['shellscript', shell],
  ['lua', dashes],
  ['sql', dashes],
  ['haskell', dashes],
  ['rust', rust],
])

export function codeSyntaxOf(languageId: string): CodeSyntax {
  return codeSyntaxes.get(languageId) ?? slashes
}

/** Comments that `codeSyntaxOf` does not tell: of languages whose brackets are read like C's all the same. */
const otherComments: Readonly<Record<string, readonly [open: string, close: string]>> = {
  html: ['<!-- ', ' -->'],
  xml: ['<!-- ', ' -->'],
  svg: ['<!-- ', ' -->'],
  markdown: ['<!-- ', ' -->'],
  vue: ['<!-- ', ' -->'],
  svelte: ['<!-- ', ' -->'],
  css: ['/* ', ' */'],
  scss: ['// ', ''],
  ocaml: ['(* ', ' *)'],
  fsharp: ['// ', ''],
  clojure: [';; ', ''],
  'emacs-lisp': [';; ', ''],
  elisp: [';; ', ''],
  lisp: [';; ', ''],
  scheme: [';; ', ''],
  erlang: ['% ', ''],
  latex: ['% ', ''],
  tex: ['% ', ''],
  vim: ['" ', ''],
  ini: ['; ', ''],
}

/** A text as comment lines, without line break at its end. What would end the comment is taken out of it. */
export function commentLines(text: string, languageId: string, indent: string, lineBreak: string): string {
  const [open, close] = otherComments[languageId] ?? [`${codeSyntaxOf(languageId).comment} `, '']
  const lines = text
    .split(/\r\n?|\n/)
    .map((line) => (close === '' ? line : line.replaceAll(close.trim(), '')).trim())
    .filter((line) => line !== '')
  return lines.map((line) => `${indent}${open}${line}${close}`).join(lineBreak)
}

/** In lines of its own: on one line a model goes on with a tag, `@type` say, and not with words. */
const jsdoc: DocumentationStyle = { place: 'above', open: '/**\n * ', close: '\n */' }
const tripleSlash: DocumentationStyle = { place: 'above', open: '/// ', close: '' }
const documentationStyles: Readonly<Record<string, DocumentationStyle>> = {
  python: { place: 'below', open: '"""', close: '"""' },
  rust: tripleSlash,
  csharp: tripleSlash,
  swift: tripleSlash,
  dart: tripleSlash,
  go: { place: 'above', open: '// ', close: '', beginsWithName: true },
  lua: { place: 'above', open: '--- ', close: '' },
  ruby: { place: 'above', open: '# ', close: '' },
  shellscript: { place: 'above', open: '# ', close: '' },
}

export function documentationStyleOf(languageId: string): DocumentationStyle {
  return documentationStyles[languageId] ?? jsdoc
}
