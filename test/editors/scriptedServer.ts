/**
 * The real server over an engine whose model knows some texts: `LACUNA_KNOWN` names a JSON file with a list of them. Told
 * what stands before a place, it says what comes next in the text that has the same there. While the file `LACUNA_STALL`
 * names exists, no step is finished, and while `LACUNA_OPENING` does, the model is being opened. Bundled by `buildServers.ts` and started by editors in place of `lacuna --stdio`.
 */
import { existsSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock } from '../../server/base/clock.ts'
import type { Engine } from '../../server/engine/engine.ts'
import type { OpenSession } from '../../server/lsp/serverOptions.ts'
import { serveStdio } from '../../server/lsp/serveStdio.ts'
import { LiveSession } from '../../server/session/liveSession.ts'
import { byteIds, type Script, ScriptedEngine } from '../engine/scriptedEngine.ts'
import { bytesOf } from '../session/byteModel.ts'
import { roomsOver } from '../session/roomsOver.ts'

const sightBytes = 10 // of what stands before a place

const known = (JSON.parse(readFileSync(process.env.LACUNA_KNOWN!, 'utf8')) as string[]).map((text) =>
  bytesOf(text.replaceAll('\r\n', '\n')),
)
const stall = process.env.LACUNA_STALL ?? ''
const opening = process.env.LACUNA_OPENING ?? ''

/**
 * What follows in the text that is alike the longest way back, as far as `sightBytes`; the end where none is. Another one
 * with as much in sight goes on otherwise: then that is the second guess.
 */
const next: Script = ({ position, canvas, context }) => {
  let best: { id: number; alike: number } = { id: byteIds.end, alike: 3 }
  let second: number | undefined
  for (const text of known) {
    for (let at = 1; at <= text.length; at++) {
      let alike = 0
      while (alike < sightBytes && alike < at && text[at - 1 - alike] === before(alike)) alike++
      const id = text[at] ?? byteIds.end
      if (alike > best.alike) best = { id, alike }
      else if (alike === sightBytes && id !== best.id) second = id
    }
  }
  // Behind an open slot nothing is known.
  if (before(0) === byteIds.mask) return [{ id: best.id, probability: 0.01 }]
  if (second === undefined) return [{ id: best.id, probability: 0.9999 }]
  return [best.id, second].map((id, i) => ({ id, probability: [0.8, 0.1999][i]! }))

  function before(back: number): number | undefined {
    return canvas.get(position - 1 - back) ?? context.get(position - 1 - back)
  }
}

const openSession: OpenSession = async (settings, log) => {
  while (opening !== '' && existsSync(opening)) await sleep(10)
  const scripted = new ScriptedEngine(next)
  const engine: Engine = {
    encode: (pieces, signal) => scripted.encode(pieces, signal),
    async step(jobs, signal) {
      while (stall !== '' && existsSync(stall) && !signal.aborted) await sleep(10)
      return scripted.step(jobs, signal)
    },
    release: (ids) => scripted.release(ids),
    close: () => scripted.close(),
  }
  const rooms = roomsOver(engine, {}, systemClock.now)
  return new LiveSession(rooms, { settings, clock: systemClock, log, close: () => engine.close() })
}

process.exitCode = await serveStdio({ openSession, version: 'scripted' })
