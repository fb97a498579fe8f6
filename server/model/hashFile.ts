/** Size and sha256 of a file, read in pieces. */
import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'

const pieceBytes = 4 * 1024 * 1024

export async function hashFile(path: string): Promise<{ bytes: number; sha256: string }> {
  const file = await open(path, 'r')
  try {
    const hash = createHash('sha256')
    const piece = new Uint8Array(pieceBytes)
    let bytes = 0
    for (;;) {
      const { bytesRead } = await file.read(piece, 0, pieceBytes, bytes)
      if (bytesRead === 0) return { bytes, sha256: hash.digest('hex') }
      hash.update(piece.subarray(0, bytesRead))
      bytes += bytesRead
    }
  } finally {
    await file.close()
  }
}
