/** Every request of an editor, written down as its user would see it: what was asked when, and how it ended. */
import { messageOf } from '../../../server/base/errors.ts'
import type { EditorSession, Reply } from '../typing/editor.ts'
import type { Place } from '../typing/recording.ts'

export interface Asked {
  readonly editor: number
  readonly atMs: number // since the run began
  readonly endMs: number
  /** `superseded`: a newer one of the same editor won, or its budget was over. `failed`: the editor was told of an error. */
  readonly outcome: 'offer' | 'nothing' | 'superseded' | 'failed'
  readonly byModel: boolean // else it was known
  readonly error?: string
}

export type Editor = Pick<EditorSession, 'open' | 'change' | 'inline'>

export const isAnswered = ({ outcome }: Pick<Asked, 'outcome'>): boolean => outcome === 'offer' || outcome === 'nothing'

/** An editor that never throws; each request is in `asked` once it has ended. */
export class WatchedEditor implements Editor {
  readonly asked: Asked[] = []
  inHand = 0
  private readonly session: EditorSession
  private readonly number: number
  private readonly now: () => number
  private fills = 0
  private place: Place | undefined

  /** @param now milliseconds since the run began. */
  constructor(session: EditorSession, number: number, now: () => number) {
    this.session = session
    this.number = number
    this.now = now
  }

  open(languageId: string, text: string): Promise<void> {
    return this.session.open(languageId, text)
  }

  change(change: Parameters<Editor['change']>[0]): Promise<void> {
    return this.session.change(change)
  }

  async inline(place: Place): Promise<Reply> {
    this.place = place
    const atMs = this.now()
    this.inHand++
    try {
      const reply = await this.session.inline(place)
      this.ended(atMs, reply.kind === 'cancelled' ? 'superseded' : reply.kind)
      return reply
    } catch (error) {
      this.ended(atMs, 'failed', messageOf(error))
      return { kind: 'cancelled' } // an error leaves on the screen what was there
    } finally {
      this.inHand--
    }
  }

  /** Where the last request was made, as a person does who still waits for its answer. */
  async again(): Promise<void> {
    if (this.place) await this.inline(this.place)
  }

  private ended(atMs: number, outcome: Asked['outcome'], error?: string): void {
    const byModel = this.session.fills.length > this.fills
    this.fills = this.session.fills.length
    this.asked.push({
      ...{ editor: this.number, atMs, endMs: this.now(), outcome, byModel },
      ...(error === undefined ? {} : { error }),
    })
  }
}
