/**
 * Binding the place where clients come to.
 *
 * | place             | bound as                                     | when it stops listening        |
 * | ----------------- | -------------------------------------------- | ------------------------------ |
 * | a listener        | it is bound already                          | closed                         |
 * | TCP address       | itself                                       | closed                         |
 * | TCP address, TLS  | itself, with the ALPN names of the caller    | closed                         |
 * | Unix socket       | beside, mode 0666, then renamed into place   | name removed, closed           |
 *
 * A Unix socket is as open as a port of this machine: whoever may enter its directory may connect, so
 * a web server of another user needs no further right. Its directory is the place to restrict that.
 *
 * Invariant: a socket that somebody listens on is never replaced; one that was left behind is.
 */

import { Failure, messageOf } from "../core/failure.ts";
import { placeSocket, type SocketWords } from "../os/socket_file.ts";
import { listensAt } from "../os/unix_sockets.ts";
import type { Place, TlsPair } from "./front.ts";

/** Whoever reaches it may connect. */
const SOCKET_MODE = 0o666;

const WORDS: SocketWords = {
  name: "socket",
  elsewhere: "choose another path for the address",
  otherRights: "use a directory that the daemon's user owns",
};

/** A place that is bound. */
export interface BoundPlace {
  readonly listener: Deno.Listener;
  readonly address: { hostname: string; port: number; path?: string };
  /** Stops listening. Once. */
  close(): void;
}

/**
 * Binds a place.
 * @param alpn what may be spoken inside TLS, by name; none: it is not asked about
 * @throws Failure, or what `Deno.listen` throws when the address cannot be bound
 */
export function listen(place: Place, alpn: string[]): BoundPlace {
  if ("accept" in place) return bound(place);
  if ("path" in place) return onPath(place.path);
  const { hostname, port, tls } = place;
  if (tls === undefined) return bound(Deno.listen({ hostname, port }));
  return bound(listenTls(hostname, port, tls, alpn));
}

function bound(listener: Deno.Listener): BoundPlace {
  const { hostname, port } = listener.addr as Deno.NetAddr;
  return { listener, address: { hostname, port }, close: () => listener.close() };
}

function listenTls(
  hostname: string,
  port: number,
  tls: TlsPair,
  alpnProtocols: string[],
): Deno.Listener {
  try {
    return Deno.listenTls({ hostname, port, ...tls, alpnProtocols });
  } catch (error) {
    const why = messageOf(error);
    // A pair that does not fit has no error class of its own.
    const bad = error instanceof Deno.errors.InvalidData || why.includes("KeyMismatch");
    if (!bad) throw error;
    throw new Failure(`cannot serve TLS with this certificate and key: ${why}`, {
      fix: "the certificate is a chain in PEM, the server's own first; the key is the one it was " +
        "made for, in PEM and without a passphrase",
      cause: error,
    });
  }
}

function onPath(path: string): BoundPlace {
  refuseOccupied(path);
  const { bound: listener, unlink } = placeSocket(
    { path, mode: SOCKET_MODE },
    WORDS,
    (path) => Deno.listen({ transport: "unix", path }),
    (listener) => listener.close(),
  );
  return {
    listener,
    address: { hostname: "", port: 0, path },
    close() {
      try {
        unlink();
      } finally {
        listener.close();
      }
    },
  };
}

/** @throws Failure when what lies at the path must not be replaced */
function refuseOccupied(path: string): void {
  let isSocket: boolean | null;
  try {
    isSocket = Deno.lstatSync(path).isSocket;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw error;
  }
  const problem = isSocket
    ? listensAt(path) ? "another program listens there" : undefined
    : "something that is not a socket lies there";
  if (problem === undefined) return;
  throw new Failure(`cannot listen on "${path}": ${problem}`, {
    fix: `${isSocket ? "stop that program" : "move it away"}, or ${WORDS.elsewhere}`,
  });
}
