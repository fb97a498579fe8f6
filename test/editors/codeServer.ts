/** VS Code's workbench and extension host as code-server runs them, with homes of their own, ours installed. */
import { execFile, spawn, spawnSync } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const program = process.env.LACUNA_CODE_SERVER ?? 'code-server'

export function whyNoCodeServer(): string | undefined {
  return spawnSync(program, ['--version']).error ? `no ${program}; LACUNA_CODE_SERVER can name one` : undefined
}

export interface CodeServer {
  /** Its folder. */
  readonly workspace: string
  readonly url: string
  /** On the page that shows it: a file, the cursor at a line and column, both from 1. */
  open(path: string, line: number, column: number): Promise<void>
  close(): Promise<void>
}

/** @param folder is written to: the workspace is `work` inside; `extensions` may be there already, with others in it. */
export async function startCodeServer(
  folder: string,
  extension: string,
  settings: Readonly<Record<string, unknown>>,
  more: Readonly<Record<string, string>>,
): Promise<CodeServer> {
  const quiet = {
    'security.workspace.trust.enabled': false,
    'workbench.startupEditor': 'none',
    'chat.disableAIFeatures': true,
    'telemetry.telemetryLevel': 'off',
  }
  // The user's, and those of the machine the server runs on.
  for (const place of ['User', 'Machine']) {
    await mkdir(join(folder, 'data', place), { recursive: true })
    await writeFile(join(folder, 'data', place, 'settings.json'), JSON.stringify({ ...quiet, ...settings }))
  }
  const workspace = join(folder, 'work')
  await mkdir(workspace, { recursive: true })
  const { PORT: _, ...outer } = process.env // it would listen there
  const env = { ...outer, HOME: folder, ...more }
  const homes = ['--user-data-dir', join(folder, 'data'), '--extensions-dir', join(folder, 'extensions')]
  await run(program, [...homes, '--install-extension', extension], { env })
  const args = [
    ...homes,
    '--auth',
    'none',
    '--bind-addr',
    '127.0.0.1:0',
    '--disable-telemetry',
    '--disable-update-check',
  ]
  const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const exit = new Promise<void>((done) => child.on('close', () => done()))
  const host = await new Promise<string>((resolve, reject) => {
    let said = ''
    const hear = (chunk: Buffer) => {
      said += chunk
      const [, address] = /listening on http:\/\/(127\.0\.0\.1:\d+)/.exec(said) ?? []
      if (address) resolve(address)
    }
    child.stdout.on('data', hear)
    child.stderr.on('data', hear)
    void exit.then(() => reject(new Error(`code-server has ended: ${said}`)))
  })
  return {
    workspace,
    url: `http://${host}/?${new URLSearchParams({ folder: workspace })}`,
    open: async (path, line, column) =>
      void (await run(program, [...homes, '--reuse-window', `${path}:${line}:${column}`], { env })),
    async close() {
      child.kill()
      await exit
    },
  }
}
