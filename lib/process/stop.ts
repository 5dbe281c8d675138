/**
 * The stop ladder: from asking politely to certainty.
 *
 * | step  | only if           | does                                    | until                           |
 * | ----- | ----------------- | --------------------------------------- | ------------------------------- |
 * | quiet | quiet_command     | runs it                                 | graceful_stop (or 30 s)         |
 * | drain | alive,            | runs drain_command, or waits for the    | drain_timeout                   |
 * |       | drain_timeout > 0 | leader to exit by itself                |                                 |
 * | stop  | alive             | runs stop_command, or signals the group | graceful_stop (or 30 s)         |
 * |       |                   | (also when the command failed)          |                                 |
 * | wait  | –                 | waits for the whole group               | graceful_stop (may be for ever) |
 * | kill  | alive             | SIGKILL to the group, again and again   | 5 s                             |
 *
 * Being in a hurry leaves quiet and drain out (or ends them) and bounds the rest.
 *
 * Invariants: when it ends, the group is empty or the report names who is left. Settings are read at
 * each step, so a change reaches a stop that has not come so far. No step's failure skips the next.
 */

import { within } from "../core/clock.ts";
import type { ExitStatus, PidIdentity, SpawnSpec, System } from "../os/system.ts";
import type { Emit } from "../telemetry/events.ts";
import type { Haste, Stage } from "./haste.ts";
import { runHook } from "./hook.ts";
import type { LiveSettings } from "./types.ts";

/** How long quiet and stop hooks may take when `graceful_stop` is indefinite. */
const HOOK_LIMIT = 30_000;
/** How long the kernel may take to take the killed away before we report them as survivors. */
const KILL_LIMIT = 5_000;
/** SIGKILL is sent again so often, for members that were only found in between. */
const KILL_AGAIN = 500;
/** How long the reaping of an ended leader may lag behind the emptiness of its group. */
const REAP_LIMIT = 1_000;

/** Whom to stop. */
export interface StopSubject {
  readonly system: System;
  readonly emit: Emit;
  /** Instance and release, for events. */
  readonly name: { process: string; release?: string };
  readonly id: PidIdentity;
  readonly exited: Promise<ExitStatus>;
  /** Always the newest settings. */
  settings(): StopSettings;
  /** How a hook's command line is started; who has no hooks in its settings needs none. */
  hook?(command: string): SpawnSpec;
}

/** How to stop it. */
export type StopSettings = Pick<LiveSettings, "stop_signal" | "graceful_stop" | "lifecycle">;

/** What the ladder found. */
export interface Descent {
  survivors: number[];
  killed: boolean;
}

/** Takes a program and its whole group down. Never throws for what the program does. */
export async function descend(subject: StopSubject, haste: Haste): Promise<Descent> {
  await quiet(subject, haste);
  if (alive(subject)) await drain(subject, haste);
  if (alive(subject)) await ask(subject, haste);
  if (await groupGone(subject, haste)) return { survivors: [], killed: false };
  note(subject, "kill");
  return { survivors: await killGroup(subject.system, subject.id, subject.exited), killed: true };
}

/**
 * Kills a group and waits until it is gone, at most five seconds.
 *
 * @param leader its exit, if it was our child: it counts as gone only when reaped
 * @returns pids that are still alive
 */
export async function killGroup(
  system: System,
  id: PidIdentity,
  leader: Promise<unknown>,
): Promise<number[]> {
  const { clock } = system;
  const deadline = clock.now() + KILL_LIMIT;
  while (clock.now() < deadline) {
    system.signalGroup(id, "SIGKILL");
    const left = Math.min(KILL_AGAIN, deadline - clock.now());
    if (await goneWithin(system, id.pid, left)) {
      await within(clock, REAP_LIMIT, leader);
      return [];
    }
  }
  return system.group(id.pid).members.map((member) => member.pid);
}

async function quiet(subject: StopSubject, haste: Haste): Promise<void> {
  const command = subject.settings().lifecycle.quiet_command;
  if (command === undefined || haste.hurried) return;
  note(subject, "quiet");
  await hook(subject, haste, "quiet_command", command, "before", hookLimit(subject.settings()));
}

async function drain(subject: StopSubject, haste: Haste): Promise<void> {
  const { drain_command: command, drain_timeout: limit } = subject.settings().lifecycle;
  if (limit <= 0 || haste.hurried) return;
  note(subject, "drain");
  if (command === undefined) await haste.wait("before", limit, () => subject.exited);
  else await hook(subject, haste, "drain_command", command, "before", limit);
}

async function ask(subject: StopSubject, haste: Haste): Promise<void> {
  const settings = subject.settings();
  const command = settings.lifecycle.stop_command;
  note(subject, "stop");
  if (command !== undefined) {
    const limit = hookLimit(settings);
    if (await hook(subject, haste, "stop_command", command, "stop", limit)) return;
    // The command failed, so the program may not know yet: the signal tells it.
  }
  subject.system.signalGroup(subject.id, settings.stop_signal);
  // A member that is stopped (SIGSTOP, a terminal) would never see the signal.
  subject.system.signalGroup(subject.id, "SIGCONT");
}

async function groupGone(subject: StopSubject, haste: Haste): Promise<boolean> {
  const { system, id } = subject;
  const since = system.clock.now();
  const grace = graceOf(subject.settings());
  const gone = await haste.wait("stop", grace, (signal) => system.groupGone(id.pid, signal));
  if (gone) await within(system.clock, REAP_LIMIT, subject.exited);
  else {
    const after_ms = Math.round(system.clock.now() - since);
    subject.emit("process_stop_overdue", { ...subject.name, pid: id.pid, after_ms });
  }
  return gone;
}

/** True when the hook did its work. */
async function hook(
  subject: StopSubject,
  haste: Haste,
  name: string,
  command: string,
  stage: Stage,
  limit: number,
): Promise<boolean> {
  const spawn = subject.hook!(command);
  const error = await runHook(subject.system, haste, { spawn, stage, limit });
  if (error !== undefined) subject.emit("hook_failed", { ...subject.name, hook: name, error });
  return error === undefined;
}

/** How long a group may take after it was asked to stop. Milliseconds, or Infinity. */
export function graceOf({ graceful_stop }: StopSettings): number {
  return graceful_stop === "indefinite" ? Infinity : graceful_stop;
}

function hookLimit(settings: StopSettings): number {
  const grace = graceOf(settings);
  return grace === Infinity ? HOOK_LIMIT : grace;
}

function alive({ system, id }: StopSubject): boolean {
  return system.group(id.pid).members.length > 0;
}

function note({ emit, name, id }: StopSubject, step: string): void {
  emit("process_stopping", { ...name, pid: id.pid, step });
}

/** True when the group was gone within `ms`. */
async function goneWithin(system: System, leader: number, ms: number): Promise<boolean> {
  const over = new AbortController();
  try {
    return (await within(system.clock, ms, system.groupGone(leader, over.signal))).done;
  } finally {
    over.abort();
  }
}
