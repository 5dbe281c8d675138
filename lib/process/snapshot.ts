/**
 * Status of one process, put together from what the process knows and one look at its group.
 *
 * Invariant: a pure read; absent facts are left out, not null (but `exit`, which is null until a run
 * ended).
 */

import { CPU_TICK, type ProcRow } from "../os/system.ts";
import type { Chronicle } from "./chronicle.ts";
import { residentBytes } from "./memory.ts";
import type { Run } from "./run.ts";
import type { OutputLine, ProcessSnapshot, ProcessSpec, ProcessState } from "./types.ts";

/** What a process knows of itself. */
export interface Facts {
  spec: ProcessSpec;
  state: ProcessState;
  healthy: boolean;
  /** The run that is on, or whose group is not gone yet. */
  run: Run | undefined;
  past: Chronicle;
  nextStartAt: string | undefined;
  logs: OutputLine[];
}

/** @param members living members of its group, empty when nothing runs */
export function snapshotOf(facts: Facts, members: ProcRow[]): ProcessSnapshot {
  const { run, past } = facts;
  const { exit } = past;
  const spec = run?.spec ?? facts.spec;
  const alive = run?.alive ? run : undefined;
  return {
    id: spec.instance,
    process_id: spec.id,
    state: facts.state,
    healthy: facts.healthy,
    command: spec.command,
    cwd: spec.cwd,
    ...(alive && { pid: alive.id.pid, started_at: alive.startedAt, uptime_ms: alive.upMs }),
    ...(spec.port !== undefined && { port: spec.port }),
    restarts: past.restarts,
    memory_restarts: past.memoryRestarts,
    ...(past.lastMemoryRestartAt && { last_memory_restart_at: past.lastMemoryRestartAt }),
    ...(past.lastStartReason && { last_start_reason: past.lastStartReason }),
    ...(members.length > 0 && { rss_bytes: residentBytes(members), cpu_ms: cpuTime(members) }),
    children: members
      .map(({ pid, command, rss_bytes }) => ({ pid, command, rss_bytes }))
      .sort((a, b) => a.pid - b.pid),
    exit,
    ...(exit && !alive && { exit_code: exit.code, exit_signal: exit.signal }),
    ...(past.reason !== undefined && { reason: past.reason }),
    ...(past.portTaken && { port_taken: true as const }),
    ...(facts.nextStartAt !== undefined && { next_start_at: facts.nextStartAt }),
    logs: facts.logs,
  };
}

function cpuTime(members: ProcRow[]): number {
  return members.reduce((sum, { cpu_ticks }) => sum + cpu_ticks, 0) * CPU_TICK;
}
