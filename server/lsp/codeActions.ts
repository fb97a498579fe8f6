/**
 * `textDocument/codeAction`: what could be done here. At once, without the model, and by commands alone: editors ask
 * unprompted, and some freeze while an action is resolved.
 */
import {
  type ClientCapabilities,
  type CodeAction,
  type CodeActionParams,
  CodeActionTag,
  CodeActionTriggerKind,
  type Command,
  type Diagnostic,
  type MarkupContent,
  type Range,
  type ServerCapabilities,
} from 'vscode-languageserver'
import { isOneCharacter, type Span } from '../base/spans.ts'
import { listActions, type Offer } from '../session/codeActions.ts'
import type { Snapshot } from '../session/session.ts'
import type { ClientProfile } from './clientProfiles.ts'
import type { Documents } from './documents.ts'
import { isRange } from './positions.ts'

/** Exactly what is offered; VS Code leaves out a server that names no kind. */
export const codeActionCapabilities: ServerCapabilities = {
  codeActionProvider: { codeActionKinds: ['quickfix', 'refactor.rewrite'] },
}

/** What of the client decides how actions look. */
export interface ActionClient {
  /** It knows actions that are more than a command. */
  readonly literals: boolean
  readonly disabled: boolean
  /** It marks what a model makes. */
  readonly llmTag: boolean
  /** It asks for a wish by itself, and puts it into the command's argument: `experimental.lacuna.asksWish`. */
  readonly asksWish: boolean
  /** Its cursor is a selection of one character. */
  readonly selectsCursor: boolean
}

export function actionClient(
  { textDocument, experimental }: ClientCapabilities,
  { selectsCursor }: ClientProfile,
): ActionClient {
  const { codeAction } = textDocument ?? {}
  const { lacuna } = (experimental ?? {}) as { lacuna?: { asksWish?: unknown } }
  return {
    literals: codeAction?.codeActionLiteralSupport !== undefined,
    disabled: codeAction?.disabledSupport === true,
    llmTag: codeAction?.tagSupport?.valueSet?.includes(CodeActionTag.LLMGenerated) ?? false,
    asksWish: lacuna?.asksWish === true,
    selectsCursor,
  }
}

/** The one argument of an action's command. */
export interface CommandArgument {
  readonly uri: string
  readonly range: Range
  /** Of the document when it was listed. */
  readonly version?: number
  /** The diagnostic to be fixed. */
  readonly message?: string
  readonly wish?: string
}

export function codeActions(
  documents: Documents,
  params: CodeActionParams,
  client: ActionClient,
): (Command | CodeAction)[] {
  const { textDocument, range, context } = params ?? {}
  const snapshot = typeof textDocument?.uri === 'string' ? documents.snapshot(textDocument.uri) : undefined
  if (!snapshot || !isRange(range)) return []
  const selection = selected(snapshot.text, documents.spanAt(snapshot.uri, range), client)
  const given = (Array.isArray(context?.diagnostics) ? context.diagnostics : []).filter(isDiagnostic)
  const diagnostics = given.map((diagnostic) => {
    return { diagnostic, span: documents.spanAt(snapshot.uri, diagnostic.range), message: wordsOf(diagnostic) }
  })
  const isAutomatic = context?.triggerKind === CodeActionTriggerKind.Automatic
  const isSelected = isSelection(snapshot.text, selection)
  if (isAutomatic && !isSelected && diagnostics.length === 0) return []
  const { text, languageId } = snapshot
  const offers = listActions({ text, languageId, selection, diagnostics, asksWish: client.asksWish })
  return offers
    .filter(({ kind }) => isWanted(kind, context?.only))
    .filter(({ disabled }) => disabled === undefined || (client.disabled && client.literals && !isAutomatic))
    .filter(({ name }) => !isAutomatic || isSelected || name === 'fix')
    .map((offer) => {
      const fixed = diagnostics.find(({ span, message }) => isOf(offer, span, message))
      return actionOf(documents, snapshot, selection, offer, fixed?.diagnostic, client)
    })
}

function actionOf(
  documents: Documents,
  { uri, version }: Snapshot,
  selection: Span,
  { name, kind, title, span, message, disabled }: Offer,
  fixed: Diagnostic | undefined,
  { literals, llmTag }: ActionClient,
): Command | CodeAction {
  const range = documents.rangeAt(uri, span ?? selection)
  const argument: CommandArgument = { uri, range, version, ...(message === undefined ? {} : { message }) }
  const command: Command = { title, command: `lacuna.${name}`, arguments: [argument] }
  if (!literals) return command
  return {
    title,
    kind,
    ...(disabled === undefined ? { command } : { disabled: { reason: disabled } }),
    ...(fixed ? { diagnostics: [fixed] } : {}),
    ...(llmTag ? { tags: [CodeActionTag.LLMGenerated] } : {}),
  }
}

function isOf({ span, message }: Offer, at: Span, said: string): boolean {
  return message !== undefined && said.startsWith(message) && at.start === span?.start && at.end === span.end
}

/** A kind asked for stands for all below it. */
function isWanted(kind: string, only: readonly string[] | null | undefined): boolean {
  return !only || only.some((wanted) => wanted === '' || kind === wanted || kind.startsWith(`${wanted}.`))
}

/**
 * Some clients always have a character selected, and some widen to whole lines: when nobody asked, one unit, and the line
 * of the cursor, are no selection.
 */
function isSelection(text: string, { start, end }: Span): boolean {
  const inside = text.slice(start, end)
  if (isOneCharacter(inside)) return false
  const isWholeLine = (start === 0 || text[start - 1] === '\n') && /^[^\n]*(?:\n|$)$/.test(inside)
  return !(isWholeLine && (inside.endsWith('\n') || end === text.length || /[\r\n]/.test(text[end]!)))
}

function selected(text: string, { start, end }: Span, { selectsCursor }: ActionClient): Span {
  const isCursor = selectsCursor && isOneCharacter(text.slice(start, end))
  return isCursor ? { start, end: start } : { start, end }
}

/** LSP 3.18 lets it be markdown. */
function wordsOf({ message }: Diagnostic): string {
  return typeof message === 'string' ? message : message.value
}

function isDiagnostic(diagnostic: unknown): diagnostic is Diagnostic {
  const { range, message } = (diagnostic ?? {}) as { range?: unknown; message?: unknown }
  return isRange(range) && (typeof message === 'string' || typeof (message as MarkupContent | null)?.value === 'string')
}
