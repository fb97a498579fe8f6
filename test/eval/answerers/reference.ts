/**
 * Answers from what stood there, without a model: a benchmark that does not score `reference` as right, or `broken` as wrong,
 * is broken itself.
 */
import type { Answerer, Case } from '../benchmark.ts'

export const reference: Answerer = answering('reference', ({ truth }) => truth)

/** Every value that is returned is another one; a line, or where nothing is returned: no program any more. */
export const broken: Answerer = answering('broken', ({ truth, scope }) =>
  scope === 'block' && /\breturn\b/.test(truth) ? truth.replaceAll(/\breturn\b.*/g, 'return object()') : `${truth} )`,
)

function answering(name: string, from: (gap: Case) => string): Answerer {
  return {
    name,
    about: {},
    ask: async (gap: Case) => ({
      edit: { span: { start: gap.offset, end: gap.offset }, text: from(gap) },
      ms: 0,
    }),
    close: async () => {},
  }
}
