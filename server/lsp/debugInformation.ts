/** What a report of a fault should say; no text of a document, and no name of one. */
import { homedir } from 'node:os'
import { redacted } from '../config/redacted.ts'
import type { ClientProfile } from './clientProfiles.ts'
import type { Configuration } from './configuration.ts'
import type { Documents } from './documents.ts'
import type { LazySession } from './lazySession.ts'
import type { StatusReport } from './status.ts'
import type { Triggers } from './triggers.ts'
import type { Usage } from './usage.ts'

export interface Reported {
  readonly version: string
  readonly configuration: Configuration
  readonly triggers: Triggers
  readonly status: StatusReport
  readonly usage: Usage
  readonly profile: ClientProfile
  readonly documents: Documents
  readonly session: LazySession
}

export function debugInformation(reported: Reported) {
  const { version, configuration, triggers, status, usage, profile, documents, session } = reported
  return {
    version,
    settings: redacted(configuration.settings, homedir()),
    restriction: configuration.restriction,
    warnings: configuration.warnings.length,
    mode: triggers.general,
    snoozed: triggers.isSnoozed,
    status: status.current,
    usage: usage.counts,
    profile,
    documents: documents.count,
    sessionIsOpen: session.current !== undefined,
  }
}
