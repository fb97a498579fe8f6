/**
 * HumanEval-Infilling (arXiv 2207.14255): a line, or several, of a Python function taken out. Scored by running the function's
 * tests, and by comparison with what stood there, blanks at line ends aside.
 *
 * How it is asked: the file as an editor would have it, the cursor on an empty line in the gap's place. The line break that
 * ends the gap is thus the file's, not the answer's; the indentation is the answer's.
 */
import type { TextEdit } from '../../../server/base/spans.ts'
import type { Answer, Benchmark, Case, Score } from '../benchmark.ts'
import { filled, scoreEdits } from '../compareEdits.ts'
import type { Sandbox } from '../sandbox.ts'
import { drawn } from './draw.ts'
import { type Lines, readJsonLines } from './jsonLines.ts'

export interface InfillingRow {
  readonly task_id: string
  readonly entry_point: string
  readonly prompt: string
  readonly suffix: string
  readonly canonical_solution: string
  readonly test: string
}

/** Of one file. A single line ends with its line; more of them end with their block, or with the limit. */
export interface Split {
  readonly name: string
  readonly lines: Lines<InfillingRow>
  readonly scope: Case['scope']
  readonly maxTokens: number
}

const seconds = 3 // the benchmark's own limit, there on the clock

export const splitNames = ['single-line', 'multi-line'] as const

export function readSplit(path: string): Split {
  const keys = ['task_id', 'entry_point', 'prompt', 'suffix', 'canonical_solution', 'test'] as const
  const lines = readJsonLines<InfillingRow>(path, keys)
  const isSingle = lines.rows.every(({ canonical_solution }) => canonical_solution.trimEnd().split('\n').length === 1)
  const first = lines.rows[0]!.task_id.split('/')[0]!
  const name = first
    .replace(/Infilling$/, '')
    .replaceAll(/(?!^)[A-Z]/g, (letter) => `-${letter}`)
    .toLowerCase()
  return { name, lines, ...(isSingle ? { scope: 'line', maxTokens: 64 } : { scope: 'block', maxTokens: 160 }) }
}

/** @param limit cases of each split. */
export function humanEvalInfilling(
  splits: readonly Split[],
  sandbox: Sandbox,
  { limit, seed }: { readonly limit?: number | undefined; readonly seed: number },
): Benchmark {
  const rows = new Map<string, InfillingRow>()
  const cases = splits.flatMap(({ name, lines, scope, maxTokens }) =>
    drawn(lines.rows, limit, seed).map((row): Case => {
      rows.set(row.task_id, row)
      return caseOf(row, name, scope, maxTokens)
    }),
  )
  return {
    name: 'humaneval-infilling',
    about: {
      splits: splits.map(
        ({ name, lines, scope, maxTokens }) => `${name} ${lines.sha256}, a ${scope} of ${maxTokens} tokens`,
      ),
      isolation: sandbox.isolation,
    },
    cases,
    score: (gap, answer) => score(rows.get(gap.key)!, gap, answer, sandbox),
  }
}

export function caseOf(row: InfillingRow, group: string, scope: Case['scope'], maxTokens: number): Case {
  const { task_id, prompt, suffix, canonical_solution } = row
  // Random spans do not end with a line; nothing is added for them.
  const ownsLine = (prompt === '' || prompt.endsWith('\n')) && canonical_solution.endsWith('\n')
  return {
    key: task_id,
    group,
    languageId: 'python',
    text: ownsLine ? `${prompt}\n${suffix}` : prompt + suffix,
    offset: prompt.length,
    scope,
    maxTokens,
    truth: ownsLine ? canonical_solution.slice(0, -1) : canonical_solution,
  }
}

async function score(row: InfillingRow, gap: Case, answer: Answer, sandbox: Sandbox): Promise<Score> {
  const truth = withoutBlanks(gap.truth)
  const edits = scoreEdits({ ...gap, truth }, { ...answer, edit: answer.edit && tidied(answer.edit) })
  return { ...(await runTests(row, filled(gap, answer.edit), sandbox)), ...edits }
}

/**
 * Program and tests, as the benchmark puts them together.
 *
 * @returns `passed`, and `timed_out`: more than the benchmark's 3 s, of processor time, so that a busy machine fails nobody.
 * @throws {Error} when the sandbox failed: then nothing can be said of the program.
 */
export async function runTests(
  { test, entry_point }: Pick<InfillingRow, 'test' | 'entry_point'>,
  code: string,
  sandbox: Sandbox,
): Promise<Score> {
  const source = `${code}\n${test}\ncheck(${entry_point})\n`
  const { verdict, detail } = await sandbox.run({ kind: 'program', source, seconds })
  if (verdict === 'broken') throw new Error(`a program could not be run: ${detail}`)
  return { passed: verdict === 'passed', timed_out: verdict === 'timeout' }
}

function tidied({ span, text }: TextEdit): TextEdit {
  return { span, text: withoutBlanks(text) }
}

/** At line ends, the last one's break included. */
function withoutBlanks(text: string): string {
  return text.replaceAll(/[^\S\n]+$/gm, '').trimEnd()
}
