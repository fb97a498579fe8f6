/** Makes programs of the servers that editors start in these tests: Node 20 runs no TypeScript. */
import { resolve } from 'node:path'
import { build } from 'rolldown'

export interface Servers {
  readonly scripted: string
  readonly other: string
}

/** @returns paths of files for `node`, inside `folder`. */
export async function buildServers(folder: string): Promise<Servers> {
  await build({
    input: { scripted: resolve('test/editors/scriptedServer.ts'), other: resolve('test/editors/otherServer.ts') },
    platform: 'node',
    external: ['onnxruntime-node'],
    logLevel: 'silent',
    output: { dir: folder, format: 'esm', entryFileNames: '[name].mjs', chunkFileNames: '[name].mjs' },
  })
  return { scripted: resolve(folder, 'scripted.mjs'), other: resolve(folder, 'other.mjs') }
}
