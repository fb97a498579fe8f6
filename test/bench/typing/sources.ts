/**
 * The files that are typed: in a fresh clone our own Python and TypeScript, and the JavaScript of packages that
 * package-lock.json pins (server/ and training/ change, so `digest` tells whether two runs typed the same); with a folder,
 * that folder's files, as many of each language.
 */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { extname, join, resolve } from 'node:path'
import { seededRandom } from '../stats.ts'
import type { Source } from './recording.ts'

const languageIds: Readonly<Record<string, string>> = {
  '.py': 'python',
  '.ts': 'typescript',
  '.js': 'javascript',
  '.mjs': 'javascript',
}

export const languages = ['python', 'typescript', 'javascript'] as const

/** Readable, written by hand, and not minified. */
const packagedScripts = [
  'node_modules/vscode-languageserver/lib/common/server.js',
  'node_modules/vscode-languageserver/lib/common/notebook.js',
  'node_modules/vscode-languageserver/lib/common/semanticTokens.js',
  'node_modules/vscode-languageserver-textdocument/lib/esm/main.js',
  'node_modules/vscode-jsonrpc/lib/common/connection.js',
  'node_modules/vscode-jsonrpc/lib/common/messageReader.js',
  'node_modules/vscode-jsonrpc/lib/common/linkedMap.js',
  'node_modules/zod/v4/core/util.js',
]

const leastLines = 60
/** Git ignores these, and then nothing comes unasked. */
const ignored = /^node_modules\//

/** All that may be typed, in the order of their names. */
export function allSources(root: string, folder?: string): Source[] {
  const paths = folder
    ? pathsUnder(folder, '')
    : [...pathsUnder(root, 'training', '.py'), ...pathsUnder(root, 'server', '.ts'), ...packagedScripts]
  return paths
    .filter((path) => languageIds[extname(path)] && !path.endsWith('.d.ts'))
    .map((path) => ({
      name: path,
      ...(ignored.test(path) ? {} : { path: resolve(folder ?? root, path) }),
      languageId: languageIds[extname(path)]!,
      text: readFileSync(join(folder ?? root, path), 'utf8').replaceAll('\r\n', '\n'),
    }))
    .filter(({ text }) => text.split('\n').length >= leastLines)
}

/** As many of each language, drawn by a seed, in turn; more of them begin with the fewer. */
export function drawSources(all: readonly Source[], perLanguage: number, seed: number): Source[] {
  const drawn = languages.map((languageId) => {
    const random = seededRandom(seed)
    const own = all.filter((source) => source.languageId === languageId)
    return Array.from({ length: Math.min(perLanguage, own.length) }, () =>
      own.splice(Math.floor(random() * own.length), 1),
    ).flat()
  })
  return Array.from({ length: perLanguage }, (_, i) => drawn.flatMap((own) => own.slice(i, i + 1))).flat()
}

/** The same for the same texts. */
export function digestOf(sources: readonly Source[]): string {
  const hash = createHash('sha256')
  for (const { text } of sources) hash.update(text)
  return hash.digest('hex').slice(0, 12)
}

function pathsUnder(root: string, folder: string, extension = ''): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith(extension))
    .map((path) => join(folder, path))
    .toSorted()
}
