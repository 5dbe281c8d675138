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

/** Whether a process of the table, `/proc/<pid>`, is one that is looked for. */
type Belongs = (proc: string) => boolean;

/** Whether the process started with this in its environment. */
function hasVariable(proc: string, name: string, value: string): boolean {
  return Deno.readTextFileSync(`${proc}/environ`).split("\0").includes(`${name}=${value}`);
}

/** All living (not zombie) processes that belong to the scratch directory `dir`, except ourselves. */
export function leftoversOf(dir: string): Leftover[] {
  return living((proc) =>
    hasVariable(proc, MARK, dir) || `${Deno.readLinkSync(`${proc}/cwd`)}/`.startsWith(`${dir}/`)
  );
}

/** All living processes that were started with this in their environment, except ourselves. */
export function markedBy(name: string, value: string): Leftover[] {
  return living((proc) => hasVariable(proc, name, value));
}

function living(belongs: Belongs): Leftover[] {
  const found: Leftover[] = [];
  for (const { name } of Deno.readDirSync("/proc")) {
    const pid = Number(name);
    if (!(pid > 0) || pid === Deno.pid) continue;
    try {
      const proc = `/proc/${pid}`;
      if (!belongs(proc)) continue;
      const stat = Deno.readTextFileSync(`${proc}/stat`);
      if (stat.slice(stat.lastIndexOf(")") + 2).startsWith("Z")) continue;
      const command = Deno.readTextFileSync(`${proc}/cmdline`).replaceAll("\0", " ").trim();
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
