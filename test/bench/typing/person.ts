/**
 * When a person takes ghost text. Pure.
 *
 * The policy: what is shown is exactly right and worth it, that is at least three characters long, and goes to the end of
 * what the person wants on this line or to the end of a word. They read while they go on typing, and take it a reaction
 * time after it appeared (`timing.ts`), if it is still right then and the line is not typed by itself by then.
 */
import { judge } from './ghost.ts'

export const leastTaken = 3 // characters, of which one key would save two

export function wouldTake(shown: string, replaces: number, wanted: string | undefined, after: string): boolean {
  if (shown.length - replaces < leastTaken) return false
  switch (judge(shown, replaces, wanted, after)) {
    case 'whole':
      return true
    case 'beginning':
      return !/^\w\w$/.test(shown.at(-1)! + wanted!.charAt(shown.length - replaces))
    case 'wrong':
      return false
  }
}
