/**
 * llama.cpp's `llama-server` as a child process on this machine alone: started, asked, stopped. Knows its HTTP interface,
 * nothing of what is measured. One slot with its prompt cache on: the longest beginning of a prompt that the slot holds
 * is not read again.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** What a completion took by the server's own clock, and around the whole request. */
export interface PeerCompletion {
  readonly wallMs: number
  readonly ownMs: number // reading and predicting
  readonly readTokens: number // of the prompt, those that were not in the cache
  readonly readMs: number
  readonly predicted: number
  readonly text: string
}

const healthSeconds = 60

export class LlamaServer {
  private readonly child: ChildProcess
  private readonly url: string

  private constructor(child: ChildProcess, url: string) {
    this.child = child
    this.url = url
  }

  /** @throws {Error} when it does not come up, with the last lines it wrote. */
  static async start(program: string, model: string, threads: number): Promise<LlamaServer> {
    const port = await freePort()
    const args = [
      ...['--model', model, '--host', '127.0.0.1', '--port', `${port}`, '--offline', '--no-ui'],
      ...['--threads', `${threads}`, '--threads-batch', `${threads}`, '--parallel', '1', '--ctx-size', '2048'],
      ...['--cache-prompt', '--cache-ram', '0'], // the slot's own cache; none of other prompts in memory
    ]
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] })
    let tail = ''
    child.stderr!.on('data', (data) => (tail = (tail + data).slice(-2000)))
    child.on('error', (error) => (tail += error.message))
    const server = new LlamaServer(child, `http://127.0.0.1:${port}`)
    process.once('exit', () => child.kill('SIGKILL')) // never left behind
    const deadline = performance.now() + 1000 * healthSeconds
    while (!(await server.isHealthy())) {
      if (child.exitCode !== null || child.pid === undefined || performance.now() > deadline) {
        child.kill('SIGKILL')
        throw new Error(`${program} did not come up with ${model}:\n${tail}`)
      }
      await sleep(100)
    }
    return server
  }

  /** Exactly `count` tokens, the likeliest each time; 0 only reads the prompt. */
  async complete(promptIds: readonly number[], count: number): Promise<PeerCompletion> {
    const body = {
      prompt: promptIds,
      n_predict: count,
      ignore_eos: true,
      temperature: 0,
      samplers: ['temperature'],
      cache_prompt: true,
    }
    const began = performance.now()
    const { timings, content } = (await this.post('/completion', body)) as {
      content: string
      timings: { prompt_n: number; prompt_ms: number; predicted_n: number; predicted_ms: number }
    }
    const wallMs = performance.now() - began
    if (count > 0 && timings.predicted_n !== count)
      throw new Error(`llama-server was asked for ${count} tokens and gave ${timings.predicted_n}`)
    return {
      wallMs,
      ownMs: timings.prompt_ms + timings.predicted_ms,
      readTokens: timings.prompt_n,
      readMs: timings.prompt_ms,
      predicted: timings.predicted_n,
      text: content,
    }
  }

  /** As it cuts text into tokens itself. */
  async tokenize(text: string): Promise<readonly number[]> {
    const { tokens } = (await this.post('/tokenize', { content: text, add_special: false })) as { tokens: number[] }
    return tokens
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    const exited = once(this.child, 'exit')
    this.child.kill('SIGTERM')
    await Promise.race([exited, sleep(5000, undefined, { ref: false }).then(() => this.child.kill('SIGKILL'))])
  }

  private async isHealthy(): Promise<boolean> {
    // Refused until it listens, 503 until the model is loaded.
    return fetch(`${this.url}/health`).then(
      ({ ok }) => ok,
      () => false,
    )
  }

  private async post(path: string, body: unknown): Promise<unknown> {
    const response = await fetch(this.url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    if (!response.ok) throw new Error(`llama-server: ${path}: ${response.status} ${await response.text()}`)
    return response.json()
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}
