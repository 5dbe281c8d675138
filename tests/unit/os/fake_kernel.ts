/** A process table made of objects: what the group code does at the moments real processes cannot be caught in. */

import { Failure } from "../../../lib/core/failure.ts";
import type { Kernel } from "../../../lib/os/groups.ts";
import type { Rows } from "../../../lib/os/proc.ts";
import type { ProcRow } from "../../../lib/os/system.ts";

/** Our own pid, group and session in the fake. */
export const US = 10;

/** A row with what matters; a session leader by default. */
export function row(pid: number, more: Partial<ProcRow> = {}): ProcRow {
  const session = more.session ?? pid;
  return {
    pid,
    ppid: US,
    pgrp: session,
    session,
    state: "S",
    start: `${pid}00`,
    command: `p${pid}`,
    rss_bytes: 0,
    cpu_ticks: 0,
    ...more,
  };
}

/** Answers from a table that the test changes, also in the middle of a scan. */
export class FakeKernel implements Kernel {
  readonly us = US;
  readonly alone = true;
  readonly table = new Map<number, ProcRow>();
  readonly environments = new Map<number, string[]>();
  /** The table cannot be read: no descriptors left. */
  failing = false;
  /** What was sent, `-12 SIGTERM`. */
  readonly sent: string[] = [];
  /** Pids looked at one by one. */
  looks = 0;
  scans = 0;
  /** Runs after the list of pids was taken and before the rows are read. */
  duringScan: (() => void) | undefined;
  /** Runs when something is signalled. */
  onKill: (pid: number, signal: string) => void = () => {};

  constructor(...rows: ProcRow[]) {
    this.put(row(US, { ppid: 1 }), ...rows);
  }

  put(...rows: ProcRow[]): void {
    for (const one of rows) this.table.set(one.pid, one);
  }

  end(...pids: number[]): void {
    for (const pid of pids) this.table.delete(pid);
  }

  readRows = (): Rows => {
    this.scans++;
    if (this.failing) throw new Failure("cannot read the process table");
    const pids = [...this.table.keys()];
    const during = this.duringScan;
    this.duringScan = undefined;
    during?.();
    return new Map(pids.flatMap((pid) => {
      const one = this.table.get(pid);
      return one === undefined ? [] : [[pid, { ...one }]];
    }));
  };

  readRow = (pid: number): ProcRow | undefined => {
    this.looks++;
    if (this.failing) throw new Failure("cannot read the process table");
    const one = this.table.get(pid);
    return one && { ...one };
  };

  environ = (pid: number): string[] | undefined => this.environments.get(pid);

  kill = (pid: number, signal: Deno.Signal): void => {
    const reached = [...this.table.values()].some((one) =>
      pid < 0 ? one.pgrp === -pid : one.pid === pid
    );
    if (!reached) throw new Deno.errors.NotFound("No such process (os error 3)");
    this.sent.push(`${pid} ${signal}`);
    this.onKill(pid, signal);
  };
}
