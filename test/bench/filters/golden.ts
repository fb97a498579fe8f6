/** Places and what a model wrote there → cases of a golden file: a few lines around the cursor, not the file. */
import { type FinishContext, finish } from '../../../server/infill/finish.ts'
import type { GoldenCase } from '../../golden/goldenFile.ts'
import type { FilterPlace } from './places.ts'

const linesBefore = 10
const linesAfter = 6

/** What a model wrote at a place, what was held back taken off. */
export interface Written {
  readonly place: FilterPlace
  readonly index: number // among the places drawn
  readonly text: string
  readonly complete: boolean
}

/**
 * @returns undefined where the few lines are too few: the filters would say something else of the whole window, or the
 *   text cannot stand in a golden file.
 */
export function goldenCase({ place, index, text, complete }: Written, whole: FinishContext): GoldenCase | undefined {
  const before = lastLines(whole.before, linesBefore)
  const after = firstLines(whole.after, linesAfter)
  const near = { ...whole, before, after }
  if (JSON.stringify(finish(text, near)) !== JSON.stringify(finish(text, whole))) return undefined
  if (/[║├┤«»\r]|^(?:----|====)/m.test(text) || text === '') return undefined
  const { file, kind, scope } = place
  const name = file.path.slice(file.path.lastIndexOf('/') + 1)
  return {
    title: `${file.package}, ${name}: ${kind} ${index}`,
    sections: [
      { name: 'document', argument: file.languageId, text: `${before}║${after}` },
      ...(scope === 'block' ? [{ name: 'scope', argument: 'block', text: '' }] : []),
      ...(complete ? [] : [{ name: 'cut', argument: 'short', text: '' }]),
      { name: 'model', argument: '', text },
      { name: 'shown', argument: '', text: '' }, // the runner writes it, UPDATE_GOLDEN=1
    ],
  }
}

function lastLines(text: string, count: number): string {
  return text.split('\n').slice(-count).join('\n')
}

function firstLines(text: string, count: number): string {
  return text.split('\n').slice(0, count).join('\n')
}
