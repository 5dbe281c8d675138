/**
 * Connections of this very process that the runtime has no handle for any more.
 *
 * The runtime ends a connection only when what is being written was taken and, with TLS, its handshake
 * is done: a client that does not read, or is silent, holds the socket of a connection that was closed
 * long ago.
 * shutdown(2) on the descriptor ends that too.
 *
 * Invariant: synchronous from finding a descriptor to its shutdown, so it cannot be another's by then.
 */

import { libc } from "./ffi.ts";

const AF_INET = 2;
const AF_INET6 = 10;
const SHUT_RDWR = 2;
/** sizeof(struct sockaddr_storage) */
const STORAGE = 128;

/** A connection as its two ends name it. */
export interface Ends {
  localPort: number;
  remotePort: number;
  /** 16 bytes; IPv4 in its mapped form. */
  remote: Uint8Array;
}

/** Ends those of the given connections that this process still holds. @returns how many */
export function shutDown(connections: readonly Ends[]): number {
  const wanted = new Set(connections.map((ends) => keyOf(ends)));
  const c = libc();
  let ended = 0;
  for (const { name } of Deno.readDirSync("/proc/self/fd")) {
    const fd = Number(name);
    const remote = nameOf(c.getpeername, fd);
    if (remote === undefined) continue;
    const local = nameOf(c.getsockname, fd);
    if (local === undefined) continue;
    const key = keyOf({ localPort: local.port, remotePort: remote.port, remote: remote.address });
    if (wanted.has(key) && c.shutdown(fd, SHUT_RDWR) === 0) ended++;
  }
  return ended;
}

function keyOf({ localPort, remotePort, remote }: Ends): string {
  return `${localPort} ${remotePort} ${remote.join(".")}`;
}

/** One end of a TCP connection; undefined when the descriptor is something else. */
function nameOf(
  ask: (fd: number, address: Uint8Array<ArrayBuffer>, size: Uint8Array<ArrayBuffer>) => number,
  fd: number,
): { address: Uint8Array; port: number } | undefined {
  const bytes = new Uint8Array(STORAGE);
  const size = new Uint8Array(Uint32Array.of(STORAGE).buffer);
  if (ask(fd, bytes, size) !== 0) return undefined;
  const view = new DataView(bytes.buffer);
  const family = view.getUint16(0, true);
  const port = view.getUint16(2);
  if (family === AF_INET6) return { address: bytes.slice(8, 24), port };
  if (family !== AF_INET) return undefined;
  const address = new Uint8Array(16);
  address.fill(0xff, 10, 12);
  address.set(bytes.subarray(4, 8), 12);
  return { address, port };
}
