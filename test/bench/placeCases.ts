/** More kinds of places than `gapCases.ts` draws: whole lines of the same files, and those of HumanEval-Infilling. */
import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import type { GapCase } from './gapCases.ts'

/** The same line, cut behind its indentation. */
export function wholeLine({ text, offset, truth, ...rest }: GapCase): GapCase {
  const start = text.lastIndexOf('\n', offset - 1) + 1
  const before = text.slice(start, offset)
  const indent = /^\s*/.exec(before)![0].length
  return {
    ...rest,
    text: text.slice(0, start + indent) + text.slice(offset),
    offset: start + indent,
    truth: before.slice(indent) + truth,
  }
}

/** @param path of `HumanEval-SingleLineInfilling.jsonl.gz`; each case is a whole line with its indentation. */
export function humanEvalLines(path: string): GapCase[] {
  const lines = gunzipSync(readFileSync(path)).toString('utf8').split('\n')
  return lines
    .filter((line) => line !== '')
    .map((line) => {
      const { task_id, prompt, suffix, canonical_solution } = JSON.parse(line) as Record<string, string>
      return {
        path: task_id!,
        languageId: 'python',
        text: `${prompt}\n${suffix}`,
        offset: prompt!.length,
        truth: canonical_solution!.trimEnd(),
      }
    })
}
