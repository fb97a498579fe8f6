/**
 * Answers from what stood there, without a model: a benchmark that does not score `reference` as right, or `broken` as wrong,
 * is broken itself.
 */
import type { Answerer, Case } from '../benchmark.ts'

export const reference: Answerer = answering('reference', (truth) => truth)

/** Every value that is returned is another one; where nothing is, the text is no program any more. */
export const broken: Answerer = answering('broken', (truth) =>
  /\breturn\b/.test(truth) ? truth.replaceAll(/\breturn\b.*/g, 'return object()') : `${truth} )`,
)

function answering(name: string, from: (truth: string) => string): Answerer {
  return {
    name,
    about: {},
    ask: async ({ offset, truth }: Case) => ({
      edit: { span: { start: offset, end: offset }, text: from(truth) },
      ms: 0,
    }),
    close: async () => {},
  }
}
