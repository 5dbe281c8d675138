/**
 * One of `tcp.servers`: its address, over reloads.
 *
 * Invariant: the address is bound exactly while the section names it; certificate and key are those that
 * stood in their files when it was bound. What was bound keeps its settings from the moment on when
 * another address takes its place.
 */

import type { TcpServerConfig } from "../../lib/config/roadrunner/tcp.ts";
import { type AddressHost, readTlsPair, StableAddress } from "../../lib/http/mod.ts";
import type { Rebinding } from "../../lib/release/intake.ts";
import { type ListenerHome, TcpListener } from "./listener.ts";

/** What a server needs of its intake. */
export type ServerHost = AddressHost & Omit<ListenerHome, "name" | "settings">;

/** See the file's comment. */
export class TcpServer {
  readonly address: StableAddress<TcpListener>;
  readonly #name: string;
  readonly #host: ServerHost;
  /** In force; undefined: the section does not name it. */
  settings: TcpServerConfig | undefined;

  constructor(name: string, host: ServerHost) {
    this.#name = name;
    this.#host = host;
    this.address = new StableAddress(`tcp.${name}`, host);
  }

  /** Connections open now, those of addresses on their way out included. */
  get connections(): number {
    return this.address.all.reduce((sum, one) => sum + one.connections, 0);
  }

  /**
   * Binds the address of `next` if it differs from the one in use.
   *
   * @param budget for the connections of the one before, milliseconds
   * @throws Failure when it cannot be bound
   */
  rebind(next: TcpServerConfig | undefined, budget: number): Rebinding | undefined {
    const old = this.settings;
    if (JSON.stringify(old?.addr) === JSON.stringify(next?.addr)) return undefined;
    const listener = next && this.#open(next);
    return {
      commit: () => {
        this.settings = next;
        this.address.use(listener, budget);
      },
      undo: () => listener?.cut(),
    };
  }

  #open(own: TcpServerConfig): TcpListener {
    const name = this.#name;
    const field = `tcp.servers.${name}`;
    const { addr: where, tls } = own;
    const pair = tls && readTlsPair(tls, `${field}.tls`);
    return this.address.bind({ where, field: `${field}.addr`, tls: pair }, (place, inUse) => {
      const settings = () => {
        if (inUse()) own = this.settings ?? own;
        return own;
      };
      return new TcpListener(place, { ...this.#host, name, settings });
    });
  }
}
