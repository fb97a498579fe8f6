/**
 * Passes on the first execution provider that can run them. One that cannot be loaded, cannot open the graph or fails in
 * a pass is passed over with its reason and not tried again; the pass is run on the next instead.
 *
 * Encodings lie in memory, not on a device, so they outlive a provider: nobody who waits for an answer notices more than
 * the time it takes to open the graph again.
 *
 * Which providers there are to try is the user's choice, and cpu alone unless they chose: an adapter may be software, or
 * slower than the processor (a step of the default model is 1,400 small operations), opening one takes seconds, its
 * programs are compiled at the first passes, and a bad driver takes the process with it. What would be gained is known
 * only by measuring, which "lacuna doctor" does when asked.
 */
import { messageOf } from '../../base/errors.ts'
import type { TokenIds } from '../engine.ts'
import type { Sessions } from './openSessions.ts'
import { type GroupResult, PassRunner, type RowGroup } from './pass.ts'
import type { EngineOptions, OpenReport, PassedOver } from './protocol.ts'
import { tryOut } from './tryOut.ts'

export interface ProviderChainParts {
  readonly openSessions: (options: EngineOptions, provider: string) => Promise<Sessions>
  /** A provider failed in a pass: told once the next one is open. */
  readonly onMoved: (report: OpenReport) => void
}

/** What runs passes now. */
interface Current {
  readonly runner: PassRunner
  readonly report: OpenReport
}

export class ProviderChain implements Pick<PassRunner, 'run'> {
  private readonly options: EngineOptions
  private readonly parts: ProviderChainParts
  private readonly passedOver: PassedOver[]
  private current: Current | undefined

  constructor(options: EngineOptions, parts: ProviderChainParts) {
    this.options = options
    this.parts = parts
    this.passedOver = [...options.lost]
  }

  /** @throws when no provider is left; the message has the reason of each. */
  async open(): Promise<OpenReport> {
    const began = performance.now()
    for (let provider = this.next(); provider !== undefined; provider = this.next()) {
      let runner: PassRunner | undefined
      try {
        runner = new PassRunner(await this.parts.openSessions(this.options, provider), this.options)
        if (provider !== 'cpu') await tryOut(runner)
        const report = { provider, passedOver: [...this.passedOver], loadMs: performance.now() - began }
        this.current = { runner, report }
        return report
      } catch (error) {
        this.passedOver.push({ provider, reason: reasonOf(error) })
        await runner?.release().catch(() => {}) // it failed already, and the reason is kept
      }
    }
    const reasons = this.passedOver.map(({ provider, reason }) => `${provider}: ${reason}`).join('; ')
    this.passedOver.pop() // the last resort is tried again: memory may have been short
    throw new Error(reasons)
  }

  async run(groups: readonly RowGroup[], setIds: TokenIds): Promise<GroupResult[]> {
    for (;;) {
      const { runner, report } = this.current ?? (await this.reopened())
      try {
        return await runner.run(groups, setIds)
      } catch (error) {
        // With nothing to go on with, a pass that failed is a failure, and the next may succeed.
        if (error instanceof RangeError || this.next(report.provider) === undefined) throw error
        this.passedOver.push({ provider: report.provider, reason: `a pass failed: ${reasonOf(error)}` })
        this.current = undefined
        await runner.release().catch(() => {})
      }
    }
  }

  async release(): Promise<void> {
    await this.current?.runner.release()
  }

  private async reopened(): Promise<Current> {
    this.parts.onMoved(await this.open())
    return this.current!
  }

  /** The first provider that was not passed over, and is not `besides`. */
  private next(besides?: string): string | undefined {
    const known = (name: string) => name === besides || this.passedOver.some(({ provider }) => provider === name)
    return this.options.providers.find((name) => !known(name))
  }
}

/** One line, without the place in the runtime's source where the error was made. */
function reasonOf(error: unknown): string {
  const [line = ''] = messageOf(error).split('\n')
  return line.replace(/^.* was false\. /, '').trim()
}
