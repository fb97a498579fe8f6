/**
 * A real Emacs in a terminal: keys go in as a person's do, and its own server (emacsclient) says what is in the buffer and
 * what is shown after point. Nothing of the user's is read: `-Q`, and a home of its own.
 */
import { execFile, spawnSync } from 'node:child_process'
import { mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { startTerminal, type Terminal, whyNoTerminal } from './terminal.ts'

const run = promisify(execFile)
const emacsclient = process.env.LACUNA_EMACSCLIENT ?? 'emacsclient'

export function findEmacs(): { readonly program: string } | { readonly reason: string } {
  const program = process.env.LACUNA_EMACS ?? 'emacs'
  const { stdout, error } = spawnSync(program, ['--version'], { encoding: 'utf8' })
  if (error) return { reason: `no ${program}; LACUNA_EMACS can name one` }
  const [, major] = /^GNU Emacs (\d+)/.exec(stdout) ?? []
  if (Number(major ?? 0) < 29) return { reason: `${program} is no Emacs 29 or later; LACUNA_EMACS can name another` }
  const reason = whyNoTerminal()
  return reason ? { reason } : { program }
}

export interface EmacsState {
  readonly text: string
  /** 1-based, in characters. */
  readonly point: number
  /** What is shown after point and is not in the buffer; empty when there is none. */
  readonly ghost: string
  /** Of ghost text, asked for and not answered. */
  readonly waiting: boolean
  readonly menu: boolean
  /** Of lacuna-mode in the mode line. */
  readonly lighter: string
  /** By eglot or lsp-mode. */
  readonly managed: boolean
  /** Shown by others' overlays. */
  readonly others: string
  readonly messages: string
}

export interface Emacs {
  readonly folder: string
  readonly terminal: Terminal
  eval(lisp: string): Promise<string>
  state(): Promise<EmacsState>
  /** State and screen, for a message about what did not come. */
  seen(): Promise<string>
  until(what: string, wanted: (state: EmacsState) => boolean, withinMs?: number): Promise<EmacsState>
  /** Writes `bytes` to a file, visits it, and goes to `point` (1-based, characters as Emacs counts: a CRLF is one). */
  edit(name: string, bytes: string, point: number): Promise<string>
  close(): Promise<void>
}

/** @param init Lisp that is evaluated after lacuna.el is loaded. */
export async function startEmacs(
  program: string,
  init: string,
  env: Readonly<Record<string, string>> = {},
): Promise<Emacs> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'lacuna-emacs-')))
  const socket = join(folder, 'server')
  await writeFile(join(folder, 'init.el'), `${prelude(folder)}\n${init}\n`)
  const command = [program, '-nw', '-Q', '-l', join(folder, 'init.el')]
  const terminal = await startTerminal(command, folder, { ...env, HOME: folder, LANG: 'C.UTF-8', LC_ALL: 'C.UTF-8' })
  const evaluate = async (lisp: string) =>
    (await run(emacsclient, ['-s', socket, '--eval', lisp], { timeout: 30_000, env: { ...process.env, HOME: folder } }))
      .stdout
  const emacs: Emacs = {
    folder,
    terminal,
    eval: evaluate,
    async state() {
      const encoded = /^"(.*)"$/.exec((await evaluate('(test-state)')).trim())![1]!
      return JSON.parse(Buffer.from(encoded, 'base64').toString()) as EmacsState
    },
    seen: async () => `${JSON.stringify(await emacs.state())}\n${(await terminal.screen()).replace(/\n{2,}/g, '\n\n')}`,
    async until(what, wanted, withinMs = 8000) {
      const deadline = Date.now() + withinMs
      for (;;) {
        const state = await emacs.state()
        if (wanted(state)) return state
        if (Date.now() > deadline) throw new Error(`waited ${withinMs} ms for ${what}; at last: ${await emacs.seen()}`)
        await sleep(40)
      }
    },
    async edit(name, bytes, point) {
      const path = join(folder, name)
      await writeFile(path, bytes)
      await evaluate(`(test-edit ${JSON.stringify(path)} ${point})`)
      return path
    },
    async close() {
      await evaluate('(let (kill-emacs-query-functions) (ignore-errors (lacuna-stop)) (kill-emacs))').catch(() => {})
      await terminal.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
  const deadline = Date.now() + 60_000
  for (;;) {
    try {
      await emacs.state()
      return emacs
    } catch (error) {
      if (Date.now() < deadline) {
        await sleep(100)
        continue
      }
      const screen = await terminal.screen()
      await terminal.close()
      throw new Error(`Emacs did not start:\n${screen}`, { cause: error })
    }
  }
}

function prelude(folder: string): string {
  return `
(setq native-comp-enable-subr-trampolines nil inhibit-startup-screen t make-backup-files nil auto-save-default nil create-lockfiles nil
      native-comp-jit-compilation nil require-final-newline nil mode-require-final-newline nil
      ring-bell-function #'ignore use-short-answers t confirm-kill-processes nil)
(set-language-environment "UTF-8")
(menu-bar-mode -1)
(electric-indent-mode -1)
(load ${JSON.stringify(resolve('clients/emacs/lacuna.el'))})
(require 'server)
(setq server-socket-dir ${JSON.stringify(folder)})
(server-start)
(defun test-buffer () (window-buffer (frame-first-window (car (seq-filter (lambda (f) (frame-parameter f 'tty)) (frame-list))))))
(defun test-edit (path point)
  (with-selected-window (frame-first-window (car (seq-filter (lambda (f) (frame-parameter f 'tty)) (frame-list))))
    (find-file path)
    (goto-char point)
    t))
(defun test-ghost ()
  (mapconcat (lambda (o) (concat (overlay-get o 'before-string) (overlay-get o 'after-string)))
             (seq-filter (lambda (o) (seq-some (lambda (p) (let ((s (overlay-get o p)))
                                                             (and s (> (length s) 0) (eq (get-text-property 0 'face s) 'lacuna-ghost))))
                                               '(before-string after-string)))
                         (append (overlays-in (point-min) (point-max))))
             ""))
(defun test-tail (buffer)
  (if (not (get-buffer buffer)) ""
    (with-current-buffer buffer
      (replace-regexp-in-string "[^[:ascii:]]" "?" (buffer-substring-no-properties (max 1 (- (point-max) 400)) (point-max))))))
(defun test-state ()
  (with-current-buffer (test-buffer)
    (base64-encode-string
     (encode-coding-string
      (json-serialize (list :text (buffer-substring-no-properties (point-min) (point-max)) :point (window-point (get-buffer-window)) :ghost (substring-no-properties (test-ghost))
                            :others (mapconcat (lambda (o) (substring-no-properties (concat (overlay-get o 'before-string) (let ((d (overlay-get o 'display))) (and (stringp d) d)) (overlay-get o 'after-string))))
                               (overlays-in (point-min) (1+ (point-max))) "")
                            :waiting (if lacuna--waiting t :false)
                            :managed (if (or (eglot-managed-p) (bound-and-true-p lsp-managed-mode)) t :false)
                            :menu (if (lacuna--menu-p) t :false)
                            :lighter (substring-no-properties (lacuna-lighter))
                            :messages (concat (test-tail (messages-buffer)) (test-tail " *lacuna stderr*") (test-tail "*EGLOT stderr*"))))
      'utf-8)
     t)))
`
}
