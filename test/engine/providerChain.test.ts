/**
 * Providers that cannot be loaded, cannot open the graph or fail in a pass. Sessions are real ones on a small random
 * bundle; one that is to fail in a pass has been released under the chain's hands.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type * as ort from 'onnxruntime-node'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { engineOptions } from '../../server/cli/openRooms.ts'
import { openSessions, releaseSessions, type Sessions } from '../../server/engine/onnx/openSessions.ts'
import { type RowGroup, textGroup } from '../../server/engine/onnx/pass.ts'
import type { EngineOptions, OpenReport } from '../../server/engine/onnx/protocol.ts'
import { ProviderChain } from '../../server/engine/onnx/providerChain.ts'
import { openBundle } from '../../server/model/openBundle.ts'
import { randomBundle } from '../model/randomBundle.ts'
import { range, someIds } from './engine.case.ts'

let root: string
let options: EngineOptions
let opened: { provider: string; sessions: Sessions }[]
let moves: OpenReport[]
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'lacuna-providers-'))
  const bundle = await openBundle((await randomBundle(root, {}, 7)).f32)
  options = engineOptions(bundle, { deterministic: true })
})
afterAll(() => rm(root, { recursive: true, force: true }))
beforeEach(() => {
  opened = []
  moves = []
})

type Open = (provider: string) => Promise<Sessions>
const onCpu: Open = () => openSessions(options, 'cpu')

/** `first` and `second` compute on the processor, other names are the runtime's own. */
function chainOf(providers: readonly string[], open: Open = onCpu, lost: EngineOptions['lost'] = []): ProviderChain {
  return new ProviderChain(
    { ...options, providers, lost },
    {
      openSessions: async (_, provider) => {
        const named = provider === 'first' || provider === 'second'
        const sessions = named ? await open(provider) : await openSessions(options, provider)
        opened.push({ provider, sessions })
        return sessions
      },
      onMoved: (report) => moves.push(report),
    },
  )
}

const text: RowGroup = {
  ...textGroup({ ids: someIds(1, 30, 200), positions: range(0, 30), runs: [], firstPositions: [], keep: [] }),
  askedRows: [29],
  keep: [{ first: 0, count: 30 }],
}
const bestOf = async (chain: ProviderChain, group = text) => (await chain.run([group], []))[0]!.prediction.topLogProbs
const names = () => opened.map(({ provider }) => provider)

test('takes the first that works, and keeps the reason of each that does not', async () => {
  const chain = chainOf(['nonesuch', 'other', 'first', 'second'])
  const { provider, passedOver } = await chain.open()
  expect(provider).toBe('first')
  expect(passedOver).toEqual([
    { provider: 'nonesuch', reason: expect.stringContaining('backend not found') },
    { provider: 'other', reason: expect.stringContaining('backend not found') },
  ])
  expect(await bestOf(chain)).toHaveLength(1)
  expect(names()).toEqual(['first'])
  await chain.release()
})

test.runIf(process.platform === 'linux')('webgpu without a driver is passed over in one line', async () => {
  process.env.VK_DRIVER_FILES = process.env.VK_ICD_FILENAMES = join(root, 'nothing.json')
  const chain = chainOf(['webgpu', 'cpu'])
  const { provider, passedOver } = await chain.open()
  expect(provider).toBe('cpu')
  expect(passedOver[0]!.reason).not.toMatch(/\n|onnxruntime_src/)
  expect(passedOver[0]!.reason).toMatch(/\S/)
  await chain.release()
})

test('a provider that fails in a pass is given up for good, and the pass is run on the next', async () => {
  const chain = chainOf(['first', 'second', 'cpu'])
  await chain.open()
  const wanted = await bestOf(chain)
  const [read] = await chain.run([text], [])
  const { keys, values } = read!.kept[0]!
  await releaseSessions(opened[0]!.sessions)
  // Over what the lost one had read: it was never on its device alone.
  const segment = { parent: undefined, parentRows: 0, ownRows: 30, keys, values }
  const over = { ...text, ids: [5], positions: [30], runs: [{ segment, from: 0, count: 30 }], firstPositions: [0] }
  const found = await bestOf(chain, { ...over, askedRows: [0], keep: [] })
  expect(moves.map(({ provider }) => provider)).toEqual(['second'])
  expect(moves[0]!.passedOver).toEqual([{ provider: 'first', reason: expect.stringMatching(/^a pass failed: \S/) }])
  expect(await bestOf(chain)).toEqual(wanted)
  expect(await bestOf(chain, { ...over, askedRows: [0], keep: [] })).toEqual(found)

  await releaseSessions(opened[1]!.sessions)
  expect(await bestOf(chain)).toEqual(wanted)
  expect(moves.map(({ provider }) => provider)).toEqual(['second', 'cpu'])
  expect(names()).toEqual(['first', 'second', 'cpu'])
  await chain.release()
})

test('the last one is kept: a pass that fails there is a failure, and says why', async () => {
  const chain = chainOf(['first', 'second'])
  await chain.open()
  await releaseSessions(opened[0]!.sessions)
  await bestOf(chain)
  const wrong = { ...text, runs: [{ segment: emptySegment(), from: 0, count: 3 }], firstPositions: [0] }
  await expect(chain.run([wrong], [])).rejects.toThrow()
  expect(await bestOf(chain)).toHaveLength(1)
  expect(names()).toEqual(['first', 'second'])
  await chain.release()
})

test('what the model or the job does not have is no fault of the provider', async () => {
  const chain = chainOf(['first', 'second'], async () => {
    const { text: session } = await onCpu('first')
    let passes = 0
    const run: typeof session.run = async (feeds: object, fetches: object) => {
      if (++passes > 3) throw new RangeError('position 9000 is out of range')
      return session.run(feeds as ort.InferenceSession.FeedsType, fetches as string[])
    }
    const spoiled = { run, release: () => session.release() } as ort.InferenceSession
    return { text: spoiled, canvas: spoiled }
  })
  await chain.open()
  await expect(chain.run([text], [])).rejects.toThrow(RangeError)
  expect(moves).toEqual([])
  await chain.release()
})

test.each([
  ['zeros', (numbers: Float32Array) => numbers.fill(0), 'no probabilities'],
  ['no numbers', (numbers: Float32Array) => numbers.fill(Number.NaN), 'NaN'],
  [
    'a past that is not there',
    (numbers: Float32Array, name: string) => name.startsWith('present.') && numbers.fill(9),
    'over kept rows',
  ],
])('a driver that answers %s without an error is passed over', async (_, spoil, reason) => {
  const chain = chainOf(['first', 'cpu'], async () => {
    const { text: session } = await onCpu('first')
    const run: typeof session.run = async (feeds: object, fetches: object) => {
      const outputs = await session.run(feeds as ort.InferenceSession.FeedsType, fetches as string[])
      for (const [name, { type, data }] of Object.entries(outputs))
        if (type === 'float32') spoil(data as Float32Array, name)
      return outputs
    }
    const spoiled = { run, release: () => session.release() } as ort.InferenceSession
    return { text: spoiled, canvas: spoiled }
  })
  const { provider, passedOver } = await chain.open()
  expect(provider).toBe('cpu')
  expect(passedOver[0]!.reason).toContain(reason)
  await chain.release()
})

test('what was lost before, in this process, is not tried again', async () => {
  const lost = [{ provider: 'first', reason: 'a pass failed: device lost' }]
  const chain = chainOf(['first', 'second'], onCpu, lost)
  expect(await chain.open()).toMatchObject({ provider: 'second', passedOver: lost })
  expect(names()).toEqual(['second'])
  await chain.release()
})

test('when none is left the reasons are told, and the last is tried again at the next pass', async () => {
  let memory = true
  const chain = chainOf(['first', 'second'], async (provider) => {
    if (provider === 'second' && !memory) throw new Error('bad allocation')
    return onCpu(provider)
  })
  await chain.open()
  await releaseSessions(opened[0]!.sessions)
  memory = false
  await expect(chain.run([text], [])).rejects.toThrow(/^first: a pass failed: .*; second: bad allocation$/)
  memory = true
  expect(await bestOf(chain)).toHaveLength(1)
  expect(moves.map(({ provider }) => provider)).toEqual(['second'])
  await chain.release()
})

function emptySegment() {
  return { parent: undefined, parentRows: 0, ownRows: 3, keys: [], values: [] }
}
