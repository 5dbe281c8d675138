/**
 * Unix sockets as the kernel sees them: who is connected to one of ours, and whether anybody listens
 * at a path.
 *
 * Deno.serve shows a connection only once a whole request head has arrived; the kernel's table shows
 * the silent ones too. Source: proc(5), /proc/net/unix.
 *
 * Invariant: nothing here waits, and nothing stays behind.
 */

import { cString, errno, libc } from "./ffi.ts";

export const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o2000000;
const SOCK_NONBLOCK = 0o4000;
const ENOENT = 2;
const ECONNREFUSED = 111;

/** Room for a name in sockaddr_un. */
const SUN_PATH = 108;

/** Connected (SS_CONNECTED), in the column "St". */
const CONNECTED = "03";

/**
 * Inodes of the accepted connections of the socket that was bound as `path` (the name it was bound
 * to, whatever it is called now). Empty where the table cannot be read.
 */
export function connectionsOf(path: string): Set<string> {
  const inodes = new Set<string>();
  for (const row of readTable().split("\n")) {
    // Num: RefCount Protocol Flags Type St Inode Path
    const match = /^\S+ \S+ \S+ \S+ \S+ (\S+)\s+(\d+) (.*)$/.exec(row);
    if (match?.[1] === CONNECTED && match[3] === path) inodes.add(match[2]);
  }
  return inodes;
}

/**
 * Whether somebody listens at a path, asked by a connection that is given up at once. False: nothing
 * is there, or a socket that its owner left behind.
 */
export function listensAt(path: string): boolean {
  const address = unixAddress(path);
  if (address === undefined) return false;
  const c = libc();
  const fd = c.socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return false;
  const nobody = c.connect(fd, address, address.length) !== 0 &&
    [ENOENT, ECONNREFUSED].includes(errno());
  c.close(fd);
  return !nobody;
}

/** sockaddr_un of a path or, with `@` first, an abstract name; undefined when it is too long. */
export function unixAddress(name: string): Uint8Array<ArrayBuffer> | undefined {
  const path = cString(name);
  const abstract = name.startsWith("@");
  // An abstract name has no NUL at its end, only one in front.
  const length = abstract ? path.length - 1 : path.length;
  if (length > SUN_PATH) return undefined;
  const address = new Uint8Array(2 + length);
  new DataView(address.buffer).setUint16(0, AF_UNIX, true);
  address.set(path.subarray(0, length), 2);
  if (abstract) address[2] = 0;
  return address;
}

function readTable(): string {
  try {
    return Deno.readTextFileSync("/proc/self/net/unix");
  } catch {
    // A system without the table (a strict container): then there is nothing to see, which is said above.
    return "";
  }
}
