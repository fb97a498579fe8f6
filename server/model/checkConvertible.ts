/**
 * Whether a model can be converted, as far as its small files tell: asked before gigabytes of weights are fetched.
 */

import { type InfillFacts, infillFacts } from './infillFacts.ts'
import { readModelConfig } from './modelConfig.ts'
import { madeTokenizer } from './qwenTokenizer.ts'
import { readSpecialTokens } from './specialTokens.ts'

/**
 * @param origin `owner/name` of the repository, which tells some kinds apart.
 * @throws {BundleError} as `convertModel` would.
 */
export async function checkConvertible(dir: string, origin: string, given: Partial<InfillFacts>): Promise<void> {
  const config = await readModelConfig(dir)
  infillFacts(config, await readSpecialTokens(dir, await madeTokenizer(dir)), origin, given)
}
