/** Somebody types into a real file: from `didChange` to the answer, over the protocol, debounce off. */
import type { OpenRooms } from '../../server/cli/openRooms.ts'
import type { Filled } from '../../server/session/fillGap.ts'
import { type EditorSession, openEditor } from './editor.ts'
import { median, quantile, rounded, seededRandom } from './stats.ts'

interface Keystroke {
  readonly ms: number
  readonly filled: Filled | undefined // undefined: answered without the model
}

/** Rests of lines, typed again character by character: the places are drawn by a seed. */
export async function typing(rooms: OpenRooms, text: string, placeCount: number) {
  const editor = await openEditor(rooms)
  const random = seededRandom(7)
  const lines = text.split('\n')
  const keystrokes: Keystroke[] = []
  const jumps: number[] = []
  for (let place = 0; place < placeCount; place++) {
    const line = pickLine(lines, random)
    const indent = /^\s*/.exec(lines[line]!)![0].length
    const from = indent + 1 + Math.floor(random() * Math.min(8, lines[line]!.length - indent - 2))
    const rest = lines[line]!.slice(from)
    const document = [...lines.slice(0, line), lines[line]!.slice(0, from), ...lines.slice(line + 1)].join('\n')
    // First answer after a jump, in turn: another document, a far line of the same one, a pasted block.
    jumps.push(await jump(editor, place, { line, from, document, lines }))
    for (const [i, character] of [...rest.slice(0, 10)].entries()) {
      keystrokes.push(await keystroke(editor, line, from + i, character))
    }
  }
  await editor.close()
  const asked = keystrokes.filter(({ filled }) => filled)
  // Only answers with something to show count: giving up early must not make this look better.
  const withModel = asked.filter(({ filled }) => filled!.kind === 'completion')
  const whole = withModel.filter(({ filled }) => filled!.finish === 'ended')
  const fills = withModel.map(({ filled }) => filled!)
  const ms = withModel.map((stroke) => stroke.ms)
  return {
    keystroke_p50_ms: rounded(median(ms)),
    keystroke_p95_ms: rounded(quantile(ms, 0.95)),
    keystrokes_that_needed_the_model: asked.length,
    of_these_shown: withModel.length,
    whole_line: {
      keystrokes: whole.length,
      p50_ms: rounded(median(whole.map(({ ms }) => ms))),
      tokens_p50: median(whole.map(({ filled }) => filled!.tokens)),
    },
    tokens_p50: median(fills.map(({ tokens }) => tokens)),
    tokens_shown_p50: median(
      fills.map((fill) => (fill.kind === 'completion' ? rooms.model.encode(fill.edit.text).length : 0)),
    ),
    passes_p50: median(fills.map(({ steps }) => steps)),
    rows_p50: median(fills.map(({ rows }) => rows)),
    encoded_rows_p50: median(fills.map(({ encodedRows }) => encodedRows)),
    type_through: {
      keystrokes: keystrokes.length - withModel.length,
      p50_ms: rounded(median(keystrokes.filter(({ filled }) => !filled).map((stroke) => stroke.ms)), 2),
    },
    jump_p50_ms: rounded(median(jumps)),
    jump_p95_ms: rounded(quantile(jumps, 0.95)),
    completion_split_ms: {
      encode: rounded(median(fills.map((filled) => filled.ms.encode))),
      denoise: rounded(median(fills.map((filled) => filled.ms.denoise))),
      rest: rounded(
        median(withModel.map((stroke) => stroke.ms - stroke.filled!.ms.encode - stroke.filled!.ms.denoise)),
      ),
    },
  }
}

interface Place {
  readonly line: number
  readonly from: number
  readonly document: string
  readonly lines: readonly string[]
}

async function jump(editor: EditorSession, turn: number, { line, from, document, lines }: Place): Promise<number> {
  if (turn % 3 === 0) await editor.open(document)
  else {
    // The user was at the top of the document before.
    await editor.open(document)
    await editor.inline(2, 0)
  }
  if (turn % 3 !== 2) return (await keystroke(editor, line, from, '')).ms
  const pasted = `${lines.slice(0, 8).join('\n')}\n`
  const began = performance.now()
  await editor.type(line, 0, pasted)
  await editor.inline(line + 8, from)
  const ms = performance.now() - began
  await editor.open(document)
  await editor.inline(line, from)
  return ms
}

function pickLine(lines: readonly string[], random: () => number): number {
  for (;;) {
    const line = Math.floor(lines.length * (0.2 + 0.75 * random()))
    if (lines[line]!.trim().length >= 24) return line
  }
}

async function keystroke(editor: EditorSession, line: number, character: number, typed: string): Promise<Keystroke> {
  const began = performance.now()
  const before = editor.fills.length
  if (typed) await editor.type(line, character, typed)
  await editor.inline(line, character + typed.length)
  return { ms: performance.now() - began, filled: editor.fills[before] }
}
