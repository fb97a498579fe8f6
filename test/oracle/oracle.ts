/** The numbers of `reference.json`, made by `makeReference.py` with PyTorch in float32. */
import { readFileSync } from 'node:fs'
import type { Encoding, Engine, Prediction } from '../../server/engine/engine.ts'

export interface OracleRow {
  readonly top: number[]
  readonly logprobs: number[]
  readonly entropy: number
  readonly end: number
}

export interface OracleCase {
  readonly name: string
  readonly prefixIds: number[]
  readonly suffixIds: number[]
  readonly canvasIds: number[]
  readonly rows: readonly OracleRow[]
  readonly tree: {
    readonly ids: number[]
    readonly offsets: number[]
    readonly sees: readonly (readonly [first: number, count: number])[][]
    readonly rows: readonly OracleRow[]
  }
  readonly written: { readonly ids: number[]; readonly margin: number }
  /** The same with so many tokens before the last prefix token in the canvas. */
  readonly begun: { readonly count: number; readonly ids: number[]; readonly margin: number }
  readonly infill: { readonly ids: number[]; readonly steps: number; readonly margin: number }
}

export interface Oracle {
  readonly header: { readonly lineBreakIds: number[]; readonly padId: number; readonly maskId: number }
  readonly cases: OracleCase[]
}

export function readOracle(): Oracle {
  return JSON.parse(readFileSync(new URL('./reference.json', import.meta.url), 'utf8'))
}

const open = new AbortController().signal

/** Positions from the last prefix token to the suffix, less one, where rows are committed-causal (`training/reference.py`). */
export const distance = 24

/** @param begun tokens before the last prefix token that are rows of the canvas. */
export async function encodeCase(engine: Engine, { prefixIds, suffixIds }: OracleCase, begun = 0): Promise<Encoding[]> {
  return engine.encode([{ ids: prefixIds.slice(0, prefixIds.length - 1 - begun) }, { ids: suffixIds }], open)
}

/** The prediction of every slot of a case's canvas. */
export async function predictCase(engine: Engine, oracle: Oracle, one: OracleCase): Promise<Prediction> {
  const [prefix, suffix] = await encodeCase(engine, one)
  const first = one.prefixIds.length
  const slots = one.canvasIds.length
  const [prediction] = await engine.step(
    [
      {
        ids: [one.prefixIds.at(-1)!, ...one.canvasIds],
        positions: Array.from({ length: slots + 1 }, (_, i) => first - 1 + i),
        context: [
          { id: suffix!.id, rows: suffix!.rows, firstPosition: first + slots },
          { id: prefix!.id, rows: prefix!.rows, firstPosition: 0 },
        ],
        asked: Array.from({ length: slots }, (_, i) => first + i),
        setIds: [oracle.header.padId, ...oracle.header.lineBreakIds],
      },
    ],
    open,
  )
  engine.release([prefix!.id, suffix!.id])
  return prediction!
}

/** The prediction of every row of a case's tree. */
export async function predictTree(engine: Engine, oracle: Oracle, one: OracleCase): Promise<Prediction> {
  const [prefix, suffix] = await encodeCase(engine, one)
  const { ids, offsets, sees } = one.tree
  const last = one.prefixIds.length - 1
  const [prediction] = await engine.step(
    [
      {
        ids,
        positions: offsets.map((offset) => last + offset),
        context: [
          { id: suffix!.id, rows: suffix!.rows, firstPosition: last + 1 + distance },
          { id: prefix!.id, rows: prefix!.rows, firstPosition: 0 },
        ],
        sees: sees.map((spans) => spans.map(([first, count]) => ({ first, count }))),
        asked: [],
        askedRows: [...ids.keys()],
        setIds: [oracle.header.padId, ...oracle.header.lineBreakIds],
      },
    ],
    open,
  )
  engine.release([prefix!.id, suffix!.id])
  return prediction!
}
