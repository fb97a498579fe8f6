/**
 * Results on disk, a line each, appended as they come: a run that was cut off goes on where it ended. The first line says
 * what the run is; a run that is another one does not mix its results with these. Other answerers may join: a line like the
 * first then says what they are.
 */
import { appendFileSync, existsSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { UserError } from '../../server/base/errors.ts'
import type { Result } from './benchmark.ts'

/** All that two runs must have in common for their results to be those of one; of answerers, those that both have. */
export interface RunFacts {
  readonly [fact: string]: unknown
  readonly answerers: Readonly<Record<string, unknown>>
}

export class ResultFile {
  readonly path: string
  readonly results: Result[]

  /**
   * @param fresh drops what is there.
   * @throws {UserError} when the file is that of another run, or no file of results at all.
   */
  constructor(path: string, facts: RunFacts, fresh: boolean) {
    this.path = path
    this.results = []
    if (fresh || !existsSync(path)) {
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, `${JSON.stringify({ run: facts })}\n`)
      return
    }
    const text = readFileSync(path, 'utf8')
    const whole = text.slice(0, text.lastIndexOf('\n') + 1)
    const lines = whole === '' ? [] : whole.trimEnd().split('\n')
    const begun = lines.map(runOf).filter((run) => run !== undefined)
    if (begun.length === 0)
      throw new UserError(`${path} holds no results of an evaluation; name another file with --out`)
    const known = Object.assign({}, ...begun.map((run) => run.answerers)) as RunFacts['answerers']
    const apart = differing({ ...begun[0]!, answerers: known }, facts)
    if (apart.length > 0)
      throw new UserError(
        `${path} was begun with another ${apart.join(', ')}; name another file with --out, or begin anew with --fresh`,
      )
    // What was being written when the run was cut off is no result.
    if (whole.length < text.length) truncateSync(path, Buffer.byteLength(whole))
    for (const line of lines) if (!runOf(line)) this.results.push(JSON.parse(line) as Result)
    const joins = Object.keys(facts.answerers).some((name) => !(name in known))
    if (joins) appendFileSync(path, `${JSON.stringify({ run: facts })}\n`)
  }

  append(result: Result): void {
    this.results.push(result)
    appendFileSync(this.path, `${JSON.stringify(result)}\n`)
  }

  has(caseKey: string, answerer: string): boolean {
    return this.results.some((result) => result.case === caseKey && result.answerer === answerer)
  }
}

function runOf(line: string): RunFacts | undefined {
  try {
    return (JSON.parse(line) as { run?: RunFacts }).run
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

/** In words: the fact, then what it was and what it is. */
function differing(begun: RunFacts, now: RunFacts): string[] {
  const { answerers: before, ...old } = begun
  const { answerers: after, ...rest } = now
  const both = Object.keys(after).filter((name) => name in before)
  return [...apart(old, rest), ...apart(only(before, both), only(after, both))]
}

function apart(a: Readonly<Record<string, unknown>>, b: Readonly<Record<string, unknown>>): string[] {
  const keys = [...new Set([...Object.keys(a), ...Object.keys(b)])]
  return keys
    .filter((key) => JSON.stringify(a[key]) !== JSON.stringify(b[key]))
    .map((key) => `${key} (${shown(a[key])}, now ${shown(b[key])})`)
}

function only(facts: RunFacts['answerers'], keys: readonly string[]) {
  return Object.fromEntries(keys.map((key) => [key, facts[key]]))
}

function shown(value: unknown): string {
  return value === undefined ? 'none' : JSON.stringify(value)
}
