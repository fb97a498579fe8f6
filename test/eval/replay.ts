/**
 * What a person gains: keys put back what was taken out of held-out files, in real time, before the server with a user's
 * settings (`test/bench/typing`). Takes as long as the typing does.
 */
import type { OpenRooms } from '../../server/cli/openRooms.ts'
import { allSources } from '../bench/typing/sources.ts'
import { live, recordingsOf } from '../bench/typing/typing.ts'

export async function replay(
  rooms: OpenRooms,
  folder: string,
  { characters, seed, showAbove }: { readonly characters: number; readonly seed: number; readonly showAbove: number },
  told: (line: string) => void,
) {
  const recordings = recordingsOf(allSources('', folder), { seed, files: 2, characters })
  const seconds = recordings.reduce((sum, { keys }) => sum + keys.reduce((ms, { waitMs }) => ms + waitMs, 0), 0) / 1000
  told(`replay: ${recordings.length} files, about ${Math.ceil(seconds)} s\n`)
  const { figures } = await live(rooms, recordings, { settings: { showAbove }, clientDelayMs: 0, seed }, () => {})
  return figures
}
