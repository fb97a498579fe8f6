/** The benchmarks' own files: lines of JSON as Python writes it, gzipped or not. */
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { UserError } from '../../../server/base/errors.ts'

export interface Lines<Row> {
  /** With the line itself, for who must read numbers as they are written. */
  readonly rows: readonly (Row & { readonly line: string })[]
  readonly file: string
  readonly sha256: string // of the file, its first 12 digits
}

/** @throws {UserError} when there is no such file, or it holds something else; the message says where benchmarks come from. */
export function readJsonLines<Row>(path: string, keys: readonly string[]): Lines<Row> {
  if (!existsSync(path))
    throw new UserError(
      `${path}: no such file; name the folder of the benchmarks' files with --data DIR or in LACUNA_BENCHMARKS, or one with --file`,
    )
  const bytes = readFileSync(path)
  const isPacked = bytes[0] === 0x1f && bytes[1] === 0x8b
  const lines = (isPacked ? gunzipSync(bytes) : bytes).toString('utf8').split('\n')
  const rows = lines.filter((line) => line.trim() !== '').map((line) => readRow<Row>(path, line))
  const lacking = keys.find((key) => rows.some((row) => (row as Record<string, unknown>)[key] === undefined))
  if (lacking !== undefined || rows.length === 0)
    throw new UserError(
      `${path}: ${rows.length === 0 ? 'it is empty' : `a line has no "${lacking}"`}; is it another benchmark's?`,
    )
  return { rows, file: path, sha256: createHash('sha256').update(bytes).digest('hex').slice(0, 12) }
}

/** Python's JSON has numbers that JSON has not; here they are null. */
function readRow<Row>(path: string, line: string): Row & { line: string } {
  const json = line.replaceAll(/"(?:[^"\\]|\\.)*"|-?Infinity|NaN/g, (part) => (part.startsWith('"') ? part : 'null'))
  try {
    return { ...(JSON.parse(json) as Row), line }
  } catch (error) {
    throw new UserError(`${path}: not lines of JSON: ${(error as Error).message}`)
  }
}

export function benchmarkFile(folder: string | undefined, name: string): string {
  if (folder === undefined)
    throw new UserError(`${name}: where is it? name its folder with --data DIR or in LACUNA_BENCHMARKS`)
  return join(folder, name)
}

export function sha256Of(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 12)
}
