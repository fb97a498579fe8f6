/** Programs that a model wrote must not get out. Each attempt says by itself whether it came through. */
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openSandbox, type Verdict } from './sandbox.ts'
import { evalFolder, sandboxHere } from './sandboxForTests.ts'

const { sandbox, reason } = await sandboxHere()

const run = (source: string, seconds = 10): Promise<Verdict> => sandbox!.run({ kind: 'program', source, seconds })

/** Passes when `attempt` raises one of `errors`, and only then. */
const refused = (attempt: string, errors = 'OSError') =>
  `import os, sys, socket\ntry:\n${attempt.replaceAll(/^/gm, '    ')}\nexcept ${errors}:\n    pass\nelse:\n    raise SystemExit("it came through")\n`

describe.skipIf(!sandbox)(`programs of benchmarks${sandbox ? '' : ` (skipped: ${reason})`}`, () => {
  test('a program that runs to its end has passed, others have not', async () => {
    expect((await run('assert 1 + 1 == 2')).verdict).toBe('passed')
    expect(await run('assert 1 + 1 == 3')).toMatchObject({ verdict: 'failed', detail: 'AssertionError: ' })
    expect((await run('def f(:')).verdict).toBe('failed')
  })

  test('leaving early is no way to pass, nor is writing a verdict', async () => {
    expect((await run('raise SystemExit(0)')).verdict).toBe('failed')
    expect((await run('import os\nos._exit(0)')).verdict).toBe('failed')
    const forged = '{"verdict": "passed", "detail": "", "groups": {}}'
    expect((await run(`import os\nfor fd in (1, 2): os.write(fd, b'${forged}')\nassert False`)).verdict).toBe('failed')
  })

  test('what hangs is stopped', async () => {
    expect((await run('while True: pass', 1)).verdict).toBe('timeout')
    expect((await run('import time\ntime.sleep(60)', 1)).verdict).toBe('timeout')
  })

  test('no network, not even that of the machine itself', async () => {
    for (const address of ['("127.0.0.1", 22)', '("1.1.1.1", 53)'])
      expect(await run(refused(`socket.create_connection(${address}, 2)`))).toMatchObject({ verdict: 'passed' })
    expect(
      await run('import socket\nassert [name for _, name in socket.if_nameindex()] in ([], ["lo"])'),
    ).toMatchObject({
      verdict: 'passed',
    })
  })

  test('a fork bomb runs into the limit', async () => {
    const bomb = `
import os, time
count = 0
try:
    while count < 1000:
        if os.fork() == 0:
            time.sleep(30)
            os._exit(0)
        count += 1
except OSError:
    pass
raise SystemExit(f"{count} processes")`
    const { verdict, detail } = await run(bomb)
    expect(verdict).toBe('failed')
    expect(Number(/(\d+) processes/.exec(detail)?.[1])).toBeLessThan(10)
    const exponential = await run(
      'import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass',
      1,
    )
    expect(exponential.verdict).toBe('timeout')
    expect((await run('assert True')).verdict).toBe('passed') // and the machine has processes left
  })

  test('ten gigabytes are not to be had', async () => {
    expect(await run(refused('bytearray(10 * 2**30)', 'MemoryError'))).toMatchObject({ verdict: 'passed' })
  })

  test('files: nothing of the machine is there, and nothing but a small folder can be written', async () => {
    const secret = join(tmpdir(), `lacuna-secret-${process.pid}`)
    writeFileSync(secret, 'secret')
    const home = readdirSync(homedir()).filter((name) => !sandbox!.python.includes(`${homedir()}/${name}/`))
    const own = home.map((name) => join(homedir(), name))
    const absent = [secret, join(process.cwd(), 'package.json'), '/etc', '/proc', '/sys', '/home', '/old', ...own]
    const seen = `import os\nfor path in ${JSON.stringify(absent)}:\n    assert not os.path.lexists(path), path`
    expect(await run(seen)).toMatchObject({ verdict: 'passed' })
    const closed = ['/usr/lib/written', '/written', '/scripts/run.py', '/dev/written', `${homedir()}/written`]
    const written = `for path in ${JSON.stringify(closed)}:
    try:
        open(path, "w")
    except OSError:
        continue
    raise SystemExit(path)`
    expect(await run(written)).toMatchObject({ verdict: 'passed' })
    expect(existsSync(join(homedir(), 'written'))).toBe(false)
    expect(await run('open("/tmp/mine", "w").write("x")')).toMatchObject({ verdict: 'passed' })
    expect(await run('import os\nassert os.listdir("/tmp") == []')).toMatchObject({ verdict: 'passed' }) // each its own
    rmSync(secret)
    expect(await run(refused('open("/tmp/large", "wb").write(bytes(2**26))'))).toMatchObject({ verdict: 'passed' })
  })

  test('the environment of who runs it is not told', async () => {
    process.env.LACUNA_TEST_SECRET = 'secret'
    expect(await run('import os\nassert "secret" not in str(os.environ)')).toMatchObject({ verdict: 'passed' })
  })

  test('no rights: no mounts, no namespaces of its own, nobody else to signal', async () => {
    const call = (name: string, ...args: string[]) =>
      `import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\nassert libc.${name}(${args.join(', ')}) == -1`
    expect(await run(call('mount', 'b"none"', 'b"/tmp"', 'b"tmpfs"', '0', 'None'))).toMatchObject({ verdict: 'passed' })
    expect(await run(call('sethostname', 'b"mine"', '4'))).toMatchObject({ verdict: 'passed' })
    expect(await run(call('chroot', 'b"/tmp"'))).toMatchObject({ verdict: 'passed' })
    expect(await run(refused(`os.kill(${process.pid}, 0)`))).toMatchObject({ verdict: 'passed' })
  })

  test('a child that sleeps on ends with the program', async () => {
    const marker = `lacuna${process.pid}`
    const source = `
import os
if os.fork() == 0:
    os.setsid()
    os.execv("/usr/bin/sleep", ["${marker}", "300"])
`
    expect((await run(source)).verdict).toBe('passed')
    expect(execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' })).not.toContain(marker)
  })

  test('nothing is left of the sandbox itself', async () => {
    const left = () => readdirSync(tmpdir()).filter((name) => name.startsWith(`lacuna-sandbox-${process.pid}-`))
    const running = run('import time\ntime.sleep(60)', 0.1)
    await expect.poll(left, { timeout: 20_000 }).toHaveLength(1)
    expect((await running).verdict).toBe('timeout')
    expect(left()).toEqual([])
  })

  test('without isolation, and without a word about it, nothing runs', async () => {
    await expect(openSandbox(evalFolder, 'namespaces', '/nowhere')).rejects.toThrow(
      /programs cannot be isolated here \(spawn unshare ENOENT\); .*--no-isolation/,
    )
  })

  test('these tests can fail: on the open machine the same attempts come through', async () => {
    const open = await openSandbox(evalFolder, 'none')
    const tried = (source: string) => open.run({ kind: 'program', source, seconds: 10 })
    expect((await tried(refused(`os.kill(${process.pid}, 0)`))).detail).toMatch('it came through')
    expect((await tried('import os\nassert not os.path.exists("/etc/passwd")')).verdict).toBe('failed')
  })
})

test('a Python that is not there is told', async () => {
  const named = process.env.LACUNA_PYTHON
  process.env.LACUNA_PYTHON = '/nowhere/python3'
  try {
    await expect(openSandbox(evalFolder)).rejects.toThrow(/\/nowhere\/python3 does not run; install Python 3/)
  } finally {
    if (named === undefined) delete process.env.LACUNA_PYTHON
    else process.env.LACUNA_PYTHON = named
  }
})
