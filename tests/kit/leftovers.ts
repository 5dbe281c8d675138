/**
 * What is still running of a test.
 *
 * Every program started under the kit's daemon inherits a mark in its environment, and most work in
 * the scratch directory; whoever still does after the daemon is gone was left behind.
 *
 * Invariant: looks at the process table itself, never at what the program under test believes.
 */

/** Environment variable that marks everything belonging to one scratch directory. */
export const MARK = "SCRATCH_OF_TEST";

/** One process. */
export interface Leftover {
  pid: number;
  command: string;
}

/** All living (not zombie) processes that belong to `dir`, except ourselves. */
export function leftoversOf(dir: string): Leftover[] {
  const found: Leftover[] = [];
  for (const { name } of Deno.readDirSync("/proc")) {
    const pid = Number(name);
    if (!(pid > 0) || pid === Deno.pid) continue;
    try {
      const marked = Deno.readTextFileSync(`/proc/${pid}/environ`).split("\0")
        .includes(`${MARK}=${dir}`);
      if (!marked && !`${Deno.readLinkSync(`/proc/${pid}/cwd`)}/`.startsWith(`${dir}/`)) continue;
      const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
      if (stat.slice(stat.lastIndexOf(")") + 2).startsWith("Z")) continue;
      const command = Deno.readTextFileSync(`/proc/${pid}/cmdline`).replaceAll("\0", " ").trim();
      found.push({ pid, command });
    } catch {
      // It ended while we looked, or is not ours to read: in neither case left over from here.
    }
  }
  return found;
}

/** Kills them. */
export function killLeftovers(found: Leftover[]): void {
  for (const { pid } of found) {
    try {
      Deno.kill(pid, "SIGKILL");
    } catch {
      // Gone in the meantime.
    }
  }
}
