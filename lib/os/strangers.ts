/**
 * Processes that are neither ours nor our children: looked at, signalled one by one, awaited.
 *
 * Every process that is to be stopped is held by a descriptor; only then its start time is compared,
 * so from that moment on neither a signal nor a wait can meet another one.
 *
 * | what happens                       | what is known                                        |
 * | ---------------------------------- | ---------------------------------------------------- |
 * | it ended before it was held        | gone                                                 |
 * | its number means another by now    | gone; the other one is never signalled               |
 * | the signal is not permitted        | denied, and it is not waited for                     |
 * | it ends                            | seen at once: one wait for all of them               |
 *
 * Invariant: signals nobody whose start time was not that of the row asked for.
 */

import type { Clock } from "../core/clock.ts";
import { closePidfd, openPidfd, pollPidfds, signalPidfd } from "./pidfd.ts";
import { argumentsOf, isAlive, ownerOf, readRow, readRows } from "./proc.ts";
import type { ProcRow } from "./system.ts";

const SIGNALS = { SIGTERM: 15, SIGKILL: 9, SIGCONT: 18 } as const;

/** A process as one looks for strangers: by its whole command line. */
export interface Stranger {
  pid: number;
  ppid: number;
  pgrp: number;
  session: number;
  /** Start time in clock ticks since boot. */
  start: string;
  /** The words it was started with, uncut. */
  argv: string[];
  /** User id; undefined: it went meanwhile. */
  uid: number | undefined;
}

/** What became of the signals. */
export interface Signalled {
  /** Those that still live. */
  left: Stranger[];
  /** Those of them that we may not signal. */
  denied: Stranger[];
}

/** What is asked of the system here; a test brings its own. */
export interface Strangers {
  readonly self: number;
  /** All live processes. @throws Failure when the table cannot be read */
  table(): Map<number, Stranger>;
  /** Signals all of them and waits up to `ms` milliseconds until they are gone. */
  end(those: readonly Stranger[], signal: "SIGTERM" | "SIGKILL", ms: number): Promise<Signalled>;
}

/** The strangers of this machine. */
export function strangers(clock: Clock): Strangers {
  return {
    self: Deno.pid,
    table() {
      const rows = [...readRows().values()].filter(isAlive);
      return new Map(rows.map((row) => [row.pid, strangerOf(row)]));
    },
    end: (those, signal, ms) => end(clock, those, signal, ms),
  };
}

function strangerOf({ pid, ppid, pgrp, session, start }: ProcRow): Stranger {
  return { pid, ppid, pgrp, session, start, argv: argumentsOf(pid) ?? [], uid: ownerOf(pid) };
}

async function end(
  clock: Clock,
  those: readonly Stranger[],
  signal: "SIGTERM" | "SIGKILL",
  ms: number,
): Promise<Signalled> {
  const held = new Map<number, Stranger>();
  const denied: Stranger[] = [];
  try {
    for (const stranger of those) {
      const fd = openPidfd(stranger.pid);
      if (fd === undefined) continue;
      held.set(fd, stranger);
      const now = readRow(stranger.pid);
      if (now === undefined || now.start !== stranger.start || !isAlive(now)) release(held, fd);
      else if (!signalPidfd(fd, SIGNALS[signal])) {
        release(held, fd);
        // Not gone and not signalled: another user's.
        if (lives(stranger)) denied.push(stranger);
      } else if (now.state === "T") signalPidfd(fd, SIGNALS.SIGCONT);
    }
    const until = clock.now() + ms;
    while (held.size > 0) {
      const rest = until - clock.now();
      if (rest <= 0) break;
      for (const fd of await pollPidfds([...held.keys()], rest)) release(held, fd);
    }
    return { left: [...held.values(), ...denied], denied };
  } finally {
    for (const fd of [...held.keys()]) release(held, fd);
  }
}

function release(held: Map<number, Stranger>, fd: number): void {
  held.delete(fd);
  closePidfd(fd);
}

function lives({ pid, start }: Stranger): boolean {
  const row = readRow(pid);
  return row !== undefined && row.start === start && isAlive(row);
}
