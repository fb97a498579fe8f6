/** What `lacuna complete` of the built server prints. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

/** @param path of a file that holds `text`. @param cursor UTF-16 units into it. */
export async function printed(path: string, text: string, cursor: number, ...options: string[]): Promise<string> {
  const lines = text.slice(0, cursor).split('\n')
  const place = `${path}:${lines.length}:${lines.at(-1)!.length + 1}`
  return (await promisify(execFile)(process.execPath, ['dist/main.js', 'complete', ...options, place])).stdout
}
