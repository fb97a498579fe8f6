/** Line plots as one SVG: panels side by side, one legend. Knows nothing of what is plotted; no dependency. */

export interface Plot {
  readonly title: string
  readonly panels: readonly Panel[]
}

export interface Panel {
  readonly title: string
  readonly x: Axis
  readonly y: Axis
  readonly series: readonly Series[] // at most ten; the same name has the same colour in all panels
}

export interface Axis {
  readonly label: string
  /** `log2` for values above 0. */
  readonly scale: 'linear' | 'log2'
}

export interface Series {
  readonly name: string
  readonly points: readonly (readonly [x: number, y: number])[] // joined in this order
}

interface Scale {
  readonly ticks: readonly number[]
  /** 0 at the lower end, 1 at the upper one. */
  readonly at: (value: number) => number
}

/** Colours that stand out on white and on black, also for most who see fewer of them; shapes tell them apart without. */
const colours = [
  '#0072b2',
  '#d55e00',
  '#009e73',
  '#cc79a7',
  '#b8860b',
  '#56b4e9',
  '#8c6bb1',
  '#7f7f7f',
  '#e6194b',
  '#2aa198',
]
const [width, height, gapBefore, gapBetween, top, legendWidth] = [330, 280, 60, 75, 62, 150]

export function plotSvg({ title, panels }: Plot): string {
  const names = [...new Set(panels.flatMap(({ series }) => series.map(({ name }) => name)))]
  if (names.length > colours.length) throw new RangeError(`at most ${colours.length} series, found ${names.length}`)
  const legendAt = gapBefore + panels.length * (width + gapBetween) - gapBetween + 24
  const [fullWidth, fullHeight] = [legendAt + legendWidth, top + height + 58]
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${fullWidth} ${fullHeight}" width="${fullWidth}" height="${fullHeight}" font-family="system-ui, sans-serif" font-size="12">`,
    `<title>${escaped(title)}</title>`,
    `<style>${style}</style>`,
    `<rect class="paper" width="${fullWidth}" height="${fullHeight}"/>`,
    text(gapBefore, 24, title, 'font-size="15" font-weight="600"'),
    ...panels.map((panel, i) => panelSvg(panel, gapBefore + i * (width + gapBetween), names)),
    ...names.map((name, i) => {
      const y = top + 10 + i * 22
      const line = `<path d="M${legendAt} ${y}h24" stroke="${colours[i]}" stroke-width="2"/>`
      return line + marker(i, legendAt + 12, y) + text(legendAt + 32, y + 4, name)
    }),
    '</svg>\n',
  ].join('\n')
}

const style = [
  '.paper{fill:#fff}text{fill:#1f2328}.grid{stroke:#d8dee4}.frame{stroke:#656d76}.marker{stroke:#fff}',
  '@media(prefers-color-scheme:dark){.paper{fill:#0d1117}text{fill:#e6edf3}.grid{stroke:#30363d}.frame{stroke:#8b949e}.marker{stroke:#0d1117}}',
].join('')

function panelSvg({ title, x, y, series }: Panel, left: number, names: readonly string[]): string {
  const points = series.flatMap((one) => one.points)
  const across = scaleOf(
    points.map((point) => point[0]),
    x,
  )
  const up = scaleOf(
    points.map((point) => point[1]),
    y,
  )
  const toX = (value: number) => fixed(left + across.at(value) * width)
  const toY = (value: number) => fixed(top + height - up.at(value) * height)
  const bottom = top + height
  const middle = top + height / 2
  return [
    text(left, top - 12, title, 'font-weight="600"'),
    ...across.ticks.flatMap((tick) => [
      `<path class="grid" d="M${toX(tick)} ${top}V${bottom}"/>`,
      text(toX(tick), bottom + 18, `${tick}`, 'text-anchor="middle"'),
    ]),
    ...up.ticks.flatMap((tick) => [
      `<path class="grid" d="M${left} ${toY(tick)}h${width}"/>`,
      text(left - 8, toY(tick) + 4, `${tick}`, 'text-anchor="end"'),
    ]),
    `<rect class="frame" x="${left}" y="${top}" width="${width}" height="${height}" fill="none"/>`,
    text(left + width / 2, bottom + 42, x.label, 'text-anchor="middle"'),
    text(left - 42, middle, y.label, `text-anchor="middle" transform="rotate(-90 ${left - 42} ${middle})"`),
    ...series.map((one) => {
      const at = names.indexOf(one.name)
      const line = one.points.map(([px, py]) => `${toX(px)},${toY(py)}`).join(' ')
      const markers = one.points.map(([px, py]) => marker(at, toX(px), toY(py))).join('')
      return `<polyline points="${line}" fill="none" stroke="${colours[at]}" stroke-width="2" stroke-linejoin="round"/>${markers}`
    }),
  ].join('\n')
}

/** Powers of two, or five or so round steps; all values lie within the first and the last. */
function scaleOf(values: readonly number[], { scale }: Axis): Scale {
  const [least, most] = [Math.min(...values), Math.max(...values)]
  if (scale === 'log2') {
    const first = Math.floor(Math.log2(least))
    const last = Math.max(first + 1, Math.ceil(Math.log2(most)))
    const ticks = Array.from({ length: last - first + 1 }, (_, i) => 2 ** (first + i))
    return { ticks, at: (value) => (Math.log2(value) - first) / (last - first) }
  }
  const power = 10 ** Math.floor(Math.log10(Math.max(most, 1e-9)))
  const step = [0.1, 0.2, 0.5, 1, 2].map((part) => part * power).find((size) => most / size <= 6) ?? power
  const count = Math.max(1, Math.ceil(most / step - 1e-9))
  const ticks = Array.from({ length: count + 1 }, (_, i) => Number((i * step).toPrecision(6)))
  return { ticks, at: (value) => value / (count * step) }
}

/** A shape of its own for each of the first ten series. */
function marker(index: number, x: number, y: number): string {
  const r = 4.5
  const fill = `class="marker" fill="${colours[index]}"`
  const corners = (angles: readonly number[]) =>
    angles.map((turn) => `${fixed(x + r * 1.2 * Math.sin(turn))},${fixed(y - r * 1.2 * Math.cos(turn))}`).join(' ')
  const regular = (count: number, from: number) =>
    `<polygon ${fill} points="${corners(Array.from({ length: count }, (_, i) => from + (2 * Math.PI * i) / count))}"/>`
  const shapes = [
    `<circle ${fill} cx="${x}" cy="${y}" r="${r}"/>`,
    regular(4, Math.PI / 4),
    regular(3, 0),
    regular(4, 0),
    regular(3, Math.PI),
    regular(5, 0),
    regular(6, 0),
    regular(3, Math.PI / 2),
    regular(3, -Math.PI / 2),
    `<circle ${fill} cx="${x}" cy="${y}" r="${r / 1.6}"/>`,
  ]
  return shapes[index]!
}

function text(x: number, y: number, content: string, attributes = ''): string {
  return `<text x="${x}" y="${y}" ${attributes}>${escaped(content)}</text>`
}

function escaped(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}

const fixed = (value: number): number => Number(value.toFixed(1))
