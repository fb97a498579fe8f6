/**
 * Whether anything is made for a request at all: modes, by language and switched live, a snooze, and private files.
 *
 * | | nothing unasked | ghost text by hand | menu | reading ahead |
 * |---|---|---|---|---|
 * | auto | | yes | yes | yes |
 * | manual, snoozed | × | yes | no, unless `menuWhenManual` | no |
 * | off | × | no | no | no |
 * | private file | × | yes | no | no |
 *
 * Ghost text says when it was asked for by hand. The menu does not: VS Code, Neovim's plug-ins and Helix ask as "invoked"
 * at every letter, and Kakoune says nothing. So no client's word is taken; `menuWhenManual` is for those who have switched
 * their editor's own automatic completion off, and then only what a trigger character brought is left out. Code actions
 * and commands are always by hand.
 */
import { CompletionTriggerKind } from 'vscode-languageserver'
import type { Clock } from '../base/clock.ts'
import { UserError } from '../base/errors.ts'
import { nearest } from '../config/nearest.ts'
import { modeIn, type Restriction, strictest } from '../config/restriction.ts'
import { type Mode, modes, type Settings } from '../config/settings.ts'
import type { Rules, WorkspaceRules } from '../config/workspaceRules.ts'
import type { Answer, InfillRequest, Snapshot } from '../session/session.ts'

export type Asked = Pick<InfillRequest, 'method' | 'invoked'> & {
  readonly snapshot: Pick<Snapshot, 'uri' | 'languageId'>
  /** What the menu's request says of itself. */
  readonly trigger?: CompletionTriggerKind | undefined
}

export interface TriggerSources {
  readonly settings: () => Settings
  /** Of what the client answered, where user and workspace cannot be told apart. */
  readonly restriction: () => Restriction
  readonly rules: WorkspaceRules
  readonly clock: Clock
  /** Told after each command, and by the first request after a snooze. */
  readonly changed: () => void
}

const longestSnoozeMin = 24 * 60
const never = Number.NEGATIVE_INFINITY

export class Triggers {
  private readonly sources: TriggerSources
  /** By command, for this session: in place of what user and client say, not of what a workspace's file restricts. */
  private chosen: { mode?: Mode; readonly languages: Map<string, Mode> } = { languages: new Map() }
  private snoozedUntil = never // ms of the clock

  constructor(sources: TriggerSources) {
    this.sources = sources
  }

  /** The answer in place of the model's, or undefined. Rules not known in time are waited for in vain: pending. */
  instead(asked: Asked, budgetMs: number): Answer | undefined | Promise<Answer | undefined> {
    this.endSnooze()
    const { languageId, uri } = asked.snapshot
    // Before the disk is asked: what is off costs nothing.
    const own = this.refused(asked, this.ownMode(languageId))
    if (own !== undefined) return own
    const rules = this.sources.rules.of(uri)
    return rules instanceof Promise ? this.insteadWithin(asked, rules, budgetMs) : this.byRules(asked, rules)
  }

  /** Never rejects: of what cannot be known, nothing is read ahead. */
  readsAhead({ uri, languageId }: Pick<Snapshot, 'uri' | 'languageId'>): boolean | Promise<boolean> {
    if (this.ownMode(languageId) !== 'auto' || this.isSnoozed) return false
    const may = (rules: Rules) => rules.private === undefined && this.mode(languageId, rules) === 'auto'
    const rules = this.sources.rules.of(uri)
    return rules instanceof Promise ? rules.then(may, () => false) : may(rules)
  }

  /** Of all languages that nothing more is said of; for the status. */
  get general(): Mode {
    return this.ownMode('')
  }

  get isSnoozed(): boolean {
    return this.sources.clock.now() < this.snoozedUntil
  }

  mode(languageId: string, { restrictions }: Pick<Rules, 'restrictions'>): Mode {
    return strictest([this.ownMode(languageId), ...restrictions.map((one) => modeIn(one, languageId))])
  }

  /**
   * `lacuna.setMode`, for this session: of one language, or of all that were not set apart.
   *
   * @throws {UserError} when the argument makes no sense.
   */
  setMode(argument: unknown): { readonly mode: Mode } {
    const { mode, languageId } = (argument ?? {}) as { mode?: unknown; languageId?: unknown }
    if (!isMode(mode)) {
      const near = typeof mode === 'string' ? nearest(mode, modes) : undefined
      const hint = near ? `; did you mean "${near}"?` : ''
      throw new UserError(`lacuna.setMode: wanted mode: ${modes.join(', ')}, found ${JSON.stringify(mode)}${hint}`)
    }
    if (languageId === undefined || languageId === null) this.chosen.mode = mode
    else if (typeof languageId === 'string' && languageId !== '') this.chosen.languages.set(languageId, mode)
    else throw new UserError(`lacuna.setMode: wanted languageId: a name, found ${JSON.stringify(languageId)}`)
    this.sources.changed()
    return { mode }
  }

  /**
   * `lacuna.snooze`: nothing unasked for so many minutes; 0 ends it.
   *
   * @throws {UserError} when the argument makes no sense.
   */
  snooze(argument: unknown): { readonly minutes: number } {
    const { minutes = 5 } = (argument ?? {}) as { minutes?: unknown }
    if (typeof minutes !== 'number' || !(minutes >= 0 && minutes <= longestSnoozeMin)) {
      throw new UserError(
        `lacuna.snooze: wanted minutes: a number from 0 to ${longestSnoozeMin}, found ${JSON.stringify(minutes)}`,
      )
    }
    const { clock, changed } = this.sources
    this.snoozedUntil = clock.now() + minutes * 60_000
    changed()
    return { minutes }
  }

  /** Found out when somebody asks: a timer would keep the process. */
  private endSnooze(): void {
    if (this.snoozedUntil === never || this.isSnoozed) return
    this.snoozedUntil = never
    this.sources.changed()
  }

  private ownMode(languageId: string): Mode {
    const chosen = this.chosen.languages.get(languageId)
    if (chosen !== undefined) return chosen
    const general = this.chosen.mode === undefined ? {} : { mode: this.chosen.mode }
    const { settings, restriction } = this.sources
    return strictest([
      modeIn({ ...settings(), ...general }, languageId),
      modeIn({ ...restriction(), ...general }, languageId),
    ])
  }

  private async insteadWithin(asked: Asked, rules: Promise<Rules>, budgetMs: number): Promise<Answer | undefined> {
    const settled = new AbortController()
    const late = this.sources.clock.sleep(budgetMs, settled.signal).catch(() => {})
    try {
      const known = await Promise.race([rules, late])
      return known ? this.byRules(asked, known) : { kind: 'pending' }
    } finally {
      settled.abort()
    }
  }

  private byRules(asked: Asked, rules: Rules): Answer | undefined {
    if (rules.private !== undefined && !asked.invoked) return nothing(`a private file: ${rules.private}`)
    return this.refused(asked, this.mode(asked.snapshot.languageId, rules))
  }

  private refused({ method, invoked, trigger, snapshot }: Asked, mode: Mode): Answer | undefined {
    if (mode === 'off') return nothing(`mode off for ${snapshot.languageId}`)
    if (mode === 'auto' && !this.isSnoozed) return undefined
    const menuByHand = this.sources.settings().menuWhenManual && trigger !== CompletionTriggerKind.TriggerCharacter
    if (method === 'completion' ? menuByHand : invoked) return undefined
    return nothing(mode === 'manual' ? `mode manual for ${snapshot.languageId}` : 'snoozed')
  }
}

function nothing(reason: string): Answer {
  return { kind: 'nothing', reason }
}

function isMode(value: unknown): value is Mode {
  return (modes as readonly unknown[]).includes(value)
}
