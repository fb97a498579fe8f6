/** What a filter is and what it may look at. Filters are pure and know nothing of tokens, models or editors. */

/** All text has LF line ends only; the caller converts. */
export interface FinishContext {
  /** The document left of the cursor, or a window of it that begins with a line; at least the cursor's line. */
  readonly before: string
  /** The document right of the cursor, or a window of it; at least the rest of the cursor's line. */
  readonly after: string
  /** `line`: the rest of the cursor's line is wanted, `block`: the lines that follow too. */
  readonly scope: 'line' | 'block'
  /** False when a deadline or a token budget cut the text short, so that its end may be half a word. */
  readonly complete: boolean
  /** LSP's name of the language: how comments and quotes read. C-like when absent. */
  readonly languageId?: string
}

/** Gives back `text` or less of it, never a character more; the empty string when nothing is left. */
export type Filter = (text: string, context: FinishContext) => string
