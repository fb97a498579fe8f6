/**
 * Chromium without a window, driven as a person does: keys in, what is on the page out. By its debugging protocol over a pair
 * of pipes, messages ended by a zero byte.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'

const program = process.env.LACUNA_CHROMIUM ?? 'chromium'

export function whyNoBrowser(): string | undefined {
  return spawnSync(program, ['--version']).error ? `no ${program}; LACUNA_CHROMIUM can name one` : undefined
}

export interface Browser {
  /** What the expression is on the page, as JSON knows it. */
  evaluate<Value>(expression: string): Promise<Value>
  /** Pressed and released: a letter, or a key by its name, `ctrl+` or `alt+` before it. */
  key(name: string): Promise<void>
  type(text: string): Promise<void>
  /** @throws {Error} with the last value, and where a picture of the page is, when none was accepted within `withinMs`. */
  until<Value>(what: string, expression: string, wanted: (value: Value) => boolean, withinMs?: number): Promise<Value>
  close(): Promise<void>
}

/** Key codes as of old, which pages still read. */
const codes: Readonly<Record<string, number>> = {
  Backspace: 8,
  Tab: 9,
  Enter: 13,
  Escape: 27,
  ' ': 32,
  ArrowRight: 39,
  ArrowDown: 40,
  '[': 219,
  ']': 221,
}

/** What the key is called that makes this character. */
const names: Readonly<Record<string, string>> = { ' ': 'Space', '[': 'BracketLeft', ']': 'BracketRight' }

export async function startBrowser(url: string): Promise<Browser> {
  const folder = await mkdtemp(join(tmpdir(), 'lacuna-chromium-'))
  const switches = [
    '--headless=new',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-dev-shm-usage',
    '--no-first-run',
    '--window-size=1200,800',
  ]
  const child = spawn(program, [...switches, '--remote-debugging-pipe', `--user-data-dir=${folder}`, 'about:blank'], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
  })
  const exit = new Promise<void>((done) => child.on('close', () => done()))
  const send = protocol(child)
  const { targetId } = await send<{ targetId: string }>('Target.createTarget', { url })
  const { sessionId } = await send<{ sessionId: string }>('Target.attachToTarget', { targetId, flatten: true })
  const page = <Result>(method: string, params: object) => send<Result>(method, params, sessionId)

  const browser: Browser = {
    async evaluate<Value>(expression: string) {
      const { result } = await page<{ result: { value: Value } }>('Runtime.evaluate', {
        expression,
        returnByValue: true,
      })
      return result.value
    },
    async key(name) {
      const [, held, key = ''] = /^(?:(ctrl|alt)\+)?(.+)$/.exec(name) ?? []
      const letter = key.length === 1 ? key.toUpperCase().charCodeAt(0) : 0
      const text = key.length === 1 && !held ? { text: key } : {}
      const pressed = {
        key,
        code: /^[a-z]$/i.test(key) ? `Key${key.toUpperCase()}` : (names[key] ?? key),
        windowsVirtualKeyCode: codes[key] ?? (/[A-Z0-9]/.test(String.fromCharCode(letter)) ? letter : 0),
        modifiers: held === 'ctrl' ? 2 : held === 'alt' ? 1 : 0,
      }
      await page('Input.dispatchKeyEvent', {
        type: text.text === undefined ? 'rawKeyDown' : 'keyDown',
        ...pressed,
        ...text,
      })
      await page('Input.dispatchKeyEvent', { type: 'keyUp', ...pressed })
    },
    async type(text) {
      for (const letter of text) await browser.key(letter)
    },
    async until<Value>(what: string, expression: string, wanted: (value: Value) => boolean, withinMs = 20_000) {
      const deadline = Date.now() + withinMs
      for (;;) {
        const value = await browser.evaluate<Value>(expression)
        if (wanted(value)) return value
        if (Date.now() > deadline) {
          const picture = join(tmpdir(), 'lacuna-page.png')
          const { data } = await page<{ data: string }>('Page.captureScreenshot', { format: 'png' })
          await writeFile(picture, data, 'base64')
          throw new Error(`waited ${withinMs} ms for ${what}; at last: ${JSON.stringify(value)}; the page: ${picture}`)
        }
        await sleep(50)
      }
    },
    async close() {
      await send('Browser.close', {}).catch(() => child.kill('SIGKILL'))
      await exit
      await rm(folder, { recursive: true, force: true })
    },
  }
  return browser
}

function protocol(child: ChildProcess) {
  const [to, from] = [child.stdio[3] as Writable, child.stdio[4] as Readable]
  const waiting = new Map<number, (reply: { result?: unknown; error?: { message: string } }) => void>()
  let buffered = ''
  from.setEncoding('utf8').on('data', (chunk: string) => {
    const messages = (buffered + chunk).split('\0')
    buffered = messages.pop()!
    for (const message of messages) {
      const { id, ...reply } = JSON.parse(message)
      waiting.get(id)?.(reply)
      waiting.delete(id)
    }
  })
  const ended = (reason: string) => {
    for (const reply of waiting.values()) reply({ error: { message: reason } })
    waiting.clear()
  }
  child.on('close', () => ended('the browser has ended'))
  to.on('error', () => {}) // told by its end
  let last = 0
  return <Result>(method: string, params: object, sessionId?: string): Promise<Result> =>
    new Promise((resolve, reject) => {
      const id = ++last
      waiting.set(id, ({ result, error }) =>
        error ? reject(new Error(`${method}: ${error.message}`)) : resolve(result as Result),
      )
      to.write(`${JSON.stringify({ id, method, params, ...(sessionId ? { sessionId } : {}) })}\0`)
    })
}
