/**
 * Runs programs that a model wrote: no network, a read-only root of their own, no rights, limits on memory, processes, time
 * and files, nothing left behind. Namespaces by `unshare`, as root or as anybody whose kernel lets them; the inside is
 * `sandbox.sh`. Knows nothing of benchmarks. `python/run.py` is what runs there, and gives the verdict.
 *
 * *Price:* about 60 ms a program, most of it Python's start.
 */
import { execFileSync, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { seededRandom } from '../bench/stats.ts'

/** One program, or a function held against another one on inputs; what `python/run.py` reads. */
export type Job =
  | { readonly kind: 'program'; readonly source: string; readonly seconds: number }
  | {
      readonly kind: 'compare'
      readonly candidate: string
      /** A problem as its file has it, unread: JavaScript would make 1.0 an integer, and large integers other ones. */
      readonly problem: string
      readonly groups: readonly ('base' | 'plus')[]
      readonly seconds: number
    }

export interface Verdict {
  /** `broken`: the reference failed, or the sandbox itself; never the candidate's doing. */
  readonly verdict: 'passed' | 'failed' | 'timeout' | 'broken'
  readonly detail: string
  readonly groups: Readonly<Record<string, boolean>>
}

/** `none`: limits on time alone, and the machine is open to the program; only where a person said so. */
export type Isolation = 'namespaces' | 'none'

export interface Sandbox {
  readonly isolation: Isolation
  readonly python: string // version and path, for the record
  run(job: Job): Promise<Verdict>
}

/** Memory of each process: EvalPlus's own limit for its inputs, one of which its reference takes 1 GiB for. */
const memoryBytes = { program: 2 ** 30, compare: 4 * 2 ** 30 } as const
const limits = { processes: 6, fileBytes: 2 ** 24, outputBytes: 65_536 }
/** Seconds of a job are those of a processor; on the clock it has this many times as much, as `python/run.py` has it. */
const patience = 5
const graceSeconds = 20 // for Python's start, and the way in and out, on a busy machine

/**
 * @param folder that of this file, where `sandbox.sh` and `python/` lie.
 * @param path where the system's own programs are looked for.
 * @throws {Error} where there is no Python, or no isolation; the message says what is missing.
 */
export async function openSandbox(
  folder: string,
  isolation: Isolation = 'namespaces',
  path: string = systemPath,
): Promise<Sandbox> {
  const python = findPython()
  const sandbox: Sandbox = {
    isolation,
    python: `${python.version} ${python.executable}`,
    run: (job) =>
      isolation === 'none' ? runOpen({ folder, python, path }, job) : runIsolated({ folder, python, path }, job),
  }
  const { verdict, detail } = await sandbox.run({ kind: 'program', source: probe, seconds: 20 })
  if (verdict === 'passed') return sandbox
  throw new Error(
    isolation === 'none'
      ? `${python.executable} does not run a program: ${detail}`
      : `programs cannot be isolated here (${detail}); wanted: Linux with util-linux's unshare, pivot_root, setpriv and ` +
          'prlimit, and a kernel that gives namespaces to this user; --no-isolation runs them on the open machine',
  )
}

/** More than Python's start: the isolation is no better than what it is seen to do. */
const probe = 'import json, math, re\nassert json.loads("[1]") == [1]\n'

interface Python {
  readonly executable: string
  readonly version: string
  readonly prefix: string
}

interface Place {
  readonly folder: string
  readonly python: Python
  readonly path: string
}

function findPython(): Python {
  const command = process.env.LACUNA_PYTHON ?? 'python3'
  const code =
    'import os, sys; print(os.path.realpath(sys.executable), sys.base_prefix, sys.version.split()[0], sep="\\n")'
  try {
    const told = execFileSync(command, ['-I', '-c', code], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
    const [executable, prefix, version] = told.trim().split('\n') as [string, string, string]
    return { executable, prefix, version }
  } catch (error) {
    throw new Error(`${command} does not run; install Python 3, or name one in LACUNA_PYTHON`, { cause: error })
  }
}

const environment = { LANG: 'C.UTF-8', HOME: '/tmp' }
const systemPath = '/usr/sbin:/usr/bin:/sbin:/bin'
const kinds = ['--net', '--mount', '--ipc', '--uts', '--pid', '--cgroup', '--fork']
const system = ['/usr', '/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32']

async function runIsolated({ folder, python, path }: Place, job: Job): Promise<Verdict> {
  if (process.platform !== 'linux') return broken(`this is ${process.platform}`)
  const root = await mkdtemp(join(tmpdir(), `lacuna-sandbox-${process.pid}-`))
  // A kernel counts nobody's processes against root: root becomes a user of its own for each program.
  const isRoot = process.getuid?.() === 0
  const user = isRoot ? String(0x60000000 + Math.floor(numbers() * 0x10000000)) : '-'
  const seen = system.filter((folder) => existsSync(folder))
  if (!python.prefix.startsWith('/usr')) seen.push(python.prefix)
  const script = [join(folder, 'sandbox.sh'), root, user, memoryBytes[job.kind], limits.processes]
  const rest = [Math.ceil(job.seconds) + graceSeconds, limits.fileBytes, python.executable, join(folder, 'python')]
  const args = [...(isRoot ? [] : ['--user', '--map-root-user']), ...kinds, 'sh', ...[...script, ...rest].map(String)]
  try {
    return await verdictOf('unshare', [...args, ...seen], path, job)
  } finally {
    // The mounts were in a namespace that is gone; what is left is an empty folder.
    await rm(root, { recursive: true, force: true })
  }
}

const numbers = seededRandom(process.pid * 1000 + (Date.now() % 1000))

function runOpen({ folder, python, path }: Place, job: Job): Promise<Verdict> {
  return verdictOf(python.executable, ['-I', '-B', join(folder, 'python', 'run.py')], path, job)
}

/** The process and all of its group are killed when the time is over: with the first process of a namespace the rest goes. */
function verdictOf(command: string, args: readonly string[], path: string, job: Job): Promise<Verdict> {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      env: { ...environment, PATH: path },
      detached: true,
      cwd: dirname(process.execPath),
    })
    let [out, err, isLate] = ['', '', false]
    const kill = (): void => {
      if (child.pid === undefined) return
      try {
        process.kill(-child.pid, 'SIGKILL')
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
      }
    }
    const timer = setTimeout(
      () => {
        isLate = true
        kill()
      },
      (job.seconds * patience + graceSeconds) * 1000,
    )
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString('utf8')
      if (out.length > limits.outputBytes) kill()
    })
    child.stderr.on('data', (chunk: Buffer) => {
      if (err.length < limits.outputBytes) err += chunk.toString('utf8')
    })
    child.stdin.on('error', () => {}) // it may be gone before it has read all of it
    child.on('error', (error) => {
      clearTimeout(timer)
      resolve(broken(error.message))
    })
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      kill() // what stayed behind where there is no namespace
      if (isLate) return resolve({ verdict: 'timeout', detail: 'killed from outside', groups: {} })
      try {
        resolve(JSON.parse(out) as Verdict)
      } catch (error) {
        if (!(error instanceof SyntaxError)) throw error
        resolve(broken(`${command} ended with ${signal ?? code}: ${err.trim().split('\n').at(-1) ?? ''}`))
      }
    })
    child.stdin.end(JSON.stringify(job))
  })
}

function broken(detail: string): Verdict {
  return { verdict: 'broken', detail, groups: {} }
}
