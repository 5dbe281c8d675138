/**
 * The RPC server for PHP clients: the tables of the services behind an address.
 *
 * There is no authentication in the protocol: who may connect may call. Idle clients stay as long as
 * they like; one that breaks the protocol or does not read loses its connection, and nothing else
 * happens.
 *
 * | call                   | effect                                                             |
 * | ---------------------- | ------------------------------------------------------------------ |
 * | rebind                 | the new address is served too; the old one as well                 |
 * | … then commit          | the old address is given up; who came by it stays                  |
 * | … or undo              | the new address is given up, and the connections that came by it   |
 * | close(ms)              | no more clients or requests; what is in flight gets `ms`, then cut |
 *
 * Invariant: there is always an address that is served, from openRpc to close().
 */

import { acceptAll } from "../core/accept.ts";
import { type Clock, within } from "../core/clock.ts";
import { messageOf } from "../core/failure.ts";
import type { Emit } from "../telemetry/events.ts";
import type { DoorOwner } from "./doors.ts";
import { type AddressWords, listenAt, type Listener } from "./listen.ts";
import { RpcConnection, type RpcLimits } from "./rpc_connection.ts";
import { RpcDispatch } from "./rpc_dispatch.ts";
import type { RpcTable } from "./rpc.ts";

/** What a server and each of its connections may take up. */
export interface RpcServerLimits extends RpcLimits {
  connections: number;
}

export const RPC_LIMITS: RpcServerLimits = {
  connections: 1024,
  frame: 64 << 20,
  calls: 256,
  bytes: 64 << 20,
  answers: 8 << 20,
  send: 60_000,
};

const WORDS: AddressWords = {
  what: "RPC",
  socket: "RPC socket",
  setting: "rpc.listen",
  forms: "tcp://127.0.0.1:6001, or to unix:///run/app/rpc.sock",
};

/** What the server needs. */
export interface RpcOptions {
  /** `tcp://127.0.0.1:6001` or `unix:///run/app/rpc.sock` */
  listen: string;
  /** Whose a Unix socket is; undefined: the daemon's user's. */
  owner: DoorOwner | undefined;
  table: RpcTable;
  emit: Emit;
  clock: Clock;
  limits?: Partial<RpcServerLimits>;
}

/** An address that is served besides the one in use. */
export interface RpcRebinding {
  /** The one that commit() makes the one in use. */
  readonly address: string;
  /** Gives the old address up. Synchronous. */
  commit(): void;
  /** Gives the new address up. */
  undo(): void;
}

/** Opens the server. @throws Failure when the address cannot be bound */
export async function openRpc(options: RpcOptions): Promise<RpcServer> {
  const { listen, owner, clock } = options;
  return new RpcServer(options, await listenAt(listen, owner, clock, WORDS));
}

/** An address with the connections that came by it. */
interface Entrance {
  readonly listener: Listener;
  /** What was asked for. */
  readonly listen: string;
  readonly connections: Set<RpcConnection>;
  open: boolean;
}

/** The open server. */
export class RpcServer implements AsyncDisposable {
  readonly #options: RpcOptions;
  readonly #limits: RpcServerLimits;
  readonly #dispatch: RpcDispatch;
  /** Those that are open or have connections. */
  readonly #entrances = new Set<Entrance>();
  #current: Entrance;
  #owner: DoorOwner | undefined;
  /** Said that there are too many connections; said again once there was room in between. */
  #full = false;
  /** Resolved whenever a connection ends. */
  #changed = Promise.withResolvers<void>();
  #closed: Promise<void> | undefined;

  /** Use openRpc. */
  constructor(options: RpcOptions, listener: Listener) {
    this.#options = options;
    this.#limits = { ...RPC_LIMITS, ...options.limits };
    this.#dispatch = new RpcDispatch(options.table, options.emit);
    this.#owner = options.owner;
    this.#current = this.#enter(listener, options.listen);
  }

  /** The address in use, as RR_RPC gets it. */
  get address(): string {
    return this.#current.listener.dsn;
  }

  /** Connections now. */
  get connections(): number {
    return this.#connections().length;
  }

  /**
   * Serves another address as well, or the same one to another owner; undefined: nothing changes
   * (or the server is closed by now).
   * @throws Failure when it cannot be bound
   */
  async rebind(listen: string, owner: DoorOwner | undefined): Promise<RpcRebinding | undefined> {
    const old = this.#current;
    if (listen === old.listen) return this.#give(owner);
    const listener = await listenAt(listen, owner, this.#options.clock, WORDS);
    if (this.#closed !== undefined) {
      listener.close();
      return undefined;
    }
    const next = this.#enter(listener, listen);
    return {
      address: listener.dsn,
      commit: () => {
        this.#current = next;
        this.#owner = owner;
        this.#leave(old);
      },
      undo: () => {
        this.#leave(next);
        for (const connection of next.connections) connection.cut();
      },
    };
  }

  /** Ends: what is in flight is answered within `ms` milliseconds, else cut. */
  close(ms: number): Promise<void> {
    this.#closed ??= this.#close(ms);
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close(0);
  }

  #give(owner: DoorOwner | undefined): RpcRebinding | undefined {
    const before = this.#owner;
    if (owner?.uid === before?.uid && owner?.gid === before?.gid) return undefined;
    const { listener } = this.#current;
    listener.give(owner);
    return {
      address: listener.dsn,
      commit: () => void (this.#owner = owner),
      undo: () => this.#attempt("give back", () => listener.give(before)),
    };
  }

  /** What cannot be helped is told. */
  #attempt(what: string, act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#options.emit("internal_error", { where: `rpc ${what}`, error: messageOf(error) });
    }
  }

  async #close(ms: number): Promise<void> {
    for (const entrance of this.#entrances) this.#leave(entrance);
    for (const connection of this.#connections()) connection.finish();
    await within(this.#options.clock, ms, this.#empty());
    for (const connection of this.#connections()) connection.cut();
    await this.#empty();
  }

  async #empty(): Promise<void> {
    while (this.connections > 0) await this.#changed.promise;
  }

  #connections(): RpcConnection[] {
    return [...this.#entrances].flatMap(({ connections }) => [...connections]);
  }

  #enter(listener: Listener, listen: string): Entrance {
    const entrance: Entrance = { listener, listen, connections: new Set(), open: true };
    this.#entrances.add(entrance);
    this.#options.emit("listener_bound", { name: "rpc", address: listener.dsn });
    this.#accept(entrance);
    return entrance;
  }

  /** Gives an address up; its connections stay. */
  #leave(entrance: Entrance): void {
    if (!entrance.open) return;
    entrance.open = false;
    const { dsn } = entrance.listener;
    this.#attempt("close", () => entrance.listener.close());
    this.#forget(entrance);
    this.#options.emit("listener_closed", { name: "rpc", address: dsn });
  }

  #forget(entrance: Entrance): void {
    if (!entrance.open && entrance.connections.size === 0) this.#entrances.delete(entrance);
  }

  #accept(entrance: Entrance): Promise<void> {
    const { clock, emit } = this.#options;
    return acceptAll({
      clock,
      open: () => entrance.open,
      next: () => entrance.listener.accept(),
      take: (conn) => {
        if (entrance.open && this.#hasRoom()) this.#serve(conn, entrance);
        else conn.close();
      },
      failed: (error) => emit("internal_error", { where: "rpc accept", error: messageOf(error) }),
    });
  }

  #hasRoom(): boolean {
    const { connections } = this.#limits;
    const full = this.connections >= connections;
    if (full && !this.#full) {
      const reason = `there are ${connections} connections already`;
      this.#options.emit("rpc_connection_cut", { client: "new", reason });
    }
    this.#full = full;
    return !full;
  }

  async #serve(conn: Deno.Conn, entrance: Entrance): Promise<void> {
    const { clock, emit } = this.#options;
    const client = clientOf(conn);
    const connection = new RpcConnection(conn, this.#dispatch, clock, this.#limits);
    entrance.connections.add(connection);
    const reason = await connection.run();
    entrance.connections.delete(connection);
    this.#forget(entrance);
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
    if (reason !== undefined) emit("rpc_connection_cut", { client, reason });
  }
}

/** Who calls, for people: clients of a Unix socket have no address. */
function clientOf({ remoteAddr }: Deno.Conn): string {
  return remoteAddr.transport === "tcp" ? `${remoteAddr.hostname}:${remoteAddr.port}` : "unix";
}
