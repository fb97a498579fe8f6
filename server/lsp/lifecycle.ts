/** Between `initialize` and `shutdown`: whether requests are taken, and what is answered when they are not. */
import { ErrorCodes, ResponseError } from 'vscode-languageserver'

export class Lifecycle {
  private state: 'new' | 'ready' | 'shutdown' = 'new'

  get isReady(): boolean {
    return this.state === 'ready'
  }

  /** Why `initialize` makes no sense, a second time. */
  initializeRefusal(): ResponseError<never> | undefined {
    if (this.state === 'new') return undefined
    return new ResponseError(ErrorCodes.InvalidRequest, 'the server is initialized already')
  }

  /** Once `initialize` has succeeded: one that fails may be tried again. */
  begin(): void {
    this.state = 'ready'
  }

  end(): void {
    this.state = 'shutdown'
  }

  /** Of all other requests. */
  refusal(): ResponseError<void> | undefined {
    switch (this.state) {
      case 'new':
        return new ResponseError(ErrorCodes.ServerNotInitialized, 'wanted initialize first')
      case 'ready':
        return undefined
      case 'shutdown':
        return new ResponseError(ErrorCodes.InvalidRequest, 'the server is shutting down')
    }
  }
}
