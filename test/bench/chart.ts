/** Curves as an SVG, without dependencies. Both axes run from 0 to 100. */

export interface Chart {
  readonly title: string
  readonly x: string
  readonly y: string
  /** By name; points `[x, y]`, x rising. */
  readonly curves: Readonly<Record<string, readonly (readonly [number, number])[]>>
}

const [width, height, left, bottom, right, top] = [640, 400, 56, 48, 16, 36] as const
const colours = ['#0b7285', '#e8590c', '#868e96', '#5f3dc4', '#2b8a3e']

export function chart({ title, x, y, curves }: Chart): string {
  const across = (value: number) => (left + (value / 100) * (width - left - right)).toFixed(1)
  const up = (value: number) => (height - bottom - (value / 100) * (height - bottom - top)).toFixed(1)
  const text = (at: string, words: string) => `<text ${at}>${escaped(words)}</text>`
  const parts: string[] = []
  for (const tick of [0, 20, 40, 60, 80, 100]) {
    parts.push(`<path d="M${left} ${up(tick)}H${width - right}" stroke="#dee2e6"/>`)
    parts.push(text(`x="${left - 8}" y="${up(tick)}" text-anchor="end" dominant-baseline="middle"`, String(tick)))
    parts.push(text(`x="${across(tick)}" y="${height - bottom + 18}" text-anchor="middle"`, String(tick)))
  }
  for (const [i, [name, points]] of Object.entries(curves).entries()) {
    const colour = colours[i % colours.length]!
    const path = points.map(([px, py], n) => `${n === 0 ? 'M' : 'L'}${across(px)} ${up(py)}`).join('')
    parts.push(`<path d="${path}" fill="none" stroke="${colour}" stroke-width="2"/>`)
    parts.push(text(`x="${width - right}" y="${top + 14 + 18 * i}" text-anchor="end" fill="${colour}"`, name))
  }
  parts.push(text(`x="${left}" y="20" font-weight="bold"`, title))
  parts.push(text(`x="${(left + width - right) / 2}" y="${height - 10}" text-anchor="middle"`, x))
  const middle = (top + height - bottom) / 2
  parts.push(text(`x="14" y="${middle}" text-anchor="middle" transform="rotate(-90 14 ${middle})"`, y))
  const head = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">`
  return `${head}\n<title>${escaped(title)}</title>\n<rect width="${width}" height="${height}" fill="#fff"/>\n${parts.join('\n')}\n</svg>\n`
}

function escaped(words: string): string {
  return words.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
