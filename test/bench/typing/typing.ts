/** The two typing benchmarks over files of three languages: answers one by one (`latency`), and a person at work (`live`). */
import type { OpenRooms } from '../../../server/cli/openRooms.ts'
import { rounded, seededRandom } from '../stats.ts'
import { openEditor } from './editor.ts'
import { latency, latencyFigures } from './latency.ts'
import { type LiveOptions, playLive } from './live.ts'
import { joined, liveFigures } from './liveFigures.ts'
import { countPasses } from './passes.ts'
import type { Source } from './recording.ts'
import { type Recording, record } from './recording.ts'
import { digestOf, drawSources, languages } from './sources.ts'
import { drawReaction } from './timing.ts'

export interface TypingOptions {
  readonly seed: number
  readonly files: number // of each language
  readonly characters: number // typed in each file, at least
}

export function recordingsOf(all: readonly Source[], { seed, files, characters }: TypingOptions): Recording[] {
  return drawSources(all, files, seed).map((source, i) => record(source, characters, seededRandom(seed + i)))
}

export async function typing(
  rooms: OpenRooms,
  recordings: readonly Recording[],
  told: (done: number, of: number) => void,
) {
  const total = recordings.reduce((sum, { keys }) => sum + keys.length, 0)
  const tokensOf = (text: string) => rooms.model.encode(text).length
  const byLanguage = new Map<string, Awaited<ReturnType<typeof latency>>>()
  let done = 0
  for (const recording of recordings) {
    const strokes = await latency(rooms, [recording], (keys) => told(done + keys, total))
    done += strokes.length
    const { languageId } = recording.source
    byLanguage.set(languageId, [...(byLanguage.get(languageId) ?? []), ...strokes])
  }
  const figures = (strokes: Awaited<ReturnType<typeof latency>>) => latencyFigures(strokes, tokensOf)
  return {
    ...describe(recordings),
    ...figures([...byLanguage.values()].flat()),
    by_language: Object.fromEntries(
      [...byLanguage].map(([languageId, strokes]) => [languageId, figures(strokes).keystroke_to_ghost]),
    ),
  }
}

/** The editor's own share first, played fast: what it does for a key does not depend on when the key comes. */
const fast = 40

export async function live(
  rooms: OpenRooms,
  recordings: readonly Recording[],
  options: {
    readonly settings: Readonly<Record<string, unknown>>
    readonly clientDelayMs: number
    readonly seed: number
  },
  told: (done: number, of: number) => void,
) {
  const total = recordings.reduce((sum, { keys }) => sum + keys.length, 0)
  const random = seededRandom(options.seed)
  const reaction = () => drawReaction(random)
  const passes = countPasses(rooms.engine)
  const { settings, clientDelayMs } = options
  const play = async (on: boolean, some: readonly Recording[], tell?: (keys: number) => void) => {
    const editor = await openEditor(rooms, on ? settings : { ...settings, inline: false })
    const live: LiveOptions = { clientDelayMs: on ? clientDelayMs : 0, speed: on ? 1 : fast, reaction }
    const played = await playLive(editor, passes, some, live, tell)
    await editor.close()
    return played
  }
  const alone = await play(false, recordings)
  const runs = new Map<string, Awaited<ReturnType<typeof playLive>>[]>(languages.map((name) => [name, []]))
  let done = 0
  for (const recording of recordings) {
    const played = await play(true, [recording], (keys) => told(done + keys, total))
    done += recording.keys.length
    runs.get(recording.source.languageId)!.push(played)
  }
  const all = [...runs.values()].flat()
  const { ghosts, flickers } = joined(all)
  return {
    figures: {
      ...describe(recordings),
      settings: options.settings,
      client_delay_ms: options.clientDelayMs,
      ...liveFigures(joined(all), alone),
      by_language: Object.fromEntries(
        [...runs]
          .filter(([, played]) => played.length > 0)
          .map(([name, played]) => {
            const of = liveFigures(joined(played), alone)
            return [
              name,
              {
                keys_pressed: of.keys_pressed,
                keystrokes_saved_percent: of.keystrokes_saved_percent,
                wrong_ghosts_per_100_keys: of.wrong_ghosts_per_100_keys,
                flickers_per_100_keys: of.flickers_per_100_keys,
                processor_ms_per_typed_character: of.processor_ms_per_typed_character,
              },
            ]
          }),
      ),
    },
    ghosts,
    flickers,
  }
}

/** What was typed: figures of two runs can be compared where this is the same. */
function describe(recordings: readonly Recording[]) {
  const keys = recordings.flatMap(({ keys }) => keys)
  return {
    files: recordings.length,
    texts: digestOf(recordings.map(({ source }) => source)),
    keys: keys.length,
    mean_interval_ms: rounded(keys.reduce((sum, { waitMs }) => sum + waitMs, 0) / keys.length, 0),
  }
}
