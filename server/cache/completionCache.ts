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

export interface KeptCompletion {
  /** What to insert; '' when the model had nothing to offer, and `reason` says why. */
  readonly text: string
  readonly replaceAfter: number // UTF-16 units right of the cursor that the text replaces
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
      sizeCalculation: ({ text, reason = '' }, key) => 2 * (key.length + text.length + reason.length) + 64,
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
      if (kept.text.length > typed && kept.text.startsWith(place.before.slice(-typed))) {
        return { kept: { ...kept, text: kept.text.slice(typed) }, typed }
      }
    }
    return undefined
  }

  /** Drops what was kept for a document. */
  forget(uri: string): void {
    for (const key of [...this.kept.keys()]) if (key.startsWith(`${uri}\0`)) this.kept.delete(key)
  }
}

function keyOf({ uri, scope, before, after }: Place, back: number): string {
  return `${uri}\0${scope}\0${before.slice(0, before.length - back)}\0${after}`
}
