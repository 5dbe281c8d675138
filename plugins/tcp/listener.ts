/**
 * One bound address of a server, and the connections that came there.
 *
 * Invariant: never more connections than `max_connections`, those that are about to go included; one
 * that is too many costs nobody else anything.
 */

import { Acceptor, listen, type Listening, type Place } from "../../lib/http/mod.ts";
import { type Home, TcpConnection } from "./connection.ts";

/** What a listener needs of its server. */
export interface ListenerHome extends Home {
  opened(connection: TcpConnection): void;
}

/** See the file's comment. */
export class TcpListener implements Listening {
  readonly address: Listening["address"];
  readonly #home: ListenerHome;
  readonly #acceptor: Acceptor<TcpConnection>;

  /** @throws what binding throws */
  constructor(place: Place, home: ListenerHome) {
    const bound = listen(place, []);
    this.address = bound.address;
    this.#home = home;
    this.#acceptor = new Acceptor<TcpConnection>(bound, "tcp", home);
    this.#acceptor.accept(this.#welcome);
  }

  /** Connections open now. */
  get connections(): number {
    return this.#acceptor.connections.size;
  }

  drain(ms: number): Promise<{ cut: number }> {
    return this.#acceptor.drain(ms, (connection) => connection.cut());
  }

  cut(): void {
    this.#acceptor.cut();
  }

  readonly #welcome = (conn: Deno.Conn): TcpConnection | undefined => {
    const connection = new TcpConnection(conn, this.#home, this.#acceptor);
    const { max_connections } = this.#home.settings();
    if (max_connections > 0 && this.connections >= max_connections) {
      connection.refuse("limit");
      return undefined;
    }
    this.#home.opened(connection);
    return connection;
  };
}
