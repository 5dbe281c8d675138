/**
 * Which processes are ours, on disk, so that the next daemon knows them when this one dies.
 *
 * Written in the same turn as the spawn (temp file and rename, no fsync: a machine that loses power
 * loses the processes too), so that a daemon killed at any moment leaves at most an entry too many
 * and never a process too few.
 *
 * Invariant: an entry is removed only after the whole group of its process is gone.
 */

import type { Policy } from "../config/config.ts";
import { messageOf } from "../core/failure.ts";
import { readTextIfAny } from "../os/files.ts";
import type { PidIdentity } from "../os/system.ts";
import type { Emit } from "../telemetry/events.ts";

/** One process of ours. */
export interface PidEntry {
  /** Instance id, `web#0`. */
  instance: string;
  /** Configured id, `web`. */
  id: string;
  policy: Policy;
  release: string | null;
  pid: number;
  /** Start time in clock ticks since boot. */
  start: string;
  boot_id: string;
  port?: number;
  /** The port is the only one the process may have: a successor cannot start beside it. */
  fixed_port?: boolean;
  /** What the environment of its whole group carries, see {@linkcode PidIdentity}. */
  mark?: string;
}

interface BookFile {
  format: 1;
  processes: PidEntry[];
}

/** The book of one daemon. */
export class PidBook {
  readonly #entries = new Map<string, PidEntry>();

  /** @param file where it is kept */
  constructor(readonly file: string, readonly emit: Emit) {}

  /**
   * What the daemon before this one wrote; nothing when there is no usable file.
   * @param emit told when there is a file that is not usable
   * @throws Failure when the file is there but cannot be read: starting beside programs that nobody
   *   knows of would be worse than not starting.
   */
  static read(file: string, emit?: Emit): PidEntry[] {
    const text = readTextIfAny(file);
    if (text === undefined) return [];
    const entries = parse(text);
    if (entries === undefined) {
      const reason = "not a process file of this program; what an earlier daemon left is not known";
      emit?.("state_unusable", { file, reason });
    }
    return entries ?? [];
  }

  /** Adds a process. Call it in the turn of the spawn. */
  put(entry: PidEntry): void {
    this.putAll([entry]);
  }

  /** Adds several in one write, so that none of them is ever missing in the file. */
  putAll(entries: readonly PidEntry[]): void {
    for (const entry of entries) this.#entries.set(keyOf(entry), entry);
    this.#write();
  }

  /** Takes a process out, once its group is gone. */
  remove(id: PidIdentity): void {
    if (this.#entries.delete(keyOf(id))) this.#write();
  }

  /** All entries. */
  list(): PidEntry[] {
    return [...this.#entries.values()];
  }

  #write(): void {
    const content: BookFile = { format: 1, processes: this.list() };
    const temporary = `${this.file}.new`;
    try {
      Deno.writeTextFileSync(temporary, JSON.stringify(content), { mode: 0o600 });
      Deno.renameSync(temporary, this.file);
    } catch (error) {
      // The processes run all the same; what is lost is only the next daemon's knowledge of them.
      this.emit("state_write_failed", { file: this.file, error: messageOf(error) });
    }
  }
}

function keyOf(id: { pid: number; start: string }): string {
  return `${id.pid}:${id.start}`;
}

/** A file that is not ours or broken names no process: nothing may be signalled on its word. */
function parse(text: string): PidEntry[] | undefined {
  let content: Partial<BookFile>;
  try {
    content = JSON.parse(text);
  } catch {
    return undefined; // Half a file cannot come from us (rename), so it holds nothing to act on.
  }
  if (content?.format !== 1 || !Array.isArray(content.processes)) return undefined;
  return content.processes.filter((entry) =>
    Number.isInteger(entry?.pid) && entry.pid > 1 && typeof entry.start === "string" &&
    typeof entry.boot_id === "string" && typeof entry.id === "string" &&
    typeof entry.instance === "string" && ["string", "undefined"].includes(typeof entry.mark)
  );
}
