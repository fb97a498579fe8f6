/**
 * The two seams of the harness. A benchmark knows cases and how an answer is scored; an answerer fills gaps and knows
 * nothing of scores. All else (drawing, running, resuming, reporting) knows only these.
 */
import type { TextEdit } from '../../server/base/spans.ts'

/** A gap in a document, and what stood there. */
export interface Case {
  /** The same for the same case in every run; unlike any other's. */
  readonly key: string
  /** Figures are told by it: a language, a split. */
  readonly group: string
  readonly languageId: string
  readonly text: string // with the gap closed, LF line ends
  readonly offset: number // UTF-16 units
  /** Texts of the files beside it, as the product would find them (default: none). */
  readonly nearby?: readonly string[]
  /** What is asked for: the rest of the line, or as many lines as belong there. */
  readonly scope: 'line' | 'block'
  readonly maxTokens: number
  readonly truth: string
}

/** What was answered to a case. Without `edit`: nothing, which counts as a miss. */
export interface Answer {
  readonly edit?: TextEdit | undefined // in the case's text
  /** What is shown when nobody asked; undefined where the answerer has no such thing. */
  readonly shown?: { readonly edit: TextEdit | undefined }
  readonly steps?: number // forward passes
  readonly rows?: number // computed in them
  readonly tokens?: number // committed
  readonly encodeMs?: number // reading the context
  readonly ms: number // from a context that is read to the answer
}

export interface Answerer {
  readonly name: string
  /** Model, quantisation, settings: what must be the same for two runs to be one. */
  readonly about: Readonly<Record<string, unknown>>
  ask(gap: Case): Promise<Answer>
  close(): Promise<void>
}

/** Measures by name: shares are booleans, means are numbers. */
export type Score = Readonly<Record<string, boolean | number>>

export interface Benchmark {
  readonly name: string
  /** Where its cases come from, and how they are asked. */
  readonly about: Readonly<Record<string, unknown>>
  readonly cases: readonly Case[]
  score(gap: Case, answer: Answer): Promise<Score>
}

/** One line of a file of results. */
export interface Result {
  readonly case: string
  readonly group: string
  readonly answerer: string
  readonly text: string // inserted; '' is nothing
  readonly score: Score
  readonly steps?: number
  readonly rows?: number
  readonly tokens?: number
  readonly encodeMs?: number
  readonly ms: number
}
