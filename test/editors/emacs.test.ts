/** Emacs with clients/emacs/lacuna.el: typed as a person types, and compared byte for byte with the file that is written. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { buildServers, type Servers } from './buildServers.ts'
import { type Case, caseNamed, cases, knownTexts, othersWords, otherWay, twoServers, twoWays, wordOf } from './cases.ts'
import { type Emacs, findEmacs, startEmacs } from './emacs.ts'
import { printed } from './printed.ts'
import { soon, stalled } from './stalled.ts'
import { keepCapture } from './terminal.ts'

const found = findEmacs()
const reason = 'reason' in found ? found.reason : ''
if (reason) process.stderr.write(`Emacs is not tested: ${reason}\n`)
const program = 'program' in found ? found.program : ''

let folder: string
let servers: Servers
let env: Record<string, string>

beforeAll(async () => {
  if (reason) return
  folder = await mkdtemp(join(tmpdir(), 'lacuna-servers-'))
  servers = await buildServers(folder)
  env = { LACUNA_KNOWN: join(folder, 'known.json'), LACUNA_STALL: join(folder, 'stall') }
  await writeFile(env.LACUNA_KNOWN!, JSON.stringify(knownTexts))
})
afterAll(async () => {
  if (folder) await rm(folder, { recursive: true, force: true })
})

const lispCommand = (...command: string[]) =>
  `'(${[process.execPath, ...command].map((part) => JSON.stringify(part)).join(' ')})`
const scripted = () => lispCommand(servers.scripted, '--stdio')

describe.skipIf(reason !== '')(`Emacs, ghost text from a server of its own${reason && ` (skipped: ${reason})`}`, () => {
  let emacs: Emacs
  beforeAll(async () => {
    emacs = await startEmacs(program, `(setq lacuna-command ${scripted()})\n(global-lacuna-mode)`, env)
  })
  afterAll(() => emacs?.close())

  test.each(cases)('$name', (each) => take(emacs, each))

  test('what is typed along stays, and is not doubled', async () => {
    const each = caseNamed('end of a line')
    const path = await shown(emacs, each)
    await emacs.terminal.type(each.fill.slice(0, 3))
    await emacs.until(
      'the rest',
      ({ ghost, text }) => ghost === each.fill.slice(3) && text.includes(`wi${each.fill.slice(0, 3)}\n`),
    )
    await emacs.terminal.keys('Tab')
    await expectWritten(emacs, path, each.filled)
  })

  test('a word, then a line', async () => {
    const each = caseNamed('end of a line')
    const path = await shown(emacs, each)
    const screen = await emacs.terminal.until('it on the screen', (text) => text.includes('return width * height'))
    await keepCapture('emacs', screen)
    await emacs.terminal.keys('M-f')
    await emacs.until('a word', ({ text, ghost }) => text.includes('return width\n') && ghost === ' * height')
    await emacs.terminal.keys('C-e')
    await expectWritten(emacs, path, each.filled)
  })

  test('a word inside brackets leaves the rest of the line alone', async () => {
    const each = caseNamed('closing bracket')
    const path = await shown(emacs, each)
    await emacs.terminal.keys('M-f')
    await emacs.until('a word', ({ text, ghost }) => text.includes('max(total, value)\n') && ghost === ' * 2')
    await emacs.terminal.keys('Tab')
    await expectWritten(emacs, path, each.filled)
  })

  test('moving away clears it, and the keys are what they were', async () => {
    const each = caseNamed('end of a line')
    const path = await shown(emacs, each)
    await emacs.terminal.keys('C-b')
    await emacs.until('nothing shown', ({ ghost }) => ghost === '')
    await emacs.terminal.keys('C-e')
    await emacs.terminal.type('!')
    await expectWritten(emacs, path, each.text.replace('return wi', 'return wi!'))
  })

  test('dismissed, it does not come back by itself', async () => {
    const each = caseNamed('tabs')
    const path = await shown(emacs, each)
    await emacs.terminal.keys('C-g')
    await emacs.until('nothing shown', ({ ghost }) => ghost === '')
    await expectWritten(emacs, path, each.text)
  })

  test('taking can be undone alone', async () => {
    const each = caseNamed('end of a line')
    const path = await shown(emacs, each)
    await emacs.terminal.keys('Tab')
    await checkUndone(emacs, each, path)
  })

  test('the next candidate, the one before it, and the next one taken', async () => {
    const path = await shown(emacs, twoWays)
    for (const [key, other] of [
      ['M-n', otherWay],
      ['M-p', twoWays],
      ['M-n', otherWay],
    ] as const) {
      await emacs.terminal.keys(key)
      await emacs.until('the other candidate', ({ ghost }) => ghost === other.fill)
      await emacs.terminal.until('it on the screen', (screen) => screen.includes(`return up${other.fill}`))
    }
    await emacs.terminal.keys('Tab')
    await expectWritten(emacs, path, otherWay.filled)
  })

  test('the mode line says while an answer is waited for', () => checkLighter(emacs))

  test('changed between request and answer: the old answer is dropped, nothing typed is lost', async () => {
    const each = caseNamed('end of a line')
    const path = await stalled(env.LACUNA_STALL!, async () => {
      const path = await typed(emacs, each)
      await emacs.until('a request', ({ waiting }) => waiting)
      await emacs.terminal.type('re')
      await emacs.until('what was typed', ({ text }) => text.includes('return wire\n'))
      return path
    })
    await emacs.until('all answered', ({ waiting }) => !waiting)
    const { ghost } = await emacs.state()
    expect(each.fill.endsWith(ghost) && ghost !== '').toBe(false)
    await emacs.eval('(with-current-buffer (test-buffer) (lacuna-dismiss))')
    await expectWritten(emacs, path, each.text.replace('return wi', 'return wire'))
  })
})

describe.skipIf(reason !== '')(`Emacs, eglot with Lacuna alone${reason && ` (skipped: ${reason})`}`, () => {
  let emacs: Emacs
  beforeAll(async () => {
    emacs = await connected(
      await startEmacs(
        program,
        `(setq lacuna-command ${scripted()})\n${eglot('(lacuna-contact)')}\n(global-lacuna-mode)`,
        env,
      ),
    )
  })
  afterAll(() => emacs?.close())

  test.each(cases)('ghost text: $name', (each) => take(emacs, each))

  test('the mode line says while an answer is waited for', () => checkLighter(emacs))

  test('one server is enough', async () => {
    await sleep(2500) // by then it would have been started for *scratch*, too
    const processes = await emacs.eval("(mapcar #'process-name (seq-filter #'process-command (process-list)))")
    expect(processes).toMatch(/^\("EGLOT [^"]*"\)\n$/)
  })
})

describe.skipIf(reason !== '')(`Emacs, eglot's completion${reason && ` (skipped: ${reason})`}`, () => {
  let emacs: Emacs
  beforeAll(async () => {
    const settings = "(setq lacuna-menu t lacuna-settings '(:completionBudgetMs 5000))"
    emacs = await connected(
      await startEmacs(program, `(setq lacuna-command ${scripted()})\n${settings}\n${eglot('(lacuna-contact)')}`, env),
    )
  })
  afterAll(() => emacs?.close())

  test.each(cases)('menu: $name', async (each) => {
    const path = await typed(emacs, each)
    await emacs.until('the server', ({ managed }) => managed)
    await emacs.terminal.keys('C-M-i')
    await emacs.until('it in the buffer', ({ text }) => text === each.filled.replaceAll('\r\n', '\n'))
    await expectWritten(emacs, path, each.filled)
  })

  test('changed between request and answer: nothing typed is lost', () => checkChanged(emacs, 'C-M-i'))

  test('taking can be undone alone', async () => {
    const each = caseNamed('end of a line')
    const path = await typed(emacs, each)
    await emacs.until('the server', ({ managed }) => managed)
    await emacs.terminal.keys('C-M-i')
    await checkUndone(emacs, each, path)
  })
})

const rass = process.env.LACUNA_RASS
const noRass = reason || (rass ? '' : 'no rass; LACUNA_RASS can name one')
describe.skipIf(noRass !== '')(
  `Emacs, eglot with another server through rass${noRass && ` (skipped: ${noRass})`}`,
  () => {
    let emacs: Emacs
    beforeAll(async () => {
      const other = [process.execPath, servers.other].map((part) => JSON.stringify(part)).join(' ')
      const init = `(setq lacuna-command ${scripted()})\n${eglot(`(cons ${JSON.stringify(rass)} (cdr (lacuna-beside ${other})))`)}`
      emacs = await connected(await startEmacs(program, `${init}\n(global-lacuna-mode)`, env))
    })
    afterAll(() => emacs?.close())

    test('ghost text comes from a server of its own', () => take(emacs, caseNamed('end of a line')))

    test("with our engine stalled the other server's menu comes all the same", async () => {
      const path = await emacs.edit('beside.py', 'value = othe\n', 13)
      await emacs.until('the server', ({ managed }) => managed)
      await stalled(env.LACUNA_STALL!, async () => {
        await emacs.terminal.type('r')
        await soon('Emacs, rass', async () => {
          await emacs.terminal.keys('C-M-i')
          await emacs.until('the other completion', ({ text }) => text === 'value = otherServerWord\n')
        })
      })
      await emacs.eval('(with-current-buffer (test-buffer) (lacuna-dismiss))')
      await expectWritten(emacs, path, 'value = otherServerWord\n')
    })
  },
)

/** Menus that open by themselves: what people have in place of Emacs' own. */
const menus = [
  {
    name: 'company',
    needs: 'company',
    init: '(setq company-idle-delay 0.2 company-minimum-prefix-length 1) (global-company-mode)',
    byHand: 'company-manual-begin',
  },
  {
    name: 'corfu',
    needs: 'corfu-terminal', // Emacs before 31 has no child frames in a terminal
    init: '(setq corfu-auto t corfu-auto-delay 0.2 corfu-auto-prefix 1) (global-corfu-mode) (corfu-terminal-mode)',
    byHand: 'completion-at-point',
  },
]
const menuInit = ({ needs, init, byHand }: (typeof menus)[number]) =>
  `(when (require '${needs} nil t) ${init} (keymap-global-set "C-c m" #'${byHand}))`

describe.skipIf(reason !== '').each(menus)(
  `Emacs, ghost text beside the menu of $name${reason && ` (skipped: ${reason})`}`,
  (menu) => {
    let emacs: Emacs
    beforeAll(async () => {
      const other = [process.execPath, servers.other].map((part) => JSON.stringify(part)).join(' ')
      const init = `(setq lacuna-command ${scripted()})\n${eglot(`'(${other})`)}\n${menuInit(menu)}\n(global-lacuna-mode)`
      emacs = await connected(await startEmacs(program, init, env))
    })
    afterAll(() => emacs?.close())

    test('a menu that opens by itself takes its place, and gives it back', async ({ skip }) => {
      if (!(await has(emacs, menu.needs))) skip(`no ${menu.needs}`)
      const path = await typed(emacs, twoServers)
      await emacs.until('the menu alone', ({ menu, ghost, waiting }) => menu && ghost === '' && !waiting)
      const screen = await emacs.terminal.until('its words', (text) => othersWords.every((word) => text.includes(word)))
      expect(screen).not.toContain(twoServers.fill)
      await sleep(500) // what is answered behind the menu is not shown either
      expect(await emacs.state()).toMatchObject({ menu: true, ghost: '' })
      await emacs.terminal.keys('C-g')
      await emacs.until('ghost text', ({ menu, ghost }) => !menu && ghost === twoServers.fill)
      await emacs.terminal.keys('Tab')
      await expectWritten(emacs, path, twoServers.filled)
    })

    test("with our engine stalled the other server's menu comes all the same", async ({ skip }) => {
      if (!(await has(emacs, menu.needs))) skip(`no ${menu.needs}`)
      await stalled(env.LACUNA_STALL!, async () => {
        const path = await typed(emacs, twoServers)
        await soon(`Emacs, ${menu.name}`, () =>
          emacs.terminal.until('its words', (text) => othersWords.every((word) => text.includes(word))),
        )
        await emacs.terminal.keys('Enter')
        await emacs.until('it in the buffer', ({ text }) => text.includes(`return ${othersWords[0]}\n`))
        await emacs.eval('(with-current-buffer (test-buffer) (lacuna-dismiss))')
        await expectWritten(emacs, path, twoServers.text.replace('pai\n', `${othersWords[0]}\n`))
      })
    })

    test('opened by hand over ghost text: what is taken from the menu is there once', async ({ skip }) => {
      if (!(await has(emacs, menu.needs))) skip(`no ${menu.needs}`)
      const path = await typed(emacs, twoServers)
      await emacs.until('the menu', ({ menu }) => menu)
      await emacs.terminal.keys('C-g')
      await emacs.until('ghost text', ({ menu, ghost }) => !menu && ghost === twoServers.fill)
      await emacs.terminal.keys('C-c', 'm')
      await emacs.until('the menu alone', ({ menu, ghost }) => menu && ghost === '')
      await emacs.terminal.until('its words', (text) => othersWords.every((word) => text.includes(word)))
      await emacs.terminal.keys('Enter')
      await emacs.until('it in the buffer', ({ text }) => text.includes(`return ${othersWords[0]}\n`))
      await expectWritten(emacs, path, twoServers.text.replace('pai\n', `${othersWords[0]}\n`))
    })
  },
)

describe.skipIf(reason !== '').each(menus)(
  `Emacs, our completions in the menu of $name${reason && ` (skipped: ${reason})`}`,
  (menu) => {
    let emacs: Emacs
    beforeAll(async () => {
      const settings = "(setq lacuna-menu t lacuna-settings '(:completionBudgetMs 5000))"
      const init = `(setq lacuna-command ${scripted()})\n${settings}\n${eglot('(lacuna-contact)')}\n${menuInit(menu)}`
      emacs = await connected(await startEmacs(program, init, env))
    })
    afterAll(() => emacs?.close())

    test.for(cases)('$name', async (each, { skip }) => {
      if (!(await has(emacs, menu.needs))) skip(`no ${menu.needs}`)
      const path = await typed(emacs, each)
      await emacs.until('the menu', ({ menu }) => menu)
      await emacs.terminal.until('it on the screen', (text) => text.includes(`${wordOf(each)}${each.fill}`))
      await emacs.terminal.keys('Enter')
      await emacs.until('it in the buffer', ({ text }) => text === each.filled.replaceAll('\r\n', '\n'))
      await expectWritten(emacs, path, each.filled)
    })

    test('what is typed along is not doubled', async ({ skip }) => {
      if (!(await has(emacs, menu.needs))) skip(`no ${menu.needs}`)
      const each = caseNamed('end of a line')
      const path = await typed(emacs, each)
      await emacs.until('the menu', ({ menu }) => menu)
      await emacs.terminal.type(each.fill.slice(0, 3))
      await emacs.until('what was typed', ({ text, menu }) => menu && text.includes('return width\n'))
      await emacs.terminal.until('it on the screen', (text) => text.includes(`${wordOf(each)}${each.fill}`))
      await emacs.terminal.keys('Enter')
      await emacs.until('it in the buffer', ({ text }) => text === each.filled)
      await expectWritten(emacs, path, each.filled)
    })

    test('taking can be undone alone', async ({ skip }) => {
      if (!(await has(emacs, menu.needs))) skip(`no ${menu.needs}`)
      const each = caseNamed('end of a line')
      const path = await typed(emacs, each)
      await emacs.until('the menu', ({ menu }) => menu)
      await emacs.terminal.until('it on the screen', (text) => text.includes(`${wordOf(each)}${each.fill}`))
      await emacs.terminal.keys('Enter')
      // With corfu the letter before it goes, too.
      const text = menu.name === 'corfu' ? each.text.replace('wi\n', 'w\n') : each.text
      await checkUndone(emacs, { ...each, text }, path)
    })

    test('changed between request and answer: nothing typed is lost', async ({ skip }) => {
      if (!(await has(emacs, menu.needs))) skip(`no ${menu.needs}`)
      await checkChanged(emacs)
    })
  },
)

describe.skipIf(reason !== '')(`Emacs, lsp-mode${reason && ` (skipped: ${reason})`}`, () => {
  let emacs: Emacs
  beforeAll(async () => {
    emacs = await startEmacs(program, lspMode('(:completionBudgetMs 5000)'), env)
  })
  afterAll(() => emacs?.close())

  test.each(cases)('menu: $name', async (each) => {
    const path = await typed(emacs, each)
    await emacs.until('the server', ({ managed }) => managed)
    await emacs.eval('(with-current-buffer (test-buffer) (lsp-inline-completion-mode -1))')
    await listed(emacs, [`${wordOf(each)}${each.fill}  lacuna`])
    await emacs.terminal.keys('M-Down')
    await emacs.terminal.keys('M-Enter')
    await emacs.until('it in the buffer', ({ text }) => text === each.filled.replaceAll('\r\n', '\n'))
    await expectWritten(emacs, path, each.filled)
  })

  test('changed between request and answer: nothing typed is lost', () => checkChanged(emacs))

  test('the same, asked by hand', () => checkChanged(emacs, 'C-M-i'))

  test.each(cases)('its own ghost text: $name', async (each) => {
    const path = await shownByLsp(emacs, each)
    await emacs.terminal.keys('M-Enter')
    await emacs.until('it in the buffer', ({ text }) => text === each.filled.replaceAll('\r\n', '\n'))
    await expectWritten(emacs, path, each.filled)
  })

  test('its own ghost text: taking can be undone alone', async () => {
    const each = caseNamed('end of a line')
    const path = await shownByLsp(emacs, each)
    await emacs.terminal.keys('M-Enter')
    await checkUndone(emacs, each, path)
  })

  test('its own ghost text, typed along, is not doubled', async () => {
    const each = caseNamed('end of a line')
    const path = await shownByLsp(emacs, each)
    await emacs.terminal.type(each.fill.slice(0, 3))
    await emacs.until('the rest', ({ others }) => others.includes(each.fill.slice(3)) && !others.includes(each.fill))
    await emacs.terminal.keys('M-Enter')
    await emacs.until('it in the buffer', ({ text }) => text === each.filled)
    await expectWritten(emacs, path, each.filled)
  })
})

describe.skipIf(reason !== '')(`Emacs, lsp-mode with another server${reason && ` (skipped: ${reason})`}`, () => {
  let emacs: Emacs
  beforeAll(async () => {
    const other = `(lsp-register-client (make-lsp-client :new-connection (lsp-stdio-connection ${lispCommand(servers.other)})
      :major-modes '(python-mode) :server-id 'other))`
    emacs = await startEmacs(program, lspMode('nil', other), env)
  })
  afterAll(() => emacs?.close())

  const words = [...othersWords, wordOf(twoServers) + twoServers.fill]
  test.each(words)('both in the menu: %s is taken', async (word) => {
    const path = await typed(emacs, twoServers)
    await emacs.until('the server', ({ managed }) => managed)
    await emacs.eval('(with-current-buffer (test-buffer) (lsp-inline-completion-mode -1))')
    await listed(emacs, words)
    await emacs.terminal.keys(...words.slice(0, words.indexOf(word) + 1).map(() => 'M-Down'))
    await emacs.terminal.keys('M-Enter')
    const taken = twoServers.text.replace('return pai', `return ${word}`)
    await emacs.until('it in the buffer', ({ text }) => text === taken)
    await expectWritten(emacs, path, taken)
  })

  test('its own ghost text', async () => {
    const path = await shownByLsp(emacs, twoServers)
    await emacs.terminal.keys('M-Enter')
    await emacs.until('it in the buffer', ({ text }) => text === twoServers.filled)
    await expectWritten(emacs, path, twoServers.filled)
  })

  test("with our engine stalled the other server's completion comes all the same", async () => {
    const path = await emacs.edit('stalled.py', 'value = othe\n', 13)
    await emacs.until('the server', ({ managed }) => managed)
    await stalled(env.LACUNA_STALL!, async () => {
      await emacs.terminal.type('r')
      await sleep(1000) // its ghost text is being waited for
      await soon('Emacs, lsp-mode', async () => {
        await emacs.terminal.keys('C-M-i')
        await emacs.terminal.until('the menu', (screen) => screen.includes('otherServerWord'))
      })
      await emacs.terminal.keys('M-Down', 'M-Enter')
      await emacs.until('it in the buffer', ({ text }) => text === 'value = otherServerWord\n')
      await expectWritten(emacs, path, 'value = otherServerWord\n')
    })
  })
})

describe.skipIf(reason !== '')(`Emacs and the embedded model${reason && ` (skipped: ${reason})`}`, () => {
  let emacs: Emacs | undefined
  afterEach(() => emacs?.close())
  const server = lispCommand(resolve('dist/main.js'), '--stdio')

  test('shows and takes what `lacuna complete` prints', async () => {
    const settings = `'(:showAbove 0 :logLevel "debug")`
    emacs = await startEmacs(
      program,
      `(setq lacuna-command ${server} lacuna-settings ${settings})\n(global-lacuna-mode)`,
    )
    const each = await printedCase()
    const path = await typed(emacs, each)
    const { ghost } = await emacs.until('ghost text', ({ ghost, waiting }) => ghost !== '' && !waiting, 100_000)
    expect(ghost).toBe(each.fill)
    await emacs.terminal.keys('Tab')
    await expectWritten(emacs, path, each.filled)
  }, 180_000)

  test('lsp-mode shows and takes it too', async () => {
    emacs = await startEmacs(program, lspMode('(:showAbove 0)', '', server), env)
    const each = await printedCase()
    const path = await shownByLsp(emacs, each)
    await emacs.terminal.keys('M-Enter')
    await emacs.until('it in the buffer', ({ text }) => text === each.filled)
    await expectWritten(emacs, path, each.filled)
  }, 180_000)

  async function printedCase(): Promise<Case> {
    const text = (await readFile('test/bench/files/stack.py', 'utf8')).replace('return \n', 'return s\n')
    const cursor = text.indexOf('return s\n') + 'return s'.length
    const copy = join(folder, 'stack.py')
    await writeFile(copy, text)
    const fill = (await printed(copy, text, cursor)).slice(0, -1)
    const filled = text.slice(0, cursor) + fill + text.slice(cursor)
    return { name: '', file: 'stack.py', text, cursor, fill, filled }
  }
})

function lspMode(settings: string, more = '', command = scripted()): string {
  return `(setq lacuna-command ${command})
(setq lsp-keymap-prefix "C-c l" lsp-auto-guess-root t lsp-guess-root-without-session t lsp-warn-no-matched-clients nil
      lsp-completion-provider :none lsp-enable-snippet nil lsp-lens-enable nil lsp-headerline-breadcrumb-enable nil lsp-session-file (expand-file-name "session" "~")
      lsp-inline-completion-idle-delay 0.3 lsp-enable-suggest-server-download nil lacuna-menu t
      lacuna-settings '${settings})
(load "lsp-mode-autoloads" t)
(when (require 'lsp-mode nil t)
  (require 'lsp-completion)
  (require 'lsp-inline-completion)
  (setq lsp-client-packages nil)
  (define-key lsp-inline-completion-active-map (kbd "M-RET") #'lsp-inline-completion-accept) ; no terminal has C-RET
  (lacuna-lsp-setup)
  ${more}
  (add-hook 'python-mode-hook #'lsp))`
}

function eglot(contact: string): string {
  return `(require 'eglot)
(setq eglot-autoshutdown nil eglot-sync-connect 5)
(add-to-list 'eglot-server-programs (cons 'python-mode ${contact}))
(add-hook 'python-mode-hook #'eglot-ensure)`
}

const has = async (emacs: Emacs, feature: string) => (await emacs.eval(`(featurep '${feature})`)) === 't\n'

/** Two files opened at once would start two servers. */
async function connected(emacs: Emacs): Promise<Emacs> {
  await emacs.edit('first.py', '', 1)
  await emacs.terminal.keys('C-l') // eglot waits for a command
  await emacs.until('the server', ({ managed }) => managed, 30_000)
  return emacs
}

/** Types the last character before the mark, as what was typed is what is completed. */
async function typed(emacs: Emacs, { file, text, cursor }: Case): Promise<string> {
  const before = text.slice(0, cursor - 1)
  const point = [...before.replaceAll('\r\n', '\n')].length + 1
  const path = await emacs.edit(`${Date.now() % 100_000}-${file}`, before + text.slice(cursor), point)
  await emacs.until('the buffer', (state) => state.point === point)
  await emacs.terminal.type(text[cursor - 1]!)
  return path
}

async function shown(emacs: Emacs, each: Case): Promise<string> {
  const path = await typed(emacs, each)
  await emacs.until('ghost text', ({ ghost }) => ghost === each.fill)
  return path
}

async function checkLighter(emacs: Emacs): Promise<void> {
  await stalled(env.LACUNA_STALL!, async () => {
    await typed(emacs, caseNamed('tabs'))
    await emacs.until('busy', ({ lighter }) => lighter === ' Lacuna…')
    await emacs.terminal.until('it on the screen', (screen) => screen.includes('Lacuna…'))
  })
  await emacs.until('no more', ({ lighter, ghost }) => lighter === ' Lacuna' && ghost === caseNamed('tabs').fill)
}

/** It asks after a key, and nobody before the server is there. */
async function shownByLsp(emacs: Emacs, each: Case): Promise<string> {
  const path = await typed(emacs, each)
  for (let tries = 0; ; tries++) {
    try {
      await emacs.until('ghost text', ({ others }) => others.includes(each.fill), 4000)
      return path
    } catch (error) {
      if (tries === 5) throw error
      await emacs.terminal.keys('BSpace')
      await emacs.terminal.type(each.text[each.cursor - 1]!)
    }
  }
}

/** Its menu asks once, and nobody before the server is there. */
async function listed(emacs: Emacs, words: readonly string[]): Promise<void> {
  for (let tries = 0; ; tries++) {
    await emacs.terminal.keys('C-M-i')
    try {
      await emacs.terminal.until('the menu', (screen) => words.every((word) => screen.includes(word)), 3000)
      return
    } catch (error) {
      if (tries === 5) throw error
    }
  }
}

/** @param keys by which it is asked, where it does not ask by itself. */
async function checkChanged(emacs: Emacs, ...keys: string[]): Promise<void> {
  const each = caseNamed('end of a line')
  const path = await stalled(env.LACUNA_STALL!, async () => {
    const path = await typed(emacs, each)
    await emacs.until('the server', ({ managed }) => managed)
    if (keys.length > 0) await emacs.terminal.keys(...keys)
    await sleep(600)
    await emacs.terminal.type('re')
    await sleep(300)
    return path
  })
  await sleep(800)
  await emacs.terminal.keys('C-g')
  await expectWritten(emacs, path, each.text.replace('return wi', 'return wire'))
}

async function checkUndone(emacs: Emacs, each: Case, path: string): Promise<void> {
  await emacs.until('it in the buffer', ({ text }) => text === each.filled)
  await emacs.terminal.keys('C-_')
  await expectWritten(emacs, path, each.text)
}

async function take(emacs: Emacs, each: Case): Promise<void> {
  const path = await shown(emacs, each)
  await emacs.terminal.keys('Tab')
  await expectWritten(emacs, path, each.filled)
}

async function expectWritten(emacs: Emacs, path: string, text: string): Promise<void> {
  await emacs.until('no ghost text', ({ ghost, waiting }) => ghost === '' || !waiting)
  await emacs.terminal.keys('C-x', 'C-s')
  try {
    await expect.poll(() => readFile(path, 'utf8'), { timeout: 5000 }).toBe(text)
  } catch (error) {
    throw new Error(`not what is in the file; in Emacs: ${await emacs.seen()}`, { cause: error })
  }
}
