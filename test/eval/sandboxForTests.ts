/** The sandbox where this machine can have one; otherwise why it cannot, which the skipped tests say. */
import { fileURLToPath } from 'node:url'
import { messageOf } from '../../server/base/errors.ts'
import { openSandbox, type Sandbox } from './sandbox.ts'

export const evalFolder = fileURLToPath(new URL('.', import.meta.url))

export async function sandboxHere(): Promise<{ readonly sandbox?: Sandbox; readonly reason: string }> {
  try {
    return { sandbox: await openSandbox(evalFolder), reason: '' }
  } catch (error) {
    const reason = messageOf(error)
    process.stderr.write(`sandbox tests are skipped: ${reason}\n`)
    return { reason }
  }
}
