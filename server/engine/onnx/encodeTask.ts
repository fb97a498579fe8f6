/** Reads pieces causally, one after the other, in passes of at most `passRows` rows. */

import { checkedIds, checkedPositions } from '../checks.ts'
import type { Encoding, Piece } from '../engine.ts'
import { rowsOf, runsOf, type Segment } from './encodings.ts'
import { textGroup } from './pass.ts'
import type { FromWorker } from './protocol.ts'
import { passRows, rowBytesOf, type Task, type TaskParts } from './task.ts'

/** A piece of which some rows are encoded. */
interface Begun {
  readonly parent: Segment | undefined
  readonly parentRows: number
  readonly parts: Segment[]
}

export class EncodeTask implements Task {
  readonly kind = 'encode'
  readonly request: number
  private readonly pieces: readonly Piece[]
  private readonly with: TaskParts
  private readonly done: Encoding[] = []
  private begun: Begun | undefined
  private dropped = false

  constructor(request: number, pieces: readonly Piece[], parts: TaskParts) {
    this.request = request
    this.pieces = pieces
    this.with = parts
  }

  async advance(): Promise<FromWorker | undefined> {
    const piece = this.pieces[this.done.length]
    if (piece) {
      this.begun ??= this.begin(piece)
      await this.readSome(piece, this.begun)
    }
    const { request, done: encodings } = this
    return this.dropped || encodings.length < this.pieces.length ? undefined : { kind: 'encoded', request, encodings }
  }

  drop(): void {
    this.dropped = true
    this.with.store.release(this.done.map(({ id }) => id))
  }

  private begin(piece: Piece): Begun {
    if (piece.after === undefined) return { parent: undefined, parentRows: 0, parts: [] }
    const parent = this.with.store.get(piece.after)
    const rows = piece.rows ?? rowsOf(parent)
    if (rows > rowsOf(parent))
      throw new RangeError(`encoding ${piece.after} has ${rowsOf(parent)} rows, asked were ${rows}`)
    return { parent: holderOf(parent, rows), parentRows: rows, parts: [] }
  }

  private async readSome(piece: Piece, { parent, parentRows, parts }: Begun): Promise<void> {
    const { store, runner, options } = this.with
    const doneRows = parts.reduce((sum, part) => sum + part.ownRows, 0)
    const ids = checkedIds(piece.ids.slice(doneRows, doneRows + passRows), options.inputIds)
    if (ids.length > 0) {
      const last = parts.at(-1) ?? parent
      const seenRows = parentRows + doneRows
      const runs = last ? runsOf(last, seenRows) : []
      let position = 0
      const firstPositions = runs.map((run) => {
        position += run.count
        return position - run.count
      })
      const positions = checkedPositions(
        ids.map((_, i) => seenRows + i),
        options,
      )
      const keep = [{ first: 0, count: ids.length }]
      const group = textGroup({ ids, positions, runs, firstPositions, keep })
      const [result] = await runner.run([group], [])
      const { keys, values } = result!.kept[0]!
      parts.push({ parent: last, parentRows: seenRows, ownRows: ids.length, keys, values })
    }
    if (this.dropped || doneRows + ids.length < piece.ids.length) return
    const segment = parts.at(-1) ?? { parent, parentRows, ownRows: 0, keys: [], values: [] }
    const bytes = piece.ids.length * rowBytesOf(options)
    this.done.push({ id: store.add(segment), rows: rowsOf(segment), bytes })
    this.begun = undefined
  }
}

/** The ancestor that holds row `rows - 1`: what comes after it is of no use to a branch, and must not be kept alive by it. */
function holderOf(segment: Segment, rows: number): Segment | undefined {
  let holder: Segment | undefined = segment
  while (holder && rows <= holder.parentRows) holder = holder.parent
  return holder
}
