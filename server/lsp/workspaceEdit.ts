/** Edits of one document in the shape that the client takes: versioned where it can. */
import type {
  ApplyWorkspaceEditParams,
  ChangeAnnotationIdentifier,
  ClientCapabilities,
  TextEdit,
  WorkspaceEdit,
} from 'vscode-languageserver'
import type { Snapshot } from '../session/session.ts'

export interface EditClient {
  readonly versioned: boolean
  readonly annotations: boolean
  readonly metadata: boolean
}

export function editClient({ workspace }: ClientCapabilities): EditClient {
  const { workspaceEdit } = workspace ?? {}
  return {
    versioned: workspaceEdit?.documentChanges === true,
    annotations: workspaceEdit?.changeAnnotationSupport !== undefined,
    metadata: workspaceEdit?.metadataSupport === true,
  }
}

const annotation: ChangeAnnotationIdentifier = 'lacuna'

/** @param edits from the top, of the document as it is at its version. */
export function workspaceEdit(
  title: string,
  isRefactoring: boolean,
  { uri, version }: Snapshot,
  edits: readonly TextEdit[],
  { versioned, annotations, metadata }: EditClient,
): ApplyWorkspaceEditParams {
  const edit: WorkspaceEdit = versioned
    ? {
        documentChanges: [
          {
            textDocument: { uri, version },
            edits: edits.map((one) => (annotations ? { ...one, annotationId: annotation } : one)),
          },
        ],
        ...(annotations
          ? { changeAnnotations: { [annotation]: { label: title, description: 'Lacuna', needsConfirmation: false } } }
          : {}),
      }
    : { changes: { [uri]: [...edits] } }
  return { label: title, edit, ...(metadata ? { metadata: { isRefactoring } } : {}) }
}
