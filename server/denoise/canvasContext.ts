/** The kinds of surroundings, by the model's kind of attention. */
import type { Engine, TokenIds } from '../engine/engine.ts'
import { type CausalContext, CausalSurroundings } from './causalSurroundings.ts'
import { type DraftedContext, DraftedSurroundings } from './draftedSurroundings.ts'
import type { Surroundings } from './surroundings.ts'
import { type WholeContext, WholeSurroundings } from './wholeSurroundings.ts'

export type CanvasContext = CausalContext | DraftedContext | WholeContext

/** @param texts before, between and after the holes; all but the last have at least one token. */
export function surround(engine: Engine, texts: readonly TokenIds[], context: CanvasContext): Surroundings {
  switch (context.kind) {
    case 'causal':
      return new CausalSurroundings(engine, texts, context)
    case 'drafted':
      return new DraftedSurroundings(engine, texts, context)
    case 'whole':
      return new WholeSurroundings(engine, texts, context)
  }
}
