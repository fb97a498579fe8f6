/**
 * Finished completions, kept across edits: the same place is answered without the model, and so is what follows when the
 * user types the beginning of a completion (type-through). The key holds the text on *both* sides of the cursor.
 */
import { LRUCache } from 'lru-cache'

export interface Place {
  readonly uri: string
  readonly scope: string
  readonly before: string // text left of the cursor; its last `keyReach` units count
  readonly after: string // text right of the cursor; its first `keyReach` units count
}

export interface KeptCompletion {
  /** What to insert; '' when the model had nothing to offer, and `reason` says why. */
  readonly text: string
  readonly replaceAfter: number // UTF-16 units right of the cursor that the text replaces
  readonly reason?: string
}

const keyReach = 512 // UTF-16 units
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

  /** What is left of a completion made here or up to 128 units to the left, where what was typed since is its beginning. */
  get(place: Place): KeptCompletion | undefined {
    const here = this.kept.get(keyOf(place, 0))
    if (here) return here
    for (let typed = 1; typed <= Math.min(lookBack, place.before.length); typed++) {
      const found = this.kept.get(keyOf(place, typed))
      if (found && found.text.length > typed && found.text.startsWith(place.before.slice(-typed))) {
        return { ...found, text: found.text.slice(typed) }
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
  const end = before.length - back
  return `${uri}\0${scope}\0${before.slice(Math.max(0, end - keyReach), end)}\0${after.slice(0, keyReach)}`
}
