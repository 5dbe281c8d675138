/**
 * The address of the RPC server: a TCP port, or a Unix socket that only the workers' user may use.
 *
 * Invariant: a listener holds its address from the moment it is there until close(), and takes
 * nothing with it that another put at its path since.
 */

import type { Clock } from "../core/clock.ts";
import { Failure } from "../core/failure.ts";
import { reasonOf } from "../os/reason.ts";
import { placeSocket, socketAnswers, type SocketWords } from "../os/socket_file.ts";
import type { DoorOwner } from "./doors.ts";

/** Who may call: the owner of the socket. */
const MODE = 0o600;

const WORDS: SocketWords = {
  name: "RPC socket",
  elsewhere: "set rpc.listen to another place",
  otherRights: "remove server.user, or run the daemon as root",
};

/** A bound address. */
export interface RpcListener {
  /** As clients use it, with the real port when 0 was asked for. */
  readonly dsn: string;
  /** The next client. @throws when the system refuses, or after close() */
  accept(): Promise<Deno.Conn>;
  /** Makes a Unix socket another user's; nothing on a port. @throws Failure */
  give(owner: DoorOwner | undefined): void;
  close(): void;
}

/**
 * Binds an address: `tcp://host:port` or `unix://path`.
 *
 * @param owner of a Unix socket; undefined: the daemon's user
 * @throws Failure when it cannot be bound, or another listens there
 */
export async function listenForRpc(
  dsn: string,
  owner: DoorOwner | undefined,
  clock: Clock,
): Promise<RpcListener> {
  if (dsn.startsWith("unix://")) return await onPath(dsn.slice(7), owner, clock);
  const [, host, port] = /^tcp:\/\/(.*):(\d+)$/.exec(dsn) ?? [];
  if (host !== undefined) return onPort(host.replace(/^\[|\]$/g, ""), Number(port), dsn);
  throw new Failure(`cannot listen for RPC on "${dsn}": that is no address`, {
    fix: "set rpc.listen to tcp://127.0.0.1:6001, or to unix:///run/app/rpc.sock",
  });
}

async function onPath(
  path: string,
  owner: DoorOwner | undefined,
  clock: Clock,
): Promise<RpcListener> {
  if (await socketAnswers(path, WORDS, clock)) {
    const message = `cannot open the RPC socket "${path}": another program answers there`;
    throw new Failure(message, { fix: `stop that program, or ${WORDS.elsewhere}` });
  }
  const place = { path, mode: MODE, owner: owner?.uid, group: owner?.gid };
  const listen = (path: string) => Deno.listen({ transport: "unix", path });
  const socket = placeSocket(place, WORDS, listen, (listener) => listener.close());
  return {
    dsn: `unix://${path}`,
    accept: () => socket.bound.accept(),
    give: (owner) => give(path, owner),
    close() {
      socket.unlink();
      socket.bound.close();
    },
  };
}

function give(path: string, owner: DoorOwner | undefined): void {
  try {
    Deno.chownSync(path, owner?.uid ?? Deno.uid(), owner?.gid ?? Deno.gid());
  } catch (error) {
    throw new Failure(`cannot change the owner of the RPC socket "${path}": ${reasonOf(error)}`, {
      fix: WORDS.otherRights,
      cause: error,
    });
  }
}

function onPort(hostname: string, port: number, dsn: string): RpcListener {
  try {
    // An empty host is every interface, as in Go.
    const listener = Deno.listen({ hostname: hostname || "0.0.0.0", port });
    return {
      dsn: port === 0 ? dsn.replace(/0$/, String(listener.addr.port)) : dsn,
      accept: () => listener.accept(),
      give: () => {},
      close: () => listener.close(),
    };
  } catch (error) {
    throw new Failure(`cannot listen for RPC on "${dsn}": ${reasonOf(error)}`, {
      fix: "set rpc.listen to a free address of this machine",
      cause: error,
    });
  }
}
