/**
 * Reading /proc: one process, all processes, command lines, environments.
 *
 * Invariant: names are data. A process may call itself `a) R 1 (b` or contain newlines; whatever it
 * does, it changes no field of its row and no other row. A process that ends while it is read reads
 * as absent, never as an error; and only what is absent reads so.
 */

import { Failure } from "../core/failure.ts";
import { libc } from "./ffi.ts";
import { codeOf, reasonOf } from "./reason.ts";
import type { ProcRow } from "./system.ts";

/** Bytes of a command line that are looked at; the rest is of no use to people. */
const COMMAND_BYTES = 4096;

/** Characters of a command line that are shown. */
const COMMAND_LENGTH = 200;

/** Bytes of an environment that are looked at. */
const ENVIRON_BYTES = 256 * 1024;

const SC_PAGESIZE = 30;

/** Why a file of a process cannot be read when the process is gone or not ours to see. */
const ABSENT: ReadonlySet<string> = new Set(["ENOENT", "ESRCH", "EACCES", "EPERM"]);

let pageSize = 0;

/** A row of the process table as this floor uses it. */
export type Rows = ReadonlyMap<number, ProcRow>;

/** True unless the process has ended (and only waits to be reaped). */
export function isAlive(row: ProcRow): boolean {
  return row.state !== "Z" && row.state !== "X" && row.state !== "x";
}

/**
 * One line of /proc/N/stat (proc(5)): `pid (comm) state ppid pgrp session …`. The name may contain
 * anything, but nothing after it contains a parenthesis.
 *
 * @returns undefined when the text is not such a line
 */
export function parseStat(text: string): ProcRow | undefined {
  const open = text.indexOf("(");
  const close = text.lastIndexOf(")");
  if (open < 1 || close < open) return undefined;
  const fields = text.slice(close + 2).split(" ");
  if (fields.length < 22) return undefined;
  const pid = Number(text.slice(0, open));
  const name = text.slice(open + 1, close);
  const threads = Number(fields[17]);
  pageSize ||= Number(libc().sysconf(SC_PAGESIZE));
  return {
    pid,
    ppid: Number(fields[1]),
    pgrp: Number(fields[2]),
    session: Number(fields[3]),
    // A zombie first thread with others beside it: the process lives on in those.
    state: fields[0] === "Z" && threads > 1 ? "S" : fields[0],
    start: fields[19],
    rss_bytes: Number(fields[21]) * pageSize,
    cpu_ticks: Number(fields[11]) + Number(fields[12]),
    get command() {
      return commandOf(pid) ?? `[${printable(name)}]`;
    },
  };
}

/** The row of one process now; undefined when there is none. @throws Failure, see readProc */
export function readRow(pid: number): ProcRow | undefined {
  const text = readProc(`/proc/${pid}/stat`);
  return text === undefined ? undefined : parseStat(text);
}

/** All processes we can see, by pid. About 7 ms for 500. @throws Failure, see readProc */
export function readRows(): Map<number, ProcRow> {
  const rows = new Map<number, ProcRow>();
  for (const pid of pids()) {
    const row = readRow(pid);
    if (row !== undefined) rows.set(pid, row);
  }
  return rows;
}

/** The numbers of all processes we can see. */
export function* pids(): Generator<number> {
  for (const { name } of Deno.readDirSync("/proc")) {
    const first = name.charCodeAt(0);
    if (first >= 0x30 && first <= 0x39) yield Number(name);
  }
}

/**
 * The command line of a process in one printable, shortened line; undefined when it has none (kernel
 * threads, zombies) or is gone.
 */
export function commandOf(pid: number): string | undefined {
  const bytes = readHead(`/proc/${pid}/cmdline`, COMMAND_BYTES);
  if (bytes === undefined || bytes.length === 0) return undefined;
  const words = new TextDecoder().decode(bytes).replace(/\0+$/, "").split("\0").join(" ");
  return printable(words);
}

/** The words a process was started with, uncut; undefined when it is gone. Empty: a kernel thread. */
export function argumentsOf(pid: number): string[] | undefined {
  const text = readProc(`/proc/${pid}/cmdline`);
  return text === undefined ? undefined : text.replace(/\0$/, "").split("\0");
}

/** The control groups of a process, as the kernel lists them; undefined when it is gone. */
export function cgroupOf(pid: number): string | undefined {
  return readProc(`/proc/${pid}/cgroup`);
}

/** The user id a process runs as; undefined when it is gone. */
export function ownerOf(pid: number): number | undefined {
  try {
    return Deno.statSync(`/proc/${pid}`).uid ?? undefined;
  } catch {
    return undefined; // it ended: whose it was does not matter any more
  }
}

/**
 * `NAME=value` pairs that a process was started with.
 *
 * @returns undefined when it is gone or we may not look; empty in the middle of exec, too (a program
 *   just spawned shows its arguments and environment a few microseconds later)
 */
export function environOf(pid: number): string[] | undefined {
  const bytes = readHead(`/proc/${pid}/environ`, ENVIRON_BYTES);
  if (bytes === undefined) return undefined;
  return new TextDecoder().decode(bytes).split("\0").filter((pair) => pair !== "");
}

/** The id of this boot. */
export function readBootId(): string {
  return Deno.readTextFileSync("/proc/sys/kernel/random/boot_id").trim();
}

/**
 * True on the first thread of the process, where the daemon lives: all children are its own then, for
 * nothing is ever started from other threads. Elsewhere (tests that run side by side in one process)
 * a child that we did not start may be a neighbour's.
 */
export function onMainThread(): boolean {
  return Deno.readLinkSync("/proc/thread-self") === `${Deno.pid}/task/${Deno.pid}`;
}

/**
 * Text of a file below /proc; undefined when the process is gone or hidden from us.
 *
 * @throws Failure when it cannot be read for another reason: "not readable just now" must never pass
 *   for "gone", or what runs would be started a second time
 */
export function readProc(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    const code = codeOf(error);
    if (code !== undefined && ABSENT.has(code)) return undefined;
    throw new Failure(`cannot read the process table ("${path}"): ${reasonOf(error)}`, {
      fix: code === "EMFILE" ? "Raise the limit of open files (LimitNOFILE)." : undefined,
      cause: error,
    });
  }
}

function readHead(path: string, limit: number): Uint8Array | undefined {
  try {
    using file = Deno.openSync(path, { read: true });
    const bytes = new Uint8Array(limit);
    let length = 0;
    while (length < limit) {
      const got = file.readSync(bytes.subarray(length));
      if (got === null) break;
      length += got;
    }
    return bytes.subarray(0, length);
  } catch {
    return undefined; // gone, hidden or not readable just now: shown as unknown, nothing hangs on it
  }
}

function printable(text: string): string {
  // deno-lint-ignore no-control-regex
  const line = text.slice(0, COMMAND_LENGTH + 1).replace(/[\x00-\x1f\x7f-\x9f]+/g, " ").trim();
  return line.length > COMMAND_LENGTH ? `${line.slice(0, COMMAND_LENGTH - 1)}…` : line;
}
