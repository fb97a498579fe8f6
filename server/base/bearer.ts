/** A token for a server of the user's: from the environment, or a file that nobody else can read. Never from a workspace. */
import { readFile, stat } from 'node:fs/promises'
import { messageOf, UserError } from './errors.ts'

type Environment = Readonly<Record<string, string | undefined>>

/**
 * What `NAME` holds, else what the file holds that `NAME_FILE` names; without its line break.
 *
 * @throws {UserError} for a file that cannot be read, or that others can; its contents are not repeated.
 */
export async function bearerToken(name: string, env: Environment = process.env): Promise<string | undefined> {
  if (env[name]) return checked(env[name], name)
  const file = env[`${name}_FILE`]
  if (!file) return undefined
  let text: string
  try {
    const { mode } = await stat(file)
    if (process.platform !== 'win32' && (mode & 0o077) !== 0)
      throw new UserError(`${file}: others can read this token; run "chmod 600 ${file}"`)
    text = await readFile(file, 'utf8')
  } catch (error) {
    if (error instanceof UserError) throw error
    throw new UserError(`${name}_FILE: ${messageOf(error)}`)
  }
  return checked(text.trim(), file)
}

function checked(token: string, where: string): string {
  if (/^[\x21-\x7e]+$/.test(token)) return token
  throw new UserError(`${where}: wanted a token of printable characters without blanks`)
}
