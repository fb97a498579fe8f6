/**
 * Nothing invisible goes into a document: control characters, characters that turn the direction of text ("Trojan
 * Source", CVE-2021-42574), blanks of no width, letters without a shape.
 *
 * A joiner (U+200C, U+200D) stays between characters outside ASCII, where emoji, Persian and Indic scripts need it, and
 * so does a variation selector after one (❤️).
 *
 * U+FFFD, or half a surrogate pair, is what a token leaves that was cut inside a character: taken off the end; anywhere
 * else the text cannot be trusted, and nothing is left.
 */
import type { Filter } from './filter.ts'

// biome-ignore format: one class of characters a line.
const invisible = new RegExp('[' +
  '\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f' + // C0 but for tab and line feed, DEL, C1
  '\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069' + // direction
  '\\u00ad\\u034f\\u180e\\u200b\\u2060-\\u2065\\u206a-\\u206f\\ufeff' + // no width
  '\\u2028\\u2029' + // line breaks to JavaScript, not to editors
  '\\u115f\\u1160\\u3164\\uffa0' + // Hangul fillers: letters that show nothing
  '\\u{e0000}-\\u{e0fff}' + // tags and further variation selectors
  ']', 'gu')
const strayJoiner = /(?<![^\p{ASCII}\s])(?:\u200c|\u200d|[\ufe00-\ufe0f])|(?:\u200c|\u200d)(?![^\p{ASCII}\s])/gu
const cutCharacter = /[\ufffd\p{Surrogate}]+$/u
const broken = /[\ufffd\p{Surrogate}]/u

export const dropControlCharacters: Filter = (text) => {
  const seen = text.replace(invisible, '').replace(cutCharacter, '')
  if (broken.test(seen)) return ''
  // Taking one joiner away can leave the one beside it without a neighbour.
  let joined = seen
  for (let before = ''; before !== joined; ) {
    before = joined
    joined = joined.replace(strayJoiner, '')
  }
  return joined
}
