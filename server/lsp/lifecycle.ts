/** Between `initialize` and `shutdown`: whether requests are taken, and what is answered when they are not. */
import { ErrorCodes, ResponseError } from 'vscode-languageserver'

export class Lifecycle {
  private state: 'new' | 'ready' | 'shutdown' = 'new'

  get isReady(): boolean {
    return this.state === 'ready'
  }

  /** At `initialize`. @returns why it makes no sense a second time. */
  begin(): ResponseError<never> | undefined {
    if (this.state !== 'new') return new ResponseError(ErrorCodes.InvalidRequest, 'the server is initialized already')
    this.state = 'ready'
    return undefined
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
