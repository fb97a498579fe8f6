/** Builds once before all tests: Node 20 cannot start a worker from TypeScript, and some tests run the built server. */
import { execFileSync } from 'node:child_process'

export default function build(): void {
  execFileSync('npm', ['run', 'build', '--silent'], { stdio: ['ignore', 'ignore', 'inherit'] })
}
