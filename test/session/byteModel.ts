/** A model whose tokens are bytes, for sessions over the scripted engine. */
import type { SessionModel } from '../../server/session/sessionModel.ts'
import { byteIds } from '../engine/scriptedEngine.ts'

export const bytesOf = (text: string): number[] => [...Buffer.from(text)]

export const byteModel: SessionModel = {
  name: 'bytes',
  encode: bytesOf,
  decode: (ids) => Buffer.from(ids).toString(),
  tokenText: (id) => (id < 256 ? Buffer.from([id]).toString() : ''),
  documentStartId: byteIds.documentStart,
  prefixTokens: 512,
  suffixTokens: 64,
  maxPositions: 4096,
  maskId: byteIds.mask,
  endIds: [byteIds.end],
  forbiddenIds: [byteIds.documentStart],
  lineBreakIds: [10],
  attention: 'causal-context',
  whole: { keep: 'nothing', refreshEvery: 1, freshRows: 0 },
  lengthMode: 'end-token',
  expandId: undefined,
  canvasSlots: 8,
  drafting: undefined,
  threshold: 0.9,
  window: 4,
  baseShare: 0,
  verify: false,
}
