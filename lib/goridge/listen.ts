/**
 * An address that PHP connects to: a TCP port, or a Unix socket that only one user may use.
 *
 * Invariant: a listener holds its address from the moment it is there until close(), and takes nothing
 * with it that another put at its path since.
 */

import type { Clock } from "../core/clock.ts";
import { Failure } from "../core/failure.ts";
import { chown } from "../os/files.ts";
import { reasonOf } from "../os/reason.ts";
import { placeSocket, socketAnswers, type SocketWords } from "../os/socket_file.ts";
import type { DoorOwner } from "./doors.ts";

/** Who may connect: the owner of the socket. */
const MODE = 0o600;

const LAST_PORT = 65_535;

/** How failures name the address. */
export interface AddressWords {
  /** What it is for: `RPC`. */
  readonly what: string;
  /** What a Unix socket there is called: `RPC socket`. */
  readonly socket: string;
  /** The setting it comes from: `rpc.listen`. */
  readonly setting: string;
  /** Addresses that would do, in a sentence. */
  readonly forms: string;
}

/** A bound address. */
export interface Listener {
  /** As clients use it, with the real port when 0 was asked for. */
  readonly dsn: string;
  /** The next connection. @throws when the system refuses, or after close() */
  accept(): Promise<Deno.Conn>;
  /** Makes a Unix socket another user's; a port is nobody's. @throws Failure */
  give(owner: DoorOwner | undefined): void;
  close(): void;
}

/**
 * Binds an address: `tcp://host:port` or `unix:///path`.
 *
 * @param owner of a Unix socket; undefined: the daemon's user
 * @throws Failure when it cannot be bound, or another listens there
 */
export async function listenAt(
  dsn: string,
  owner: DoorOwner | undefined,
  clock: Clock,
  words: AddressWords,
): Promise<Listener> {
  if (dsn.startsWith("unix:///")) return await onPath(dsn.slice(7), owner, clock, words);
  const [, host, digits] = /^tcp:\/\/(.*):(\d{1,5})$/.exec(dsn) ?? [];
  const port = Number(digits);
  if (port <= LAST_PORT) return onPort(host.replace(/^\[(.*)\]$/, "$1"), port, dsn, words);
  throw new Failure(`cannot listen for ${words.what} on "${dsn}": that is no address`, {
    fix: `set ${words.setting} to ${words.forms}`,
  });
}

async function onPath(
  path: string,
  owner: DoorOwner | undefined,
  clock: Clock,
  { socket: name, setting }: AddressWords,
): Promise<Listener> {
  const words: SocketWords = {
    name,
    elsewhere: `set ${setting} to another place`,
    otherRights: "remove server.user, or run the daemon as root",
  };
  if (await socketAnswers(path, words, clock)) {
    const message = `cannot open the ${name} "${path}": another program answers there`;
    throw new Failure(message, { fix: `stop that program, or ${words.elsewhere}` });
  }
  const place = { path, mode: MODE, owner: owner?.uid, group: owner?.gid };
  const bind = (path: string) => Deno.listen({ transport: "unix", path });
  const socket = placeSocket(place, words, bind, (listener) => listener.close());
  return {
    dsn: `unix://${path}`,
    accept: () => socket.bound.accept(),
    give: (to) => chown(path, to?.uid ?? Deno.uid()!, to?.gid ?? Deno.gid()!),
    close() {
      socket.unlink();
      socket.bound.close();
    },
  };
}

function onPort(
  hostname: string,
  port: number,
  dsn: string,
  { what, setting }: AddressWords,
): Listener {
  try {
    // An empty host is every interface, as in Go.
    const listener = Deno.listen({ hostname: hostname || "0.0.0.0", port });
    return {
      dsn: dsn.replace(/\d+$/, String(listener.addr.port)),
      accept: async () => undelayed(await listener.accept()),
      give: () => {},
      close: () => listener.close(),
    };
  } catch (error) {
    throw new Failure(`cannot listen for ${what} on "${dsn}": ${reasonOf(error)}`, {
      fix: `set ${setting} to a free address of this machine`,
      cause: error,
    });
  }
}

/** Frames are written whole: waiting for more only delays them. */
function undelayed(conn: Deno.TcpConn): Deno.TcpConn {
  try {
    conn.setNoDelay(true);
  } catch {
    // The peer has already reset the connection: the first read will tell.
  }
  return conn;
}
