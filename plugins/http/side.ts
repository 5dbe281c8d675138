/**
 * One of the two addresses of the `http` section: plain, and TLS.
 *
 * Invariant: an address of the section is bound exactly while the section names it; the certificate is
 * the one that stood in its files when the address was bound.
 */

import type { HttpConfig } from "../../lib/config/roadrunner/http.ts";
import {
  type AddressHost,
  type Handler,
  ListeningAddress,
  readTlsPair,
  type TlsPair,
  type Where,
} from "../../lib/http/mod.ts";
import type { Rebinding } from "../../lib/release/intake.ts";
import { frontOptions } from "./front_options.ts";

/** A configuration and the handler made from it. */
export interface Served {
  readonly http: HttpConfig;
  readonly handler: Handler;
}

/** Where a side finds its address in the section. */
interface Place {
  where(http: HttpConfig): Where | undefined;
  field: string;
  tls?(http: HttpConfig): TlsPair;
}

const PLAIN: Place = { where: (http) => http.address, field: "http.address" };

const TLS: Place = {
  where: (http) => http.ssl?.address,
  field: "http.ssl.address",
  tls: (http) => readTlsPair(http.ssl!, "http.ssl"),
};

/** See the file's comment. */
export class Side {
  readonly address: ListeningAddress;
  readonly #place: Place;

  private constructor(name: string, host: AddressHost, place: Place) {
    this.address = new ListeningAddress(name, host);
    this.#place = place;
  }

  /** Both sides of the section. */
  static both(name: string, host: AddressHost): readonly Side[] {
    return [new Side(name, host, PLAIN), new Side(name, host, TLS)];
  }

  /**
   * Binds the address of `next` if it differs from the one of `old`.
   *
   * @param current what is in force when a request comes
   * @throws Failure when it cannot be bound
   */
  rebind(
    old: HttpConfig | undefined,
    next: Served | undefined,
    current: () => Served | undefined,
  ): Rebinding | undefined {
    const { where, field, tls } = this.#place;
    const place = next && where(next.http);
    if (printedWhere(place) === printedWhere(old && where(old))) return undefined;
    const front = next === undefined || place === undefined ? undefined : this.address.open({
      where: place,
      field,
      kind: "raw",
      tls: tls?.(next.http),
      options: frontOptions(next.http),
      // Until it is committed, what comes there is served by its own settings.
      handler: (inUse) => (exchange) => (inUse() ? current() ?? next : next).handler(exchange),
    });
    const budget = old?.drain_timeout ?? 0;
    return {
      commit: () => this.address.use(front, budget),
      undo: () => front?.cut(),
    };
  }
}

function printedWhere(where: Where | undefined): string {
  if (where === undefined) return "";
  return "path" in where ? where.path : `${where.host}:${where.port}`;
}
