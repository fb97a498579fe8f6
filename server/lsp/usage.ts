/**
 * What became of completions: shown, taken, taken in part, as clients tell under Copilot's names. Counted in memory for
 * whoever asks (`lacuna.debug`); never sent anywhere, and gone with the process. No text is kept, only lengths.
 */
import { type Command, NotificationType } from 'vscode-languageserver'

/** The item that was shown; known again by the argument of its command. */
export interface ShownParams {
  readonly item: { readonly command?: Command }
}

export interface PartlyAcceptedParams extends ShownParams {
  /** From the start of the item's text, all that was taken of it so far. */
  readonly acceptedLength: number // UTF-16 units
}

export const DidShowCompletion = new NotificationType<ShownParams>('textDocument/didShowCompletion')
export const DidPartiallyAcceptCompletion = new NotificationType<PartlyAcceptedParams>(
  'textDocument/didPartiallyAcceptCompletion',
)
/** Run by the client when an item was taken whole. Helix and eglot run no commands of items. */
export const didAcceptCommand = 'lacuna.didAcceptCompletion'

export interface UsageCounts {
  readonly offered: number
  readonly shown: number
  readonly accepted: number
  readonly partlyAccepted: number // and not taken whole until now
  readonly acceptedUnits: number // UTF-16
}

interface Offer {
  readonly units: number
  shown: boolean
  acceptedUnits: number
}

const maxOffers = 256 // remembered; what is told of older ones is not counted

export class Usage {
  private readonly offers = new Map<number, Offer>()
  private last = 0
  private readonly total = { offered: 0, shown: 0, accepted: 0, partlyAccepted: 0, acceptedUnits: 0 }

  get counts(): UsageCounts {
    return { ...this.total }
  }

  /** To be put on an item of so many UTF-16 units, for clients that run commands of items. */
  offer(units: number): Command {
    const id = ++this.last
    this.offers.set(id, { units, shown: false, acceptedUnits: 0 })
    this.offers.delete(id - maxOffers)
    this.total.offered++
    return { title: '', command: didAcceptCommand, arguments: [id] }
  }

  shown(params: ShownParams | undefined): void {
    const offer = this.offerOf(params)
    if (!offer || offer.shown) return
    offer.shown = true
    this.total.shown++
  }

  partlyAccepted(params: PartlyAcceptedParams | undefined): void {
    const offer = this.offerOf(params)
    const length = params?.acceptedLength
    if (!offer || !Number.isInteger(length)) return
    this.take(offer, Math.min(length!, offer.units))
  }

  /** @param id the argument of the command. */
  accepted(id: unknown): void {
    const offer = this.offers.get(id as number)
    if (offer) this.take(offer, offer.units)
  }

  /** Lengths are told anew each time, whole: what was told before is part of them. */
  private take(offer: Offer, units: number): void {
    const before = offer.acceptedUnits
    if (units <= before) return
    offer.acceptedUnits = units
    this.total.acceptedUnits += units - before
    const whole = units === offer.units
    if (whole) this.total.accepted++
    if (before === 0 && !whole) this.total.partlyAccepted++
    if (before > 0 && whole) this.total.partlyAccepted--
  }

  private offerOf(params: ShownParams | undefined): Offer | undefined {
    return this.offers.get(params?.item?.command?.arguments?.[0])
  }
}
