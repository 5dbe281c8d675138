/**
 * The programs above a task: `deno task`, and npx with what it puts between.
 *
 * A signal to one of them often ends it alone and leaves the task running; whoever must not be left
 * behind looks after them.
 *
 * Invariant: only programs that exist to run this task count. The shell, editor or service above
 * them may end without ending the task.
 */

/** One running program. */
export interface Ancestor {
  pid: number;
  /** Start time in clock ticks since boot: with the pid it means this very process. */
  start: string;
}

/** Parent and start time of a process; undefined when there is none. */
function look(pid: number): { parent: number; start: string } | undefined {
  try {
    const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? undefined : { parent: Number(fields[1]), start: fields[19] };
  } catch {
    // It ended.
    return undefined;
  }
}

function argumentsOf(pid: number): string[] {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/cmdline`).split("\0");
  } catch {
    // It ended, or is not ours to read: then it is none of the programs we look for.
    return [];
  }
}

/** Whether this is `deno task …`, `npx deno …` or one of npx's own steps on the way to it. */
export function runsTasks(argv: string[]): boolean {
  const name = (argv[0] ?? "").split(/[/ ]/).findLast((part) => part !== "") ?? "";
  const rest = argv.slice(1).join(" ");
  if (/^(npm|npx)\b/.test(argv[0] ?? "")) return true;
  if (name === "deno") return rest.includes("task");
  if (name === "node") return /\b(npx|npm|deno)\b/.test(rest);
  return /^(sh|dash)$/.test(name) && /^-c ['"]?(npx|npm|deno)\b/.test(rest);
}

/** The programs above us that run this task, from the nearest on. */
export function ancestorsOfTask(): Ancestor[] {
  const found: Ancestor[] = [];
  for (let pid = Deno.ppid; pid > 1;) {
    const seen = look(pid);
    if (seen === undefined || !runsTasks(argumentsOf(pid))) break;
    found.push({ pid, start: seen.start });
    pid = seen.parent;
  }
  return found;
}

/** Whether this very process is still there. */
export function isAlive({ pid, start }: Ancestor): boolean {
  return look(pid)?.start === start;
}
