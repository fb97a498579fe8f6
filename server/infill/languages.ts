/**
 * What the rooms know of languages, by LSP's name of each: how comments and strings are written, where documentation
 * stands. One table; a language that is not in it reads like C.
 */

/** What a reader of brackets must skip. */
export interface CodeSyntax {
  readonly comment: '//' | '#' | '--' | ';' // of a line; the slash kind has /* */ too
  readonly quotes: readonly string[] // longest first
  readonly lifetimes: boolean // 'a is no string
}

/** How names are written, in pieces of a regular expression with the flag `u`. */
export interface NameSyntax {
  readonly units: string // of a character class: all that is part of a name
  /** Of a character class: what stands right before a name makes it one of another kind. */
  readonly marks: string
  /** What a name may end in besides. */
  readonly end: string
  /** A dollar says of what kind a name is, and stays when the name is another. */
  readonly sigil: boolean
  /** A point, or an arrow, before a name says that it is a member of something. */
  readonly members: boolean
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
const semicolons: CodeSyntax = { comment: ';', quotes: ['"'], lifetimes: false }
const lisps = 'emacs-lisp elisp lisp commonlisp scheme racket clojure'
const codeSyntaxes: ReadonlyMap<string, CodeSyntax> = new Map([
  ...each('python ruby yaml toml perl r elixir julia makefile dockerfile cmake nix powershell', hashes),
  ...each('shellscript', shell),
  ...each('lua sql haskell', dashes),
  ...each('rust', rust),
  ...each(lisps, semicolons),
])

function each<Value>(languageIds: string, value: Value): [string, Value][] {
  return languageIds.split(' ').map((id) => [id, value])
}

export function codeSyntaxOf(languageId: string): CodeSyntax {
  return codeSyntaxes.get(languageId) ?? slashes
}

const letters = '\\p{L}\\p{N}\\p{M}_'
const commonNames: NameSyntax = { units: `${letters}$`, marks: '', end: '', sigil: false, members: true }
const nameSyntaxes: ReadonlyMap<string, NameSyntax> = new Map([
  ...each('php perl powershell', { ...commonNames, sigil: true }),
  ...each('shellscript makefile dockerfile', { ...commonNames, units: letters }),
  ...each('css scss less', { ...commonNames, units: `${letters}$\\-` }),
  // `#x` is private, and another than `x`.
  ...each('javascript javascriptreact typescript typescriptreact', { ...commonNames, marks: '#' }),
  ...each('ruby', { ...commonNames, marks: '@', end: '(?:[?!](?!=))?' }),
  ...each(lisps, { ...commonNames, units: `${letters}$*+/<=>!?&%^~.:|\\-`, members: false }),
])

/** A language that is not in the table has names like C's, and dollars in them. */
export function nameSyntaxOf(languageId: string): NameSyntax {
  return nameSyntaxes.get(languageId) ?? commonNames
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
