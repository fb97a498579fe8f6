/**
 * The model as it reads text, from left to right, greedily: rows of text, without the adapter where there is one. With
 * the suffix out of sight, or put before the prefix. Everything else is the product's: window, held-back text, stop, filters,
 * limit.
 */
import type { Prediction, StepJob, TokenIds } from '../../../server/engine/engine.ts'
import { heldBackClamp } from '../../../server/infill/plan.ts'
import type { SessionModel } from '../../../server/session/sessionModel.ts'
import type { Answer, Answerer, Case } from '../benchmark.ts'
import { finishedEdit, planOf } from './finishAsProduct.ts'
import type { BaseRooms } from './rooms.ts'

export type Order = 'prefix' | 'suffix-first'

const never = new AbortController().signal
/** Tokens read again in each step before they are read for good: a pass of 16 rows costs little more than one of one. */
const foldRows = 16

export function baseReader(rooms: BaseRooms, about: Answerer['about'], order: Order): Answerer {
  return {
    name: order === 'prefix' ? 'base' : 'base-suffix-first',
    about,
    ask: (gap) => read(rooms, gap, order),
    close: async () => {},
  }
}

async function read({ engine, model, prefixes, now }: BaseRooms, gap: Case, order: Order): Promise<Answer> {
  const plan = planOf(gap, model)
  const clamp = heldBackClamp(plan.held[0]!, gap.scope, model.tokenText)
  const before = order === 'prefix' ? plan.texts[0]! : suffixFirst(plan.texts[0]!, plan.texts[1]!, model)
  const [ends, forbidden] = [endsOf(gap, model), new Set([...model.forbiddenIds, ...model.endIds, model.maskId])]
  const began = now()
  let lease = await prefixes.encode(before.slice(0, -1), never)
  const encoded = now()
  const ids: number[] = []
  let [known, steps, rows, complete] = [before.length - 1, 0, 0, false]
  try {
    while (ids.length < gap.maxTokens) {
      const all = [...before, ...ids]
      if (all.length - known > foldRows) {
        const further = await prefixes.encode(all.slice(0, -1), never)
        lease.end()
        lease = further
        rows += all.length - 1 - known
        known = all.length - 1
      }
      const job: StepJob = {
        kind: 'text',
        ids: all.slice(known),
        positions: Array.from({ length: all.length - known }, (_, i) => known + i),
        context: lease.id === undefined ? [] : [{ id: lease.id, rows: known, firstPosition: 0 }],
        asked: [all.length],
        setIds: ends,
      }
      const [said] = await engine.step([job], never)
      steps++
      rows += job.ids.length
      const id = best(said!, ids, { forbidden, ends: new Set(ends), clamp })
      complete = id === 'end'
      if (id === 'end' || id === undefined) break
      ids.push(id)
    }
  } finally {
    lease.end()
  }
  return {
    edit: finishedEdit(gap, plan, model.decode(ids), complete),
    steps,
    rows,
    tokens: ids.length,
    encodeMs: encoded - began,
    ms: now() - encoded,
  }
}

/** A line break ends the rest of a line; blocks end where the filters see their end, or with the limit. */
function endsOf({ scope }: Case, { lineBreakIds }: SessionModel): TokenIds {
  return scope === 'line' ? lineBreakIds : []
}

interface Rules {
  readonly forbidden: ReadonlySet<number>
  readonly ends: ReadonlySet<number>
  readonly clamp: ReturnType<typeof heldBackClamp>
}

/** The best token; the end where all ends together are likelier, as in the product. */
function best(
  { topIds, topLogProbs, setLogProbs }: Prediction,
  written: TokenIds,
  rules: Rules,
): number | 'end' | undefined {
  const { forbidden, ends, clamp } = rules
  const isHeld = !clamp.isOver(written)
  const at = topIds[0]!.findIndex((id) => !forbidden.has(id) && (isHeld ? clamp.allows(written, id) : !ends.has(id)))
  const isEnd = !isHeld && ends.size > 0 && (at < 0 || setLogProbs[0]! > topLogProbs[0]![at]!)
  if (isEnd) return 'end'
  return at < 0 ? undefined : topIds[0]![at]
}

/** The text that follows the gap, then a line break, then what stands before the gap. */
function suffixFirst(prefixIds: TokenIds, suffixIds: TokenIds, { documentStartId, encode }: SessionModel): TokenIds {
  const isStart = prefixIds[0] === documentStartId
  const start = documentStartId === undefined ? [] : [documentStartId]
  return [...start, ...suffixIds, ...encode('\n'), ...(isStart ? prefixIds.slice(1) : prefixIds)]
}
