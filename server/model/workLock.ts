/** One process at a time may work in a folder: two that write one part would spoil it. */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { UserError } from '../base/errors.ts'
import { hasCode } from '../base/hasCode.ts'

/** Runs `work` holding the folder. @throws {UserError} when another living process holds it. */
export async function holding<Result>(dir: string, work: () => Promise<Result>): Promise<Result> {
  await mkdir(dir, { recursive: true })
  const file = lockFile(dir)
  for (let attempt = 0; ; attempt++) {
    try {
      await writeFile(file, String(process.pid), { flag: 'wx' })
      break
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) throw error
    }
    const owner = await ownerOf(dir)
    if (attempt > 0 || (owner !== process.pid && isAlive(owner)))
      throw new UserError(
        `${dir}: process ${owner} is at work there; wait for it, or end it; if it does something else, delete ${file}`,
      )
    await rm(file, { force: true })
  }
  try {
    return await work()
  } finally {
    await rm(file, { force: true })
  }
}

/** Whether another living process works in the folder. */
export async function isHeld(dir: string): Promise<boolean> {
  const owner = await ownerOf(dir)
  return owner !== process.pid && isAlive(owner)
}

function lockFile(dir: string): string {
  return join(dir, 'in-use-by')
}

/** 0 when the file is gone in between, or was never written. */
async function ownerOf(dir: string): Promise<number> {
  return Number(await readFile(lockFile(dir), 'utf8').catch(() => '0'))
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
