/** `lacuna model add`: a model from a hub or a folder, asked about, fetched, converted, tried and installed. */
import { systemClock } from '../base/clock.ts'
import { Aborted, UserError } from '../base/errors.ts'
import { checkRoom } from '../model/downloadAll.ts'
import { NetworkError } from '../model/httpGet.ts'
import type { Net } from '../model/hub.ts'
import { BusyError } from '../model/hubRefusal.ts'
import { parseReference } from '../model/modelReference.ts'
import { checkFree, modelPlaces } from '../model/store.ts'
import { holding } from '../model/workLock.ts'
import { isBundle, nameOf, planAddition } from './addition.ts'
import { carryOut } from './carryOut.ts'
import type { Arguments, Command, Terminal } from './command.ts'
import { confirm } from './confirm.ts'
import { factOptions, factsOption, quantOf, quantOption } from './modelConvert.ts'
import { progressBar } from './progressBar.ts'

/** What a shell says of a command ended by the interrupt key. */
const interruptedCode = 130

export const modelAdd: Command = {
  name: 'model add',
  positionals: ['MODEL'],
  summary: 'Fetches a model, converts it and installs it: OWNER/NAME[@REVISION], a folder, or an https address.',
  details:
    'Says size and licence first, and asks. Interrupted, the same command goes on where it stopped.\n' +
    'HF_TOKEN is sent to the hub alone, HF_ENDPOINT names another hub, LACUNA_HOME another folder for models;\n' +
    'HTTPS_PROXY, NO_PROXY and NODE_EXTRA_CA_CERTS are honoured.',
  options: {
    yes: { type: 'boolean', short: 'y', help: 'do not ask' },
    'accept-license': { type: 'boolean', help: 'accept a licence that does not allow every use, or is not known' },
    name: { type: 'string', value: 'NAME', help: "how it is called here (default: the repository's name)" },
    quant: quantOption,
    ...factOptions,
    'keep-source': { type: 'boolean', help: 'keep the downloaded files after the conversion' },
  },
  async run(args, terminal) {
    const stop = new AbortController()
    const interrupt = () => stop.abort(new Aborted('cancelled')) // once: a second time ends the process as ever
    for (const name of signals) process.once(name, interrupt)
    try {
      return await add(args, terminal, stop.signal)
    } catch (error) {
      if (error instanceof NetworkError || error instanceof BusyError)
        throw new Error(`${error.message}; what was fetched stays, run the same command again`, { cause: error })
      if (!(error instanceof Aborted)) throw error
      terminal.err('\nstopped; the same command goes on from here\n')
      return interruptedCode
    } finally {
      for (const name of signals) process.off(name, interrupt)
    }
  },
}

const signals = ['SIGINT', 'SIGTERM'] as const

async function add(args: Arguments, terminal: Terminal, signal: AbortSignal): Promise<number> {
  const say = (line: string) => terminal.err(`${line}\n`)
  const net: Net = { env: process.env, clock: systemClock, note: say, signal }
  const [quant, facts] = [quantOf(args), factsOption(args)]
  const reference = await parseReference(args.positionals[0]!, net.env)
  const name = args.text('name') ?? nameOf(reference)
  await checkFree(name)
  const addition = await planAddition(reference, { name, quant, modelsDir: modelPlaces().user }, net)
  const { licence, description, neededBytes, workDir } = addition
  const forConversion = ['quant', ...Object.keys(factOptions)].find((option) => args.text(option) !== undefined)
  if (isBundle(addition) && forConversion !== undefined)
    throw new UserError(`${name}: a bundle is taken as it is; --${forConversion} is for models to be converted`)
  terminal.err(description)
  if (!licence.permissive && !args.flag('accept-license'))
    throw new UserError(`${name}: its licence is ${licence.text}; read it, then add --accept-license if you accept it`)
  await checkRoom(workDir, neededBytes)
  if (!(await confirm('Add it?', args.flag('yes'), terminal, signal))) {
    say('nothing was fetched')
    return 1
  }
  const options = {
    quant,
    facts,
    keepSource: args.flag('keep-source'),
    bar: (title: string) => progressBar(terminal.err, title),
    say,
  }
  const dir = await holding(workDir, () => carryOut(addition, net, options))
  terminal.out(`${name}: installed in ${dir}; "lacuna model use ${name}" makes it the default\n`)
  return 0
}
