/** `lacuna` in this process, and as the built program in one of its own. */
import { spawn } from 'node:child_process'
import { Readable } from 'node:stream'
import { run } from '../../server/cli/run.ts'

export interface Ran {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

/** @param typed what somebody at a terminal answers; without it there is no terminal. */
export async function lacuna(args: readonly string[], typed?: string): Promise<Ran> {
  const printed = { out: '', err: '' }
  const stdin = Object.assign(Readable.from(typed === undefined ? [] : [Buffer.from(typed)]), {
    isTTY: typed !== undefined,
  })
  const code = await run(args, {
    out: (text) => void (printed.out += text),
    err: (text) => void (printed.err += text),
    stdin,
  })
  return { code, ...printed }
}

export interface Running {
  readonly ended: Promise<Ran>
  interrupt(): void
}

/** The built program; of this process's environment it gets nothing that leads to a network. */
export function startLacuna(args: readonly string[], env: Readonly<Record<string, string>>): Running {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^HF_|^LACUNA_|_proxy$|^NODE_EXTRA_CA_CERTS$/i.test(name),
  )
  const child = spawn(process.execPath, ['dist/main.js', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...Object.fromEntries(kept), ...env },
  })
  const printed = { out: '', err: '' }
  child.stdout.on('data', (piece: Buffer) => void (printed.out += piece))
  child.stderr.on('data', (piece: Buffer) => void (printed.err += piece))
  return {
    ended: new Promise((resolve) => child.on('close', (code) => resolve({ code, ...printed }))),
    interrupt: () => void child.kill('SIGINT'),
  }
}
