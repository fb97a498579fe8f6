/**
 * A person at work, in real time: keys come when the recording says so, whatever the server does; ghost text is shown as
 * Neovim shows it (`ghost.ts`) and taken when it is right (`person.ts`). The settings are those of a user.
 */
import { Buffer } from './buffer.ts'
import type { EditorSession } from './editor.ts'
import { type Flicker, GhostWatch, judge, noView, type Offer, type Sight, type View, viewOf } from './ghost.ts'
import type { Passes } from './passes.ts'
import { wouldTake } from './person.ts'
import type { Key, Recording, Source } from './recording.ts'

export interface LiveOptions {
  /** The editor's own rest after a key before it asks: 0 as in VS Code, 200 in Neovim 0.12. Milliseconds. */
  readonly clientDelayMs: number
  /** How many times faster than recorded; anything but 1 is for measuring the editor alone. */
  readonly speed: number
  /** Milliseconds from seeing ghost text to taking it, drawn anew for each. */
  readonly reaction: () => number
  /** The person stops in the middle, and what was typed stays as it is (default: never). */
  readonly stop?: AbortSignal
}

/** An answer: `ms` from the key to it, `request` from the request to it. */
export interface Answered {
  readonly kind: 'offer' | 'nothing' | 'cancelled'
  readonly ms: number
  readonly requestMs: number
}

export interface Played {
  readonly keys: number // pressed, accepting included
  readonly recordedKeys: number // what it would have taken without ghost text
  readonly typed: number // of `keys`: those that bring a character in
  readonly taken: readonly number[] // lengths of accepted ghost texts, in characters
  readonly ghosts: readonly Sight[]
  readonly flickers: readonly Flicker[]
  readonly answers: readonly Answered[]
  readonly passes: number
  readonly processorMs: number // of the whole process, the engine's threads included
  readonly wallMs: number
}

const afterwardsMs = 600 // what is in hand when the last key was pressed is waited for, and counted

/** @param passes counted by the engine behind the editor's server. */
export async function playLive(
  editor: Pick<EditorSession, 'open' | 'change' | 'inline'>,
  passes: Readonly<Passes>,
  recordings: readonly Recording[],
  options: LiveOptions,
  told: (keys: number) => void = () => {},
): Promise<Played> {
  // The first document of all opens the session; that is not what is measured.
  await editor.open('plaintext', '')
  await editor.inline({ line: 0, character: 0 })
  const before = { steps: passes.steps, cpu: process.cpuUsage(), at: performance.now() }
  const desk = new Desk(editor, options)
  for (const recording of recordings) await desk.play(recording, told)
  if (!options.stop?.aborted) await pause(afterwardsMs / Math.max(1, options.speed))
  const { user, system } = process.cpuUsage(before.cpu)
  return {
    keys: desk.keys,
    recordedKeys: recordings.reduce((sum, { keys }) => sum + keys.length, 0),
    typed: desk.typed,
    taken: desk.taken,
    ghosts: desk.watch.ghosts,
    flickers: desk.watch.flickers,
    answers: desk.answers,
    passes: passes.steps - before.steps,
    processorMs: (user + system) / 1000,
    wallMs: performance.now() - before.at,
  }
}

/** Editor and person. */
class Desk {
  readonly watch = new GhostWatch()
  readonly answers: Answered[] = []
  readonly taken: number[] = []
  keys = 0
  typed = 0

  private readonly editor: Parameters<typeof playLive>[0]
  private readonly options: LiveOptions
  private buffer = new Buffer('')
  private offer: Offer | undefined
  private todo: string | undefined // what the person still wants on the line
  private reactionMs = 0
  private wake: () => void = () => {} // something changed on the screen
  private timer: NodeJS.Timeout | undefined
  private documents = 0

  constructor(editor: Parameters<typeof playLive>[0], options: LiveOptions) {
    this.editor = editor
    this.options = options
    options.stop?.addEventListener('abort', () => this.wake(), { once: true })
  }

  async play(recording: Recording, told: (keys: number) => void): Promise<void> {
    this.leave()
    this.documents++
    this.buffer = new Buffer(recording.start)
    const { keys } = recording
    let last = performance.now()
    for (let i = 0; i < keys.length; ) {
      const key = keys[i]!
      const due = last + key.waitMs / this.options.speed
      const took = await this.tookBefore(due)
      if (this.options.stop?.aborted) return
      if (took) i = next(keys, i, this.todo!)
      else {
        await this.press(recording.source, key)
        i++
      }
      last = performance.now()
      told(this.keys)
    }
    if (this.buffer.text !== recording.source.text) throw new Error(`${recording.source.name} was not restored`)
  }

  /** Waits for the moment of the next key; true when the person took the ghost text before it came. */
  private async tookBefore(due: number): Promise<boolean> {
    for (;;) {
      const now = performance.now()
      const takeAt = this.takeAt()
      if (takeAt <= now) {
        await this.take()
        return true
      }
      if (due <= now || this.options.stop?.aborted) return false
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.max(1, Math.min(due, takeAt) - now))
        this.wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }

  private takeAt(): number {
    const { current } = this.watch
    if (!current || current.stale) return Number.POSITIVE_INFINITY
    const after = this.buffer.line.slice(this.buffer.cursor.character)
    if (!wouldTake(current.text, this.offer!.replaces, this.todo, after)) return Number.POSITIVE_INFINITY
    return current.since + this.reactionMs
  }

  private async press({ languageId, path }: Source, key: Key): Promise<void> {
    this.keys++
    if (key.kind === 'character' || key.kind === 'break' || key.kind === 'typo') this.typed++
    const change = this.buffer.press(key)
    this.todo = key.todo
    if (key.place) {
      this.leave() // insert mode, and back to it there
    } else this.watch.pressed(this.view())
    if (key.kind === 'open') await this.editor.open(languageId, this.buffer.text, path)
    if (change) await this.editor.change(change)
    this.ask()
  }

  private async take(): Promise<void> {
    this.keys++
    const { text } = this.watch.current!
    const { replaces } = this.offer!
    this.taken.push(text.length - replaces)
    this.todo = this.todo!.slice(text.length - replaces)
    const change = this.buffer.edit(0, replaces, text)
    this.leave()
    await this.editor.change(change)
    this.ask()
  }

  private leave(): void {
    this.offer = undefined
    this.watch.end()
  }

  /** One request a key, after the editor's own rest; a newer key starts that rest anew. */
  private ask(): void {
    const pressedAt = performance.now()
    const { clientDelayMs } = this.options
    clearTimeout(this.timer)
    if (clientDelayMs === 0) void this.request(pressedAt)
    else this.timer = setTimeout(() => void this.request(pressedAt), clientDelayMs)
  }

  private async request(pressedAt: number): Promise<void> {
    const document = this.documents
    const askedAt = performance.now()
    const reply = await this.editor.inline(this.buffer.cursor)
    const now = performance.now()
    this.answers.push({ kind: reply.kind, ms: now - pressedAt, requestMs: now - askedAt })
    // Neovim shows what comes, however old; but another document's ghost text has nowhere to be shown.
    if (reply.kind === 'cancelled' || document !== this.documents) return
    this.offer = reply.kind === 'offer' ? reply.offer : undefined
    const view = this.view()
    const { line, cursor } = this.buffer
    const sight: Sight = {
      line: line.slice(0, cursor.character).trimStart(),
      text: view.text,
      wanted: this.todo ?? '(a slip to correct)',
      verdict: judge(view.text, this.offer?.replaces ?? 0, this.todo, line.slice(cursor.character)),
    }
    const { current } = this.watch
    this.watch.answered(view, sight, now)
    if (this.watch.current !== current) {
      this.reactionMs = this.options.reaction()
      this.wake()
    }
  }

  private view(): View {
    return this.offer ? viewOf(this.offer, this.buffer.line, this.buffer.cursor) : noView
  }
}

/** The first key after which no more is left to do on the line than there is now: what accepting made needless is left out. */
function next(keys: readonly Key[], from: number, todo: string): number {
  const done = keys.findIndex((key, i) => i >= from && key.todo === todo)
  if (done < 0) throw new Error('the accepted text is nowhere in the recording')
  return done + 1
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))
