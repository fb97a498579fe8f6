/** The two kinds of surroundings, by the model's kind of attention. */
import type { Engine, TokenIds } from '../engine/engine.ts'
import { type CausalContext, CausalSurroundings } from './causalSurroundings.ts'
import type { Surroundings } from './surroundings.ts'
import { type WholeContext, WholeSurroundings } from './wholeSurroundings.ts'

export type CanvasContext = CausalContext | WholeContext

/** @param prefixIds at least one. */
export function surround(
  engine: Engine,
  prefixIds: TokenIds,
  suffixIds: TokenIds,
  context: CanvasContext,
): Surroundings {
  switch (context.kind) {
    case 'causal':
      return new CausalSurroundings(engine, prefixIds, suffixIds, context)
    case 'whole':
      return new WholeSurroundings(engine, prefixIds, suffixIds, context)
  }
}
