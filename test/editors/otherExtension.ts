/** An extension that starts the other server (`otherServer.ts`) with VS Code's own language client. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { build } from 'rolldown'

/**
 * @param folder of extensions; VS Code finds what lies there when it is first started.
 * @param pattern of the files where that server answers: where it does, VS Code asks for no words of the file.
 */
export async function putOtherExtension(folder: string, server: string, pattern: string): Promise<void> {
  const extension = join(folder, 'lacuna.other-0.0.1')
  await mkdir(extension, { recursive: true })
  const manifest = {
    name: 'other',
    publisher: 'lacuna',
    version: '0.0.1',
    engines: { vscode: '^1.91.0' },
    main: './extension.cjs',
    activationEvents: ['onStartupFinished'],
  }
  await writeFile(join(extension, 'package.json'), JSON.stringify(manifest))
  const executable = JSON.stringify({ command: process.execPath, args: [server] })
  const options = JSON.stringify({ documentSelector: [{ pattern }] })
  const source = join(extension, 'source.js')
  await writeFile(
    source,
    `import { LanguageClient } from 'vscode-languageclient/node'
export const activate = () => new LanguageClient('other', 'Other', ${executable}, ${options}).start()`,
  )
  await build({
    input: source,
    platform: 'node',
    external: ['vscode'],
    resolve: { modules: [resolve('clients/vscode/node_modules')] },
    logLevel: 'silent',
    output: { file: join(extension, 'extension.cjs'), format: 'cjs' },
  })
}
