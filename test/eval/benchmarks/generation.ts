/**
 * Whole functions, written left to right from an empty suffix: HumanEval by its own tests; MBPP and EvalPlus by comparison
 * with the reference's outputs. No chat: the problem's text is the file, and what follows is asked for as a block.
 */
import type { Answer, Benchmark, Case, Score } from '../benchmark.ts'
import { filled } from '../compareEdits.ts'
import type { Sandbox } from '../sandbox.ts'
import { drawn } from './draw.ts'
import { runTests } from './humanEvalInfilling.ts'
import type { Lines } from './jsonLines.ts'

export interface HumanEvalRow {
  readonly task_id: string
  readonly entry_point: string
  readonly prompt: string
  readonly canonical_solution: string
  readonly test: string
}

/** What is read of it here; the inputs are read where they are used. */
export interface PlusRow extends Omit<HumanEvalRow, 'test'> {
  readonly line: string
}

export interface Drawing {
  readonly limit?: number | undefined
  readonly seed: number
}

const maxTokens = 384
const seconds = 60 // a problem's inputs all together; each has its own limit

export function humanEval(
  { rows, sha256 }: Lines<HumanEvalRow>,
  sandbox: Sandbox,
  { limit, seed }: Drawing,
): Benchmark {
  const byKey = new Map(rows.map((row) => [row.task_id, row]))
  return {
    name: 'humaneval',
    about: { data: sha256, maxTokens, isolation: sandbox.isolation },
    cases: drawn(rows, limit, seed).map((row) => caseOf(row, 'humaneval')),
    score: (gap, answer) => runTests(byKey.get(gap.key)!, codeOf(gap, answer), sandbox),
  }
}

/**
 * @param sets by the name figures are told by.
 * @param plus the many inputs that EvalPlus added count too.
 */
export function againstReference(
  name: string,
  sets: Readonly<Record<string, Lines<PlusRow>>>,
  plus: boolean,
  sandbox: Sandbox,
  { limit, seed }: Drawing,
): Benchmark {
  const all = Object.entries(sets)
  const byKey = new Map(all.flatMap(([, { rows }]) => rows.map((row) => [row.task_id, row] as const)))
  return {
    name,
    about: { data: all.map(([set, { sha256 }]) => `${set} ${sha256}`), maxTokens, isolation: sandbox.isolation },
    cases: all.flatMap(([set, { rows }]) => drawn(rows, limit, seed).map((row) => caseOf(row, set))),
    score: (gap, answer) => comparedScore(byKey.get(gap.key)!, codeOf(gap, answer), plus, sandbox),
  }
}

/** @throws {Error} when the reference itself fails: then nothing can be said of the candidate. */
export async function comparedScore(
  { task_id, line }: Pick<PlusRow, 'task_id' | 'line'>,
  candidate: string,
  plus: boolean,
  sandbox: Sandbox,
): Promise<Score> {
  const names = plus ? (['base', 'plus'] as const) : (['base'] as const)
  const { verdict, detail, groups } = await sandbox.run({
    kind: 'compare',
    candidate,
    problem: line,
    groups: names,
    seconds,
  })
  if (verdict === 'broken') throw new Error(`${task_id}: its reference solution failed: ${detail}`)
  const base = groups.base === true
  return plus ? { base, plus: base && groups.plus === true } : { base }
}

function caseOf({ task_id, prompt, canonical_solution }: Omit<HumanEvalRow, 'test'>, group: string): Case {
  return {
    key: task_id,
    group,
    languageId: 'python',
    text: prompt,
    offset: prompt.length,
    scope: 'block',
    maxTokens,
    truth: canonical_solution,
  }
}

/** The program as far as it is the answer's: a model that is not stopped goes on with the next problem, or with talk. */
function codeOf(gap: Case, answer: Answer): string {
  const code = filled(gap, answer.edit)
  const written = code.slice(gap.offset)
  return gap.text + (gap.key.startsWith('HumanEval') ? bodyOf(written) : functionsOf(written))
}

/** Up to the first line that is not the function's. */
export function bodyOf(written: string): string {
  return beforeLine(written, (line) => /^[^\s)\]}]/.test(line))
}

/** Up to the first line that is no definition, import, assignment or comment at the file's own level. */
export function functionsOf(written: string): string {
  const isKept = /^(?:\s|[)\]}]|#|def |async def |class |@|import |from |[A-Za-z_][\w.]*(?:\s*:[^=]+)?\s*=(?!=))/
  return beforeLine(written, (line) => !isKept.test(line))
}

function beforeLine(text: string, isEnd: (line: string) => boolean): string {
  const lines = text.split('\n')
  const end = lines.findIndex((line) => line !== '' && isEnd(line))
  return end < 0
    ? text
    : lines
        .slice(0, end)
        .map((line) => `${line}\n`)
        .join('')
}
