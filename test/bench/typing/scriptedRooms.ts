/** Rooms over a scripted engine whose model says one letter and the end, everywhere: the server's own work is real. */
import type { OpenRooms } from '../../../server/cli/openRooms.ts'
import { byteIds, type Script, ScriptedEngine } from '../../engine/scriptedEngine.ts'
import { roomsOver } from '../../session/roomsOver.ts'

type Used = Pick<OpenRooms, 'engine' | 'model' | 'prefixes' | 'suffixes' | 'denoiser' | 'now'>

export function scriptedRooms(letter: string): OpenRooms {
  const id = letter.charCodeAt(0)
  const script: Script = ({ position, canvas }) => {
    const first = Math.min(...canvas.keys()) + 1 // after the token before the slots
    return [{ id: position === first ? id : byteIds.end, probability: 0.99 }]
  }
  const engine = new ScriptedEngine(script)
  const rooms: Used = { engine, ...roomsOver(engine, { lineBreakIds: [] }, () => performance.now()) }
  return rooms as OpenRooms // what a bench of keystrokes needs of them
}
