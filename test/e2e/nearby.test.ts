/** What else a request brings along: other open documents and files of the folder, none of them private. */
import { mkdtemp, realpath, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { DidCloseTextDocumentNotification } from 'vscode-languageserver/node'
import { offer, scriptedSession } from './scriptedSession.ts'
import { startServer } from './startServer.ts'

let root: string
beforeEach(async () => void (root = await realpath(await mkdtemp(join(tmpdir(), 'lacuna-nearby-')))))
afterEach(() => rm(root, { recursive: true, force: true }))

async function opened(initializationOptions = {}) {
  const session = scriptedSession(offer('x'))
  const server = await startServer(session, { workspaceFolders: [root], initializationOptions })
  return {
    server,
    /** What the session is told besides the document. */
    async nearby(document: Awaited<ReturnType<typeof server.open>>) {
      await server.inline(document)
      return session.seen.at(-1)!.nearby
    },
  }
}

test('open documents of its kind, the last changed first; then what lies in its folder', async () => {
  await writeFile(join(root, 'beside.py'), 'from the disk\n')
  await writeFile(join(root, 'other.py'), 'old, as it lies on the disk\n')
  await utimes(join(root, 'other.py'), 1, 1)
  const { server, nearby } = await opened()
  const main = await server.open('a║', 'python', join(root, 'main.py'))
  const other = await server.open('other\r\n║', 'python', join(root, 'other.py'))
  await server.open('no Python', 'markdown', join(root, 'notes.md'))
  await server.open('unsaved', 'python', 'untitled:Untitled-1')
  await expect.poll(() => nearby(main)).toEqual(['unsaved', 'other\n', 'from the disk\n'])
  await server.type(other, 'more')
  expect(await nearby(main)).toEqual(['other\nmore', 'unsaved', 'from the disk\n'])
  await server.client.sendNotification(DidCloseTextDocumentNotification.type, { textDocument: { uri: other.uri } })
  expect(await nearby(main)).toEqual(['unsaved', 'from the disk\n', 'old, as it lies on the disk\n'])
  await server.end()
})

test('private ones never, open or not', async () => {
  await writeFile(join(root, '.lacunaignore'), 'keys*.py\n')
  await writeFile(join(root, 'keys.py'), 'on the disk\n')
  const { server, nearby } = await opened()
  const main = await server.open('a║', 'python', join(root, 'main.py'))
  await server.open('open', 'python', join(root, 'keys_too.py'))
  await writeFile(join(root, 'seen.py'), 'seen\n')
  const another = await server.open('b', 'python', join(root, 'another.py'))
  for (let i = 0; i < 20; i++) expect(await nearby(main)).not.toContain('open')
  expect((await nearby(main))!.filter((text) => text === 'on the disk\n')).toEqual([])
  expect(await nearby(another)).toContain('a')
  await server.end()
})

test('nothing where the user wants it so', async () => {
  await writeFile(join(root, 'beside.py'), 'from the disk\n')
  const { server, nearby } = await opened({ nearby: false })
  const main = await server.open('a║', 'python', join(root, 'main.py'))
  await server.open('other', 'python', join(root, 'other.py'))
  for (let i = 0; i < 5; i++) expect(await nearby(main)).toEqual([])
  await server.end()
})
