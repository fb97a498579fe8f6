/**
 * Notices that the client is gone. Never ends the process itself: that would abort it when a forward pass is under way.
 */
import type { InitializeParams, WatchDog } from 'vscode-languageserver'

const everyMs = 3000

/** The library's hooks; `stop` ends the watch. */
export interface ClientWatch extends WatchDog {
  stop(): void
}

/** @param gone called, perhaps more than once, with what was noticed. */
export function createWatchDog(gone: (how: string) => void, pollMs = everyMs): ClientWatch {
  let timer: NodeJS.Timeout | undefined
  return {
    shutdownReceived: false,
    initialize({ processId }: InitializeParams) {
      if (timer || typeof processId !== 'number' || processId <= 0) return
      timer = setInterval(() => {
        if (!isAlive(processId)) gone(`the client's process ${processId} is gone`)
      }, pollMs)
      timer.unref()
    },
    exit() {
      gone('the client said exit')
    },
    stop() {
      clearInterval(timer)
    },
  }
}

function isAlive(processId: number): boolean {
  try {
    process.kill(processId, 0)
    return true
  } catch (error) {
    // EPERM: alive, but another user's.
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}
