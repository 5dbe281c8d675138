/**
 * One lifecycle hook: a shell command with an end.
 *
 * Invariant: a hook never outlives its time, and nothing of its group outlives it: what it leaves in
 * the background is killed. A hook that fails is told, never fatal.
 */

import { messageOf } from "../core/failure.ts";
import { formatDuration } from "../core/duration.ts";
import type { Child, ExitStatus, PidIdentity, SpawnSpec, System } from "../os/system.ts";
import type { Haste, Stage } from "./haste.ts";

/** A hook and how long it may take. */
export interface Hook {
  spawn: SpawnSpec;
  stage: Stage;
  /** Milliseconds. */
  limit: number;
  /** Told in the turn of the spawn. */
  spawned?: (id: PidIdentity) => void;
}

/**
 * Runs a hook to its end, its limit, or until somebody is in a hurry.
 *
 * @returns what went wrong, or undefined
 */
export async function runHook(
  system: System,
  haste: Haste,
  { spawn, stage, limit, spawned }: Hook,
): Promise<string | undefined> {
  let child: Child;
  try {
    child = system.spawn(spawn);
  } catch (error) {
    return messageOf(error);
  }
  const id = { pid: child.pid, start: child.start, boot_id: system.bootId };
  spawned?.(id);
  const inTime = await haste.wait(stage, limit, () => child.exited);
  system.signalGroup(id, "SIGKILL");
  if (!inTime) {
    return haste.hurried
      ? "killed: the stop is in a hurry"
      : `killed: it did not end within ${formatDuration(limit)}`;
  }
  const exit = await child.exited;
  return exit.code === 0 ? undefined : describeExit(exit);
}

/** `exited with code 3`, `was killed by SIGSEGV`. */
export function describeExit(exit: ExitStatus): string {
  if (exit.signal !== null) return `was killed by ${exit.signal}`;
  if (exit.code !== null) return `exited with code ${exit.code}`;
  return "ended in an unknown way";
}
