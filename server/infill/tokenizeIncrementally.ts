/**
 * Token ids of a text that changes a little from call to call: pieces seen before are not tokenized again.
 *
 * A text may be cut only between a non-blank and the blank run that holds a line break: no token of a byte-level BPE
 * with the GPT-2 or Qwen splitting rule crosses that place, so the pieces' ids are those of the whole (property test).
 */
export type Encode = (text: string) => number[]

const cut = /(?<=\S)(?=[^\S\n]*\n)/g

/** @param capacity pieces remembered; a piece is about a line. */
export function tokenizeIncrementally(encode: Encode, capacity = 4096): Encode {
  const known = new Map<string, number[]>()
  const piece = (text: string): number[] => {
    const found = known.get(text)
    if (found) {
      known.delete(text) // moves it to the young end
      known.set(text, found)
      return found
    }
    const ids = encode(text)
    known.set(text, ids)
    if (known.size > capacity) known.delete(known.keys().next().value!)
    return ids
  }
  return (text) => (text === '' ? [] : text.split(cut).flatMap(piece))
}
