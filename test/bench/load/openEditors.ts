/**
 * Editors as the product makes them, many in one process: each with a server, a session, caches and a connection to the
 * engine of its own. They share what never changes, the model's description and its tokenizer; and the engine of this
 * machine that stands in while the other is gone, since two hundred of these have no room here.
 */
import { EngineWhenNeeded } from '../../../server/cli/engineWhenNeeded.ts'
import { type EngineContract, openLocalEngine, openRemoteEngine } from '../../../server/cli/openEngine.ts'
import { engineOptions, sessionModel } from '../../../server/cli/openRooms.ts'
import { roomsOver } from '../../../server/cli/roomsOver.ts'
import { LoopDenoiser } from '../../../server/denoise/loopDenoiser.ts'
import type { GapLoop } from '../../../server/engine/gapLoop.ts'
import { openBundle, openTokens } from '../../../server/model/openBundle.ts'
import { readTokenizer } from '../../../server/model/tokenizer.ts'
import { type EditorSession, openEditor } from '../typing/editor.ts'
import { countPasses, type Passes } from '../typing/passes.ts'

export interface EditorsOptions {
  readonly dir: string // of the bundle
  readonly address: string
  readonly standIn: boolean
  readonly contract: EngineContract
  readonly settings: Readonly<Record<string, unknown>>
  /** Told when an editor's server went and when it is back. */
  readonly onChange: (sentence: string) => void
}

export interface Editors {
  readonly all: readonly { readonly session: EditorSession; readonly passes: Readonly<Passes> }[]
  /** Requests for whole gaps so far. */
  readonly gaps: () => number
  close(): Promise<void>
}

export async function openEditors(count: number, options: EditorsOptions): Promise<Editors> {
  const { dir, address, standIn, contract, settings, onChange } = options
  const manifest = await openTokens(dir)
  const model = sessionModel(manifest, await readTokenizer(dir, manifest.vocab))
  const here = new EngineWhenNeeded(
    async () => (await openLocalEngine(engineOptions(await openBundle(dir)), undefined)).engine,
  )
  const lent = { encode: here.encode.bind(here), step: here.step.bind(here), release: here.release.bind(here) }
  const openHere = async () => ({ ...lent, close: async () => {} })
  let gaps = 0
  const counted = (loop: GapLoop): GapLoop => ({
    get available() {
      return loop.available
    },
    infill: (job, signal) => {
      gaps++
      return loop.infill(job, signal)
    },
    readAhead: (texts, signal) => loop.readAhead(texts, signal),
  })
  const opened = await Promise.all(
    Array.from({ length: count }, async () => {
      const place = { address, standIn, contract, onChange }
      const { engine, loop } = await openRemoteEngine(place, manifest, openHere)
      const passes = countPasses(engine)
      const whole = loop && new LoopDenoiser(counted(loop))
      return { engine, passes, session: await openEditor({ ...roomsOver(engine, model, true), loop: whole }, settings) }
    }),
  )
  return {
    all: opened,
    gaps: () => gaps,
    async close() {
      for (const { session, engine } of opened) {
        await session.close()
        await engine.close()
      }
      await here.close()
    },
  }
}
