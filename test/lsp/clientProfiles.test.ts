import { expect, test } from 'vitest'
import type { ClientCapabilities } from 'vscode-languageserver'
import { clientProfile } from '../../server/lsp/clientProfiles.ts'

const snippets: ClientCapabilities = { textDocument: { completion: { completionItem: { snippetSupport: true } } } }

test('Neovim gets snippets only if it has an engine for them', () => {
  expect(clientProfile('Neovim', snippets)).toMatchObject({
    format: 'snippet',
    indent: 'relative',
    keepsAfterCursor: true,
  })
  expect(clientProfile('Neovim', {}).format).toBe('plain')
})

test('Kakoune gets snippets always', () => expect(clientProfile('kakoune-lsp', {}).format).toBe('snippet'))

test('others get plain text, also those that could have snippets', () => {
  for (const name of [
    'helix',
    'Visual Studio Code',
    'Visual Studio Code - Insiders',
    'Eglot',
    'emacs',
    'Zed',
    undefined,
  ]) {
    expect(clientProfile(name, snippets), name ?? 'unnamed').toMatchObject({ format: 'plain', indent: 'absolute' })
  }
})

test('what capabilities say', () => {
  const completionItem = {
    insertTextModeSupport: { valueSet: [1 as const] },
    documentationFormat: ['markdown' as const],
  }
  expect(clientProfile('x', { textDocument: { completion: { completionItem } } })).toMatchObject({
    asIs: true,
    markdown: true,
  })
  expect(clientProfile('x', {})).toMatchObject({ asIs: false, markdown: false })
})

test('names of Object.prototype are no editors', () => {
  expect(clientProfile('constructor', {})).toEqual(clientProfile(undefined, {}))
})
