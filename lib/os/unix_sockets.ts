/**
 * Who is connected to a Unix socket of ours, as the kernel tells it.
 *
 * Deno.serve shows a connection only once a whole request head has arrived; the kernel's table shows
 * the silent ones too. Source: proc(5), /proc/net/unix.
 */

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

function readTable(): string {
  try {
    return Deno.readTextFileSync("/proc/self/net/unix");
  } catch {
    // A system without the table (a strict container): then there is nothing to see, which is said above.
    return "";
  }
}
