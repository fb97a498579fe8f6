/** Files that hold keys and passwords by their name alone. Pure; knows no disk. */

/** Of the file itself, in lower case. Keys of ssh have no extension, so `id_map.py` is code like any other. */
const names: readonly RegExp[] = [
  /^\.env/,
  /^\.(npmrc|yarnrc|netrc|pgpass|pypirc|git-credentials|htpasswd|dockercfg|vault-token)$/,
  /^_netrc$/,
  /^id_[^.]*(\.pub)?$/,
  /\.(pem|key|p12|pfx|p8|jks|keystore|kdbx|ppk|asc|gpg)$/,
]

/** Folders that hold little else. */
const folders: ReadonlySet<string> = new Set(['.ssh', '.gnupg', '.aws', '.kube', '.password-store'])

/**
 * @param segments the parts of a path, the file's name last.
 * @returns why, in a clause; undefined when the name says nothing.
 */
export function secretName(segments: readonly string[]): string | undefined {
  const name = segments.at(-1)?.toLowerCase() ?? ''
  if (names.some((pattern) => pattern.test(name))) return `${segments.at(-1)} is a name of files with secrets`
  const folder = segments.slice(0, -1).find((segment) => folders.has(segment.toLowerCase()))
  return folder === undefined ? undefined : `${folder} is a folder of secrets`
}
