/**
 * The extension of clients/vscode with VS Code's own language client, in plain Node: what its providers return is put into
 * the document as VS Code does, and compared byte for byte. VS Code itself is a stub here.
 */
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import Module, { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { buildServers } from './buildServers.ts'
import { type Case, caseNamed, cases, knownTexts } from './cases.ts'
import { stalled } from './stalled.ts'
import { createVscodeStub, type StubDocument } from './vscodeStub.ts'

const extension = resolve('clients/vscode/dist/extension.cjs')
const reason = existsSync(extension) ? '' : 'clients/vscode is not built; npm install && npm run build there'
if (reason) process.stderr.write(`VS Code's client is not tested: ${reason}\n`)

describe.skipIf(reason !== '')(`VS Code's language client${reason && ` (skipped: ${reason})`}`, () => {
  let folder: string
  let stub: ReturnType<typeof createVscodeStub>
  let stall: string
  const token = { isCancellationRequested: false, onCancellationRequested: () => ({ dispose() {} }) }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lacuna-vscode-'))
    const servers = await buildServers(folder)
    stall = join(folder, 'stall')
    await writeFile(join(folder, 'known.json'), JSON.stringify(knownTexts))
    process.env.LACUNA_KNOWN = join(folder, 'known.json')
    process.env.LACUNA_STALL = stall
    stub = createVscodeStub({
      command: [process.execPath, servers.scripted, '--stdio'],
      showAbove: 0,
      completionBudgetMs: 3000,
      inlineBudgetMs: 5000,
    })
    await activate()
  })
  afterAll(async () => {
    await loaded?.deactivate()
    await rm(folder, { recursive: true, force: true })
  })

  test.each(cases)('ghost text: $name', async (each) => {
    const document = open(each)
    const { items } = await inline(document, each.cursor)
    expect(items.map(({ insertText }) => insertText)).toEqual([each.fill])
    put(document, items[0]!.range, items[0]!.insertText)
    expect(document.getText()).toBe(each.filled)
  })

  test.each(cases)('menu: $name', async (each) => {
    const document = open(each)
    const list = await stub.registered
      .get('completion')
      .provideCompletionItems(document, document.positionAt(each.cursor), token, { triggerKind: 0 })
    const [item] = list.items
    // Plain text, and the range that VS Code gets.
    expect(typeof item.insertText).toBe('string')
    put(document, item.range.inserting ?? item.range, item.insertText)
    expect(document.getText()).toBe(each.filled)
  })

  test('changed between request and answer: the old answer is for nobody', async () => {
    const each = caseNamed('end of a line')
    const { refused, fresh } = await stalled(stall, async () => {
      const document = open(each)
      const old = inline(document, each.cursor)
      document.change(each.cursor, each.cursor, 'de')
      const refused = old.then(
        () => 'an answer',
        (error: unknown) => (error as object).constructor,
      )
      return { refused, fresh: inline(document, each.cursor + 2) }
    })
    await expect(refused).resolves.toBe(stub.vscode.CancellationError) // silent in VS Code
    expect(((await fresh)?.items ?? []).map(({ insertText }) => insertText)).not.toContain(each.fill)
  })

  test('the status item is busy while an answer is waited for', async () => {
    await expect.poll(() => stub.statusItem).toMatchObject({ busy: false, text: 'Lacuna', severity: 0 })
    const each = caseNamed('tabs')
    const { asked } = await stalled(stall, async () => {
      const asked = inline(open(each), each.cursor)
      await expect.poll(() => stub.statusItem.busy, { timeout: 5000 }).toBe(true)
      return { asked }
    })
    await asked
    await expect.poll(() => stub.statusItem.busy, { timeout: 5000 }).toBe(false)
  })

  interface Inline {
    readonly items: { readonly insertText: string; readonly range: { readonly start: Place; readonly end: Place } }[]
  }
  type Place = Parameters<StubDocument['offsetAt']>[0]

  function inline(document: StubDocument, cursor: number): Promise<Inline> {
    const context = { triggerKind: 1, selectedCompletionInfo: undefined }
    return stub.registered
      .get('inline')
      .provideInlineCompletionItems(document, document.positionAt(cursor), context, token)
  }

  let count = 0
  function open({ file, text }: Case): StubDocument {
    return stub.open(join(folder, `${count++}-${file}`), 'python', text)
  }

  function put(document: StubDocument, { start, end }: { start: Place; end: Place }, text: string): void {
    document.change(document.offsetAt(start), document.offsetAt(end), text)
  }

  let loaded: { activate(context: object): Promise<unknown>; deactivate(): Promise<void> | undefined } | undefined

  /** `require('vscode')` is answered by the stub. */
  async function activate(): Promise<void> {
    const load = (Module as unknown as { _load: (name: string, ...rest: unknown[]) => unknown })._load
    ;(Module as unknown as { _load: unknown })._load = (name: string, ...rest: unknown[]) =>
      name === 'vscode' ? stub.vscode : load(name, ...rest)
    try {
      loaded = createRequire(import.meta.url)(extension)
    } finally {
      ;(Module as unknown as { _load: unknown })._load = load
    }
    await loaded!.activate({ extensionPath: resolve('clients/vscode'), subscriptions: [] })
  }
})
