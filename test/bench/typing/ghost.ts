/**
 * Ghost text as an editor shows it, and what becomes of it. Pure; times are parameters.
 *
 * The habits are those of Neovim 0.12 (`vim.lsp.inline_completion`): the last answer wins, an empty list erases, an error
 * leaves what is shown, typing into the ghost text eats it up. What was typed away from stands there, out of date, until
 * the next answer.
 */
import type { Place } from './recording.ts'

/** What a server offered: `text` takes the place of `replaces` units at a place. */
export interface Offer {
  readonly place: Place
  readonly text: string
  readonly replaces: number
}

/** Ghost text on show at the cursor; '' is none. `stale`: it does not fit what was typed since. */
export interface View {
  readonly text: string
  readonly stale: boolean
}

export const noView: View = { text: '', stale: false }

export function viewOf(offer: Offer | undefined, line: string, cursor: Place): View {
  if (!offer || offer.place.line !== cursor.line || cursor.character < offer.place.character) return noView
  const typed = line.slice(offer.place.character, cursor.character)
  return { text: offer.text.slice(typed.length), stale: !offer.text.startsWith(typed) }
}

/** Of ghost text against what the person wants to write on the line: all of it, a beginning of it, something else. */
export type Verdict = 'whole' | 'beginning' | 'wrong'

/**
 * @param replaces units right of the cursor that it takes the place of.
 * @param wanted undefined while a mistyped key stands: nothing can be right then.
 * @param after what stands right of the cursor on its line.
 */
export function judge(shown: string, replaces: number, wanted: string | undefined, after: string): Verdict {
  const count = shown.length - replaces // units that would come in
  if (wanted === undefined || count <= 0 || count > wanted.length) return 'wrong'
  if (shown !== wanted.slice(0, count) + after.slice(0, replaces)) return 'wrong'
  return count === wanted.length ? 'whole' : 'beginning'
}

/** Units that `shown` has in common with the beginning of `wanted`. */
export function agreement(shown: string, wanted: string): number {
  let same = 0
  while (same < shown.length && shown[same] === wanted[same]) same++
  return same
}

/** A ghost text as it appeared, or last changed. */
export interface Sight {
  readonly line: string // left of the cursor
  readonly text: string
  readonly wanted: string
  readonly verdict: Verdict
}

export interface Flicker {
  readonly line: string
  readonly from: string
  readonly to: string // '' when it was withdrawn
  readonly wanted: string
}

interface Current {
  readonly since: number // in this form: reading begins anew with every change that typing does not explain
  readonly sight: Sight
  text: string // on show now
  stale: boolean
}

/** What the person sees: ghost texts, each counted once however it grows or is typed into, and flickers. */
export class GhostWatch {
  readonly ghosts: Sight[] = [] // those that have gone
  readonly flickers: Flicker[] = []
  current: Current | undefined

  /** After a key: typed into, typed away from, or typed to its end. */
  pressed(view: View): void {
    if (!this.current) return
    if (view.text === '') return this.end()
    this.current.text = view.text
    this.current.stale = view.stale
  }

  /** After an answer. What was out of date may go or change; the rest may only grow, all else is a flicker. */
  answered(view: View, sight: Sight, now: number): void {
    if (this.current?.stale) this.end()
    const before = this.current?.text ?? ''
    const after = view.stale ? '' : view.text
    if (before === after) return
    if (before !== '' && !after.startsWith(before)) {
      this.flickers.push({ line: sight.line, from: before, to: after, wanted: sight.wanted })
      this.end()
    }
    this.current = after === '' ? undefined : { since: now, sight, text: after, stale: false }
  }

  /** It was taken, or the person went elsewhere. */
  end(): void {
    if (this.current) this.ghosts.push(this.current.sight)
    this.current = undefined
  }
}
