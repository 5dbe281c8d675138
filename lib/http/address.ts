/**
 * An address where HTTP is spoken: a stable address whose listeners are fronts.
 *
 * Invariant: that of stable_address.ts.
 */

import type { Handler } from "./exchange.ts";
import type { Front, FrontKind, FrontOptions } from "./front.ts";
import { openFront } from "./open.ts";
import { type Binding, StableAddress } from "./stable_address.ts";

/** A front to open. */
export interface Opening extends Binding {
  kind: FrontKind;
  options: FrontOptions;
  /** Makes its handler; `inUse` tells whether the front is by now the one in use. */
  handler(inUse: () => boolean): Handler;
}

/** See the file's comment. */
export class ListeningAddress extends StableAddress<Front> {
  /** The front in use. */
  get front(): Front | undefined {
    return this.used;
  }

  /** The fronts that still have clients: the one in use and those on their way out. */
  get fronts(): readonly Front[] {
    return this.all;
  }

  /**
   * Binds a front, which is not in use yet; cut() lets it go again.
   * @throws Failure naming the address and what is in the way
   */
  open({ kind, options, handler, ...binding }: Opening): Front {
    const { system: { clock }, emit } = this.host;
    return this.bind(
      binding,
      (place, inUse) => openFront(kind, place, handler(inUse), options, { clock, emit }),
    );
  }
}
