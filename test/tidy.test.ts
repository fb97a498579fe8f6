/** House rules as tests: which room imports which, and which package has which owner (`ARCHITECTURE.md`). */
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const server = fileURLToPath(new URL('../server', import.meta.url))

const rooms: Readonly<Record<string, readonly string[]>> = {
  'main.ts': ['cli'],
  cli: ['lsp', 'session', 'infill', 'denoise', 'cache', 'engine', 'endpoint', 'model', 'config'],
  lsp: ['session', 'config'],
  session: ['infill', 'denoise', 'cache'],
  infill: [],
  denoise: ['engine/engine.ts', 'engine/gapLoop.ts'],
  cache: ['engine/engine.ts'],
  engine: ['model'],
  endpoint: ['infill/infiller.ts'],
  model: [],
  config: [],
  base: [],
}

const owners: Readonly<Record<string, readonly string[]>> = {
  'vscode-languageserver': ['lsp'],
  'vscode-languageserver-protocol': ['lsp'],
  'vscode-languageserver-textdocument': ['lsp'],
  'onnxruntime-node': ['engine'],
  '@huggingface/tokenizers': ['model'],
  '@bufbuild/protobuf': ['model'],
  'env-paths': ['model', 'config'],
  ignore: ['config'],
  'lru-cache': ['cache'],
  zod: ['config', 'model'],
}

interface Import {
  readonly from: string // file, relative to server/
  readonly to: string // file relative to server/, or a package
  readonly relative: boolean
}

function allImports(): Import[] {
  const files = readdirSync(server, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.name.endsWith('.ts'),
  )
  return files.flatMap((entry) => {
    const path = join(entry.parentPath, entry.name)
    const from = relative(server, path)
    const text = readFileSync(path, 'utf8')
    const specifiers = [...text.matchAll(/(?:^|\s)(?:from|import\()\s*'([^']+)'/g)].map((match) => match[1]!)
    return specifiers.map((specifier) =>
      specifier.startsWith('.')
        ? { from, to: relative(server, join(entry.parentPath, specifier)), relative: true }
        : { from, to: specifier, relative: false },
    )
  })
}

const imports = allImports()
const roomOf = (file: string): string => file.split('/')[0]!

test('there is something to check', () => {
  expect(imports.length).toBeGreaterThan(100)
})

test('rooms import only what the table allows', () => {
  const breaches = imports.filter(({ from, to, relative }) => {
    if (!relative || to.startsWith('..')) return false
    const allowed = rooms[roomOf(from)]
    if (roomOf(from) === roomOf(to) || roomOf(to) === 'base') return false
    return !allowed?.some((place) => place === roomOf(to) || place === to)
  })
  expect(breaches.map(({ from, to }) => `${from} → ${to}`)).toEqual([])
})

test('each package has one owner', () => {
  const breaches = imports.filter(({ from, to, relative }) => {
    if (relative || to.startsWith('node:')) return false
    const name = to.startsWith('@') ? to.split('/').slice(0, 2).join('/') : to.split('/')[0]!
    return !owners[name]?.includes(roomOf(from))
  })
  expect(breaches.map(({ from, to }) => `${from} → ${to}`)).toEqual([])
})
