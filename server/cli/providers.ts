/** Execution providers as the command line knows them: what a person names, and what there is to try on a platform. */
import { UserError } from '../base/errors.ts'
import { suggestion } from '../config/nearest.ts'
import { providerNames } from '../config/settings.ts'

/**
 * @param given names with commas between them.
 * @throws {UserError} for a name that is none.
 */
export function parseProviders(given: string): string[] {
  const names = given.split(',').map((name) => name.trim())
  const known: readonly string[] = providerNames
  const bad = names.find((name) => !known.includes(name))
  if (bad === undefined) return names
  throw new UserError(`--providers: "${bad}" is no execution provider; ${suggestion(bad, known)}`)
}

/** What onnxruntime-node 1.30 can be asked for beside cpu; cuda with libraries that are not in its package. */
export function providersOf(platform: NodeJS.Platform, arch: string): readonly string[] {
  if (platform === 'darwin') return ['coreml', 'webgpu']
  if (platform === 'win32') return ['dml', 'webgpu']
  return platform === 'linux' && arch === 'x64' ? ['cuda', 'webgpu'] : []
}

/** What a provider lacks, most likely, that cannot be opened. */
export const needs: Readonly<Record<string, string>> = {
  cuda: 'it needs an NVIDIA driver, CUDA 12 with cuDNN 9, and "ONNXRUNTIME_NODE_INSTALL=cuda12 npm rebuild onnxruntime-node"',
  webgpu: 'on Linux it needs libvulkan and a driver for Vulkan',
}
