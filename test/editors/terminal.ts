/**
 * A program in a terminal, driven as a person does: keys in, a screen out. A tmux server of its own for each, with nothing
 * of the user's configuration.
 *
 * Whatever a program does it does some time after the key, so a test waits for a screen, and is told what was there when
 * that does not come.
 */
import { execFile, spawnSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)
const tmux = process.env.LACUNA_TMUX ?? 'tmux'

export function whyNoTerminal(): string | undefined {
  return spawnSync(tmux, ['-V']).error ? `no ${tmux}; LACUNA_TMUX can name one` : undefined
}

export interface Terminal {
  /** Keys by tmux's names: `Escape`, `Tab`, `C-x`, `M-f`. */
  keys(...names: string[]): Promise<void>
  /** Text as typed, letter by letter where `pauseMs` is given. */
  type(text: string, pauseMs?: number): Promise<void>
  screen(): Promise<string>
  /** @throws {Error} with the last screen when none was accepted within `withinMs`. */
  until(what: string, wanted: (screen: string) => boolean, withinMs?: number): Promise<string>
  close(): Promise<void>
}

/** @param folder holds the terminal's socket, and is where the command runs. */
export async function startTerminal(
  command: readonly string[],
  folder: string,
  env: Readonly<Record<string, string>>,
): Promise<Terminal> {
  const socket = join(folder, 'tmux')
  const ask = async (...args: string[]) => {
    const { stdout } = await run(tmux, ['-f', '/dev/null', '-S', socket, ...args], { env: { ...process.env, ...env } })
    return stdout
  }
  const environment = Object.entries(env).flatMap(([name, value]) => ['-e', `${name}=${value}`])
  await ask('new-session', '-d', '-x', '100', '-y', '30', '-c', folder, ...environment, ...command)
  await ask('set-option', '-g', 'escape-time', '0')
  const terminal: Terminal = {
    keys: async (...names) => void (await ask('send-keys', ...names)),
    async type(text, pauseMs = 0) {
      if (pauseMs === 0) return void (await ask('send-keys', '-l', '--', text))
      for (const letter of text) {
        await ask('send-keys', '-l', '--', letter)
        await sleep(pauseMs)
      }
    },
    screen: () => ask('capture-pane', '-p'),
    async until(what, wanted, withinMs = 20_000) {
      const deadline = Date.now() + withinMs
      for (;;) {
        const screen = await terminal.screen()
        if (wanted(screen)) return screen
        if (Date.now() > deadline) throw new Error(`waited ${withinMs} ms for ${what}; at last:\n${screen}`)
        await sleep(30)
      }
    },
    close: async () => void (await ask('kill-server').catch(() => {})),
  }
  return terminal
}

/** With `UPDATE_CAPTURES` set, keeps a screen for the README of that client: its lines, what is empty at the end left out. */
export async function keepCapture(client: string, screen: string): Promise<void> {
  if (!process.env.UPDATE_CAPTURES) return
  const lines = screen.split('\n').map((line) => line.trimEnd())
  const used = lines.filter((line, i) => line !== '~' && (line !== '' || lines[i - 1] !== ''))
  await writeFile(join('clients', client, 'capture.txt'), `${used.join('\n').replace(/^\n+|\n+$/g, '')}\n`)
}
