/**
 * From key to answer, as fast as answers come: the person waits for each one, takes none, and the server does not rest
 * before it begins (debounce 0, no budget).
 */
import type { OpenRooms } from '../../../server/cli/openRooms.ts'
import type { Filled } from '../../../server/session/gaps.ts'
import { median, quantile, rounded } from '../stats.ts'
import { Buffer } from './buffer.ts'
import { type EditorSession, openEditor } from './editor.ts'
import type { Key, KeyKind, Recording, Source } from './recording.ts'

export interface Stroke {
  readonly kind: KeyKind
  readonly ms: number
  readonly shown: boolean
  readonly filled: Filled | undefined // undefined: answered without the model
}

/** A line of 24 tokens at most, so that figures stay comparable with those of the seed. */
export const patient = { debounceMs: 0, inlineBudgetMs: 60_000, maxTokens: 24 }

export async function latency(
  rooms: OpenRooms,
  recordings: readonly Recording[],
  told: (keys: number) => void = () => {},
): Promise<Stroke[]> {
  const editor = await openEditor(rooms, patient)
  const strokes: Stroke[] = []
  for (const recording of recordings) {
    const buffer = new Buffer(recording.start)
    for (const key of recording.keys) {
      strokes.push(await stroke(editor, buffer, recording.source, key))
      told(strokes.length)
    }
    if (buffer.text !== recording.source.text) throw new Error(`${recording.source.name} was not restored`)
  }
  await editor.close()
  return strokes
}

export async function stroke(
  editor: EditorSession,
  buffer: Buffer,
  { languageId, path }: Pick<Source, 'languageId' | 'path'>,
  key: Key,
): Promise<Stroke> {
  const change = buffer.press(key)
  const before = editor.fills.length
  const began = performance.now()
  if (key.kind === 'open') await editor.open(languageId, buffer.text, path)
  if (change) await editor.change(change)
  const reply = await editor.inline(buffer.cursor)
  return {
    kind: key.kind,
    ms: performance.now() - began,
    shown: reply.kind === 'offer',
    filled: editor.fills[before],
  }
}

const typedKinds: ReadonlySet<KeyKind> = new Set(['character', 'break', 'typo', 'backspace'])

/** Only answers with something to show count towards the first figures: giving up early must not make them look better. */
export function latencyFigures(strokes: readonly Stroke[], tokensOf: (text: string) => number) {
  const typed = strokes.filter(({ kind }) => typedKinds.has(kind))
  const asked = typed.filter(({ filled }) => filled)
  const withModel = asked.filter(({ shown }) => shown)
  const fills = withModel.map(({ filled }) => filled!)
  const whole = withModel.filter(({ filled }) => filled!.finish === 'ended')
  const kept = typed.filter(({ filled }) => !filled)
  const first = (...kinds: KeyKind[]) => {
    const those = strokes.filter(({ kind, filled }) => filled && kinds.includes(kind))
    return { ghost: times(those.filter(({ shown }) => shown)), any_answer: times(those) }
  }
  const middleOf = (figure: (filled: Filled) => number) => rounded(median(fills.map(figure)))
  return {
    keystroke_to_ghost: times(withModel),
    whole_line: times(whole),
    given_up: times(asked.filter(({ shown }) => !shown)),
    type_through: times(kept.filter(({ shown }) => shown)),
    kept_nothing: kept.filter(({ shown }) => !shown).length,
    first_after: {
      open_or_jump: first('open', 'jump'),
      paste: first('paste'),
      undo: first('undo'),
    },
    of_a_ghost_p50: {
      tokens: middleOf(({ tokens }) => tokens),
      tokens_shown: middleOf((filled) => (filled.kind === 'completion' ? tokensOf(filled.edit.text) : 0)),
      passes: middleOf(({ steps }) => steps),
      rows: middleOf(({ rows }) => rows),
      encoded_rows: middleOf(({ encodedRows }) => encodedRows),
      encode_ms: middleOf(({ ms }) => ms.encode),
      denoise_ms: middleOf(({ ms }) => ms.denoise),
      rest_ms: rounded(median(withModel.map(({ ms, filled }) => ms - filled!.ms.encode - filled!.ms.denoise)), 2),
    },
  }
}

export function times(strokes: readonly { readonly ms: number }[]) {
  if (strokes.length === 0) return { count: 0 }
  const ms = strokes.map((stroke) => stroke.ms)
  return { count: ms.length, p50_ms: rounded(median(ms), 2), p95_ms: rounded(quantile(ms, 0.95), 2) }
}
