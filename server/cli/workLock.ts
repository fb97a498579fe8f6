/** One process at a time may work in a folder: two that append to one part would spoil it. */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { UserError } from '../base/errors.ts'

/** Runs `work` holding the folder. @throws {UserError} when another living process holds it. */
export async function holding<Result>(dir: string, work: () => Promise<Result>): Promise<Result> {
  await mkdir(dir, { recursive: true })
  const file = join(dir, 'in-use-by')
  for (let attempt = 0; ; attempt++) {
    try {
      await writeFile(file, String(process.pid), { flag: 'wx' })
      break
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) throw error
    }
    const owner = Number(await readFile(file, 'utf8').catch(() => '0')) // gone in between, or never written
    if (attempt > 0 || (owner !== process.pid && isAlive(owner)))
      throw new UserError(
        `${dir}: process ${owner} is adding this model; wait for it, or end it; if it does something else, delete ${file}`,
      )
    await rm(file, { force: true })
  }
  try {
    return await work()
  } finally {
    await rm(file, { force: true })
  }
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return hasCode(error, 'EPERM') // it lives, as somebody else's
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
