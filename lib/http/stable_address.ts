/**
 * An address that clients come to, over the life of a daemon, whatever is spoken there: one listener is
 * in use (or none), others may be on their way out.
 *
 * | a listener is | accepts | becomes                                              |
 * | ------------- | ------- | ---------------------------------------------------- |
 * | opened        | yes     | in use by use(); gone by its own cut()               |
 * | in use        | yes     | leaving when another is used, or none; or by drain() |
 * | leaving       | no      | gone when its last connection ended, or was cut      |
 *
 * Invariant: another address is bound before the one in use is let go; whatever was opened here and
 * used is told as bound and as closed once.
 */

import { Failure, messageOf } from "../core/failure.ts";
import type { System } from "../os/system.ts";
import type { Emit } from "../telemetry/events.ts";
import type { Place, TlsPair } from "./front.ts";

/** Where to listen: a TCP address, or the path of a Unix socket. */
export type Where = { host: string; port: number } | { path: string };

/** A place to bind. */
export interface Binding {
  where: Where;
  /** What it is called in the file, for errors: `proxy.address`. */
  field: string;
  tls?: TlsPair;
}

/** What listens at an address. */
export interface Listening {
  readonly address: { hostname: string; port: number; path?: string };
  /** Takes no more connections, finishes what there is within `ms`. @returns connections cut */
  drain(ms: number): Promise<{ cut: number }>;
  /** Ends everything now. */
  cut(): void;
}

/** What an address needs of the outside. */
export interface AddressHost {
  readonly system: Pick<System, "clock" | "listeners" | "row">;
  readonly emit: Emit;
}

/** See the file's comment. `name`: whose it is, for events. */
export class StableAddress<L extends Listening> {
  #used: L | undefined;
  readonly #leaving = new Set<L>();

  constructor(readonly name: string, readonly host: AddressHost) {}

  /** The listener in use. */
  get used(): L | undefined {
    return this.#used;
  }

  /** The listeners that still have clients: the one in use and those on their way out. */
  get all(): readonly L[] {
    const leaving = [...this.#leaving];
    return this.#used === undefined || this.#leaving.has(this.#used)
      ? leaving
      : [this.#used, ...leaving];
  }

  /** For people; "" when nothing is in use. */
  get printed(): string {
    return this.#used === undefined ? "" : printed(this.#used.address);
  }

  get state(): "open" | "draining" | "closed" {
    if (this.#used === undefined) return "closed";
    return this.#leaving.has(this.#used) ? "draining" : "open";
  }

  /**
   * Binds a listener, which is not in use yet; cut() lets it go again.
   *
   * @param open opens it at the place; `inUse` tells whether it is by now the one in use
   * @throws Failure naming the address and what is in the way
   */
  bind({ where, field, tls }: Binding, open: (place: Place, inUse: () => boolean) => L): L {
    try {
      const place = "path" in where ? where : { hostname: where.host, port: where.port, tls };
      const inUse = () => this.#used === listening;
      const listening: L = open(place, inUse);
      this.host.emit("listener_bound", { name: this.name, address: printed(listening.address) });
      return listening;
    } catch (error) {
      throw this.#cannotListen(where, field, error);
    }
  }

  /**
   * Makes `next` the one in use (undefined: none). Synchronous; the one before has `ms` milliseconds
   * for what it holds.
   */
  use(next: L | undefined, ms: number): void {
    const old = this.#used;
    this.#used = next;
    if (old !== undefined && old !== next) void this.#close(old, ms);
  }

  /** Takes no more connections, finishes what there is within `ms`. @returns connections cut */
  async drain(ms: number): Promise<{ cut: number }> {
    const drained = await Promise.all(this.all.map((one) => this.#close(one, ms)));
    return { cut: drained.reduce((sum, one) => sum + one.cut, 0) };
  }

  /** Ends every client connection now. */
  cut(): void {
    for (const one of this.all) one.cut();
  }

  async #close(one: L, ms: number): Promise<{ cut: number }> {
    const isFirst = !this.#leaving.has(one);
    this.#leaving.add(one);
    try {
      return await one.drain(ms);
    } finally {
      this.#leaving.delete(one);
      if (isFirst) {
        this.host.emit("listener_closed", { name: this.name, address: printed(one.address) });
      }
    }
  }

  #cannotListen(where: Where, field: string, error: unknown): Failure {
    if (error instanceof Failure) return error;
    const { system } = this.host;
    const address = "path" in where
      ? where.path
      : printed({ hostname: where.host, port: where.port });
    const problem = (what: string, fix: string) =>
      new Failure(`cannot listen on ${address} (${field}): ${what}`, { fix, cause: error });
    if (error instanceof Deno.errors.AddrInUse) {
      const pids = "path" in where ? [] : system.listeners(where.port).flatMap((one) => one.pids);
      const pid = pids.at(0);
      if (pid === Deno.pid) {
        return problem(
          "it overlaps the address this daemon listens on",
          "choose another port, or shut the daemon down and start it again",
        );
      }
      const holder = pid === undefined ? undefined : system.row(pid);
      const who = holder === undefined
        ? "another program"
        : `"${holder.command}" (pid ${holder.pid})`;
      return problem(
        `the address is in use by ${who}`,
        `stop that program, or choose another ${field}`,
      );
    }
    if (error instanceof Deno.errors.PermissionDenied) {
      return problem(
        "permission denied",
        "path" in where
          ? "use a directory that the daemon's user may write to"
          : "ports below 1024 need root or CAP_NET_BIND_SERVICE",
      );
    }
    if (error instanceof Deno.errors.AddrNotAvailable) {
      return problem(
        "this machine has no such address",
        "use an address of this machine, see `ip addr`",
      );
    }
    return problem(
      messageOf(error),
      "path" in where ? `check the path in ${field}` : `check the host name in ${field}`,
    );
  }
}

/** `127.0.0.1:8182`, `[::1]:8182`, `/run/app.sock`. */
export function printed(address: Listening["address"]): string {
  if (address.path !== undefined) return address.path;
  const host = address.hostname.includes(":") ? `[${address.hostname}]` : address.hostname;
  return `${host}:${address.port}`;
}
