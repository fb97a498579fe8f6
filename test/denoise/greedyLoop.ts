/** The plain way to write greedily with the base: one token a pass, each over a fresh encoding of all that stands before. */
import type { Engine, TokenIds } from '../../server/engine/engine.ts'
import type { OneHole } from './oneHole.ts'

const never = new AbortController().signal

export interface Written {
  readonly ids: TokenIds
  /** Of each token, and of the end: by how much, in nats, it was likelier than the second best. */
  readonly margins: readonly number[]
  readonly passes: number
}

/** @param firstPosition of the first prefix token. */
export async function writeGreedily(
  engine: Engine,
  { prefixIds, maxTokens, rules }: Pick<OneHole, 'prefixIds' | 'maxTokens' | 'rules'>,
  firstPosition = 0,
): Promise<Written> {
  const ids: number[] = []
  const margins: number[] = []
  let passes = 0
  while (ids.length < maxTokens) {
    const text = [...prefixIds, ...ids]
    const before = text.slice(0, -1)
    const [encoding] = before.length > 0 ? await engine.encode([{ ids: before }], never) : []
    const at = firstPosition + before.length
    const context = encoding ? [{ id: encoding.id, rows: before.length, firstPosition }] : []
    const [said] = await engine.step(
      [{ kind: 'text', ids: [text.at(-1)!], positions: [at], context, asked: [at + 1], setIds: [] }],
      never,
    )
    passes++
    if (encoding) engine.release([encoding.id])
    const clamped = !rules.clamp.isOver(ids)
    const may = [...said!.topIds[0]!.keys()].filter((k) => {
      const id = said!.topIds[0]![k]!
      return !rules.forbiddenIds.has(id) && (!clamped || rules.clamp.allows(ids, id))
    })
    const [best, second] = may
    if (best === undefined) break
    const logProbs = said!.topLogProbs[0]!
    margins.push(logProbs[best]! - (second === undefined ? Number.NEGATIVE_INFINITY : logProbs[second]!))
    const id = said!.topIds[0]![best]!
    if (!clamped && rules.endIds.has(id)) break
    ids.push(id)
  }
  return { ids, margins, passes }
}
