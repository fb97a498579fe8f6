/**
 * An `Infiller` that is left alone for a while after a failure: whoever asks meanwhile hears of the same failure at once,
 * instead of waiting for it, and the server is not asked at every keystroke. Nothing is sent to find out whether it is back.
 */
import type { Clock } from '../base/clock.ts'
import { UserError } from '../base/errors.ts'
import { type Infiller, NoInfill, type TextGap, type Written } from '../infill/infiller.ts'

export interface RestingParts {
  readonly clock: Pick<Clock, 'now'>
  /** Told once when somebody else goes on, and once when it writes again, in a sentence for the user. */
  readonly onChange: (sentence: string) => void
  /** Who goes on meanwhile, in words; where nobody does, whoever asks is told by the failure itself. */
  readonly meanwhile: string | undefined
}

const restMs = 5_000
const leastRestMs = 1_000 // whatever was told: a date may be of another clock
const mendMs = 30_000 // where somebody has to do something first

export class RestingInfiller implements Infiller {
  private readonly inner: Infiller
  private readonly parts: RestingParts
  private failure: NoInfill | UserError | undefined
  private until = 0

  constructor(inner: Infiller, parts: RestingParts) {
    this.inner = inner
    this.parts = parts
  }

  get shown(): string {
    return this.inner.shown
  }

  async infill(gap: TextGap, signal: AbortSignal, onProgress: (text: string) => void): Promise<Written> {
    const { clock, onChange } = this.parts
    if (this.failure && clock.now() < this.until) throw this.failure
    try {
      const written = await this.inner.infill(gap, signal, onProgress)
      if (this.failure) onChange(`${this.shown}: it is back`)
      this.failure = undefined
      return written
    } catch (error) {
      if (error instanceof NoInfill || error instanceof UserError) this.rest(error)
      throw error
    }
  }

  close(): void {
    this.inner.close()
  }

  private rest(failure: NoInfill | UserError): void {
    const { clock, onChange, meanwhile } = this.parts
    const ms = failure instanceof NoInfill ? Math.max(failure.retryAfterMs ?? restMs, leastRestMs) : mendMs
    this.until = clock.now() + ms
    const isNews = this.failure?.message !== failure.message
    this.failure = failure
    if (isNews && meanwhile !== undefined) onChange(`${failure.message}; ${meanwhile}`)
  }
}
