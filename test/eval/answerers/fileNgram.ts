/**
 * No model: what followed, elsewhere, the longest piece of text that ends like the text before the gap; letter by letter.
 * Elsewhere in the whole file, which is more than the models see, or in the window that they see, or in the file and those beside
 * it. Stop, filters and limit are the product's.
 */
import type { SessionModel } from '../../../server/session/sessionModel.ts'
import type { Answerer } from '../benchmark.ts'
import { finishedEdit, planOf } from './finishAsProduct.ts'

export type Sight = 'file' | 'window' | 'nearby'

const names = { file: 'ngram', window: 'ngram-in-window', nearby: 'ngram-nearby' } as const

export function fileNgram(model: SessionModel, sight: Sight): Answerer {
  return {
    name: names[sight],
    about: { longest: longestMatch },
    async ask(gap) {
      const began = performance.now()
      const plan = planOf(gap, model)
      const { text: whole, offset, nearby = [] } = gap
      const beside = sight === 'nearby' ? nearby.map((text) => `\n${text}`).join('') : ''
      const pieces = sight === 'window' ? plan.pieces : [whole.slice(0, offset), whole.slice(offset) + beside]
      const most = gap.maxTokens * 16 // characters; the limit in tokens is kept below
      const text = copied(pieces, most, gap.scope === 'line')
      const ids = model.encode(text).slice(0, gap.maxTokens)
      const limited = model.decode(ids)
      const edit = finishedEdit(gap, plan, plan.held[0]! + limited, limited === text)
      return { edit, tokens: ids.length, ms: performance.now() - began }
    },
    close: async () => {},
  }
}

const longestMatch = 64 // characters; of longer ones the more frequent continuation counts

/**
 * @param pieces of text before and after the gap; what is copied goes behind the first.
 * @returns up to `most` characters, or to a line break.
 */
export function copied([before, after]: readonly string[], most: number, isLine: boolean): string {
  let written = ''
  while (written.length < most) {
    const next = continuation(before! + written, after!)
    if (next === undefined || (isLine && next === '\n')) break
    written += next
  }
  return written
}

/** The character that most often follows the longest match; of equals the one nearest before the gap. */
function continuation(before: string, after: string): string | undefined {
  let longest = 0
  let followers = new Map<string, number>()
  for (const [text, isOwn] of [
    [after, false],
    [before, true],
  ] as const) {
    for (let end = 1; end < text.length; end++) {
      if (isOwn && end === before.length) break
      const length = common(text, end, before)
      if (length === 0 || length < longest) continue
      if (length > longest) [longest, followers] = [length, new Map()]
      const follower = text[end]!
      const count = (followers.get(follower) ?? 0) + 1
      followers.delete(follower) // the latest of equals stands last
      followers.set(follower, count)
    }
  }
  let [best, most] = [undefined as string | undefined, 0]
  for (const [follower, count] of followers) if (count >= most) [best, most] = [follower, count]
  return best
}

/** Characters that `text` up to `end` and `before` have in common, from their ends. */
function common(text: string, end: number, before: string): number {
  let length = 0
  while (length < longestMatch && length < end && text[end - 1 - length] === before[before.length - 1 - length])
    length++
  return length
}
