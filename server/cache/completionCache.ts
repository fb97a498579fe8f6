/**
 * Finished completions, kept across edits: the same place is answered without the model, and so is what follows when the
 * user types the beginning of a completion (type-through). The key holds the text on *both* sides of the cursor.
 */
import { LRUCache } from 'lru-cache'

export interface Place {
  readonly uri: string
  readonly scope: string
  readonly before: string // all that the model reads left of the cursor
  readonly after: string // and right of it
}

/** What to insert. */
export interface KeptText {
  readonly text: string
  readonly replaceAfter: number // UTF-16 units right of the cursor that the text replaces
}

/** Its text is '' when the model had nothing to offer, and `reason` says why. */
export interface KeptCompletion extends KeptText {
  /** To choose from; known of what was asked for by hand. */
  readonly others?: readonly KeptText[]
  readonly reason?: string
  /** Too little of it is sure to be shown; kept so that the model is not asked again while it is typed. */
  readonly hidden?: true
  /** 'unsure': the model stopped early, and might say more if asked by hand; 'partial': it has not finished yet. */
  readonly kind: 'whole' | 'unsure' | 'partial'
}

export interface Found {
  readonly kept: KeptCompletion // what is left of it
  readonly typed: number // UTF-16 units since
}

const lookBack = 128 // typed units after which a completion is still recognised

export class CompletionCache {
  private readonly kept: LRUCache<string, KeptCompletion>

  constructor(maxBytes: number) {
    this.kept = new LRUCache({
      maxSize: maxBytes,
      sizeCalculation: ({ text, reason = '', others = [] }, key) =>
        2 * others.reduce((sum, other) => sum + other.text.length, key.length + text.length + reason.length) + 64,
    })
  }

  set(place: Place, completion: KeptCompletion): void {
    this.kept.set(keyOf(place, 0), completion)
  }

  /** A completion made here or up to 128 units to the left, where what was typed since is its beginning. */
  get(place: Place): Found | undefined {
    for (let typed = 0; typed <= Math.min(lookBack, place.before.length); typed++) {
      const kept = this.kept.get(keyOf(place, typed))
      if (!kept) continue
      if (typed === 0) return { kept, typed }
      const rest = withoutTyped(kept, place.before.slice(-typed))
      if (rest) return { kept: rest, typed }
    }
    return undefined
  }

  /** Drops what was kept for a document. */
  forget(uri: string): void {
    for (const key of [...this.kept.keys()]) if (key.startsWith(`${uri}\0`)) this.kept.delete(key)
  }
}

/** What is left once its beginning was typed; where another candidate was, that one comes first. */
function withoutTyped(kept: KeptCompletion, typed: string): KeptCompletion | undefined {
  const left = [kept, ...(kept.others ?? [])]
    .filter(({ text }) => text.length > typed.length && text.startsWith(typed))
    .map(({ text, replaceAfter }) => ({ text: text.slice(typed.length), replaceAfter }))
  const [first, ...others] = left
  return first && { ...kept, ...first, ...(kept.others ? { others } : {}) }
}

function keyOf({ uri, scope, before, after }: Place, back: number): string {
  return `${uri}\0${scope}\0${before.slice(0, before.length - back)}\0${after}`
}
