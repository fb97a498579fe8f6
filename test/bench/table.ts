/** Nested figures as lines that a person can read. */

/** One line for each object whose values are all plain, indented under its name; undefined is left out. */
export function table(figures: object, indent = ''): string {
  return Object.entries(figures)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => {
      if (!isNested(value)) return `${indent}${name.padEnd(Math.max(1, 36 - indent.length))} ${plain(value)}\n`
      return `${indent}${name}\n${table(value, `${indent}  `)}`
    })
    .join('')
}

function isNested(value: unknown): value is object {
  return isObject(value) && Object.values(value).some(isObject)
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function plain(value: unknown): string {
  if (!isObject(value)) return typeof value === 'string' ? value : JSON.stringify(value)
  return Object.entries(value)
    .map(([name, figure]) => `${name} ${plain(figure)}`)
    .join('  ')
}
