/**
 * The program of one worker: from its spawn until nothing of its group is alive.
 *
 * Invariants: it stands in the process book from the turn of its spawn until its group is gone; the
 * ways to end it are those of every program (the stop ladder); its end is asked for once, and being in
 * a hurry only shortens it.
 */

import { type Clock, within } from "../core/clock.ts";
import { formatDuration } from "../core/duration.ts";
import { messageOf } from "../core/failure.ts";
import type { Child, ExitStatus, PidIdentity, SpawnSpec } from "../os/system.ts";
import { Haste } from "../process/haste.ts";
import { describeExit } from "../process/hook.ts";
import { descend, type Descent, killGroup } from "../process/stop.ts";
import type { OutputRun } from "../process/types.ts";
import type { PoolHost, PoolSpec } from "./types.ts";

/** How long a worker may take after the stop frame (RoadRunner's constant). */
const FRAME_GRACE = 10_000;
/** How long it may take after SIGTERM. */
const SIGNAL_GRACE = 5_000;
/** How long the exit and the end of what it says may lie apart. */
export const LAST_WORDS = 500;
/** Lines of its output that stay readable. */
const KEEP_LINES = 50;

/** How a program is ended. */
export type Way =
  /** It was told by a stop frame: SIGTERM and SIGKILL follow if it stays. */
  | "stop"
  /** SIGTERM, then SIGKILL. */
  | "terminate"
  /** SIGKILL at once. */
  | "kill";

/** A started program. */
export class WorkerProcess<C extends Child = Child> {
  readonly id: PidIdentity;
  /** Budgets of its one end. */
  readonly haste: Haste;
  readonly startedAt: number;
  readonly startedWall: number;
  exit: ExitStatus | undefined;
  readonly #name: { process: string; release: string };
  readonly #host: PoolHost;
  readonly #clock: Clock;
  #until: number | undefined;

  constructor(
    spec: PoolSpec,
    instance: string,
    readonly child: C,
    readonly output: OutputRun,
    host: PoolHost,
  ) {
    this.#host = host;
    this.#clock = host.clock;
    this.#name = { process: instance, release: spec.release };
    this.haste = new Haste(host.clock);
    this.startedAt = host.clock.now();
    this.startedWall = host.clock.wall();
    this.id = { pid: child.pid, start: child.start, boot_id: host.system.bootId };
    host.booked({ ...this.id, instance, plugin: spec.plugin, release: spec.release });
    child.exited.then((status) => {
      this.exit = status;
      this.#until = host.clock.now();
    });
  }

  /** How long it has been up, or was. Milliseconds. */
  get upMs(): number {
    return Math.round((this.#until ?? this.#clock.now()) - this.startedAt);
  }

  /** `exited with code 1 after 120ms`. */
  get ending(): string {
    const up = formatDuration(this.upMs);
    return this.exit === undefined ? `runs for ${up}` : `${describeExit(this.exit)} after ${up}`;
  }

  /**
   * Waits for its end: the exit or the end of what it says, whichever comes first, and the other one a
   * moment longer.
   *
   * @param said resolves at the end of what it says
   * @param pause what it had said before may wait for a taker that is slow
   * @returns how it ended, for people
   */
  async ended(said: Promise<void>, pause: () => Promise<void> | undefined): Promise<string> {
    await Promise.race([said, this.child.exited]);
    const both = Promise.all([said, this.child.exited]);
    while (!(await within(this.#clock, LAST_WORDS, both)).done && pause()) await pause();
    return this.exit === undefined ? "closed its relay" : this.ending;
  }

  /** Whether a pid is one of its group. */
  owns(pid: number): boolean {
    if (pid === this.id.pid) return true;
    return this.#host.system.group(this.id.pid).members.some((member) => member.pid === pid);
  }

  /** Ends it and its whole group. @returns pids that outlived SIGKILL */
  async end(way: Way): Promise<number[]> {
    const { emit } = this.#host;
    let descent: Descent;
    try {
      descent = way === "kill" ? await this.#kill() : await this.#descend(way);
    } catch (error) {
      emit("internal_error", { where: "the end of a worker", error: messageOf(error) });
      descent = { survivors: [this.id.pid], killed: true };
    }
    this.output.end();
    const { survivors } = descent;
    if (survivors.length > 0) emit("process_stop_failed", { ...this.#name, pids: survivors });
    else this.#host.unbooked(this.id);
    return survivors;
  }

  async #kill(): Promise<Descent> {
    const { system } = this.#host;
    return { survivors: await killGroup(system, this.id, this.child.exited), killed: true };
  }

  #descend(way: "stop" | "terminate"): Promise<Descent> {
    const { system, emit } = this.#host;
    const settings = {
      stop_signal: "SIGTERM" as const,
      graceful_stop: SIGNAL_GRACE,
      lifecycle: { drain_timeout: way === "stop" ? FRAME_GRACE : 0 },
    };
    return descend({
      system,
      emit,
      name: this.#name,
      id: this.id,
      exited: this.child.exited,
      settings: () => settings,
    }, this.haste);
  }
}

/** Starts the program of a worker. @throws Failure; nothing is left then. */
export function launch<C extends Child>(
  spec: PoolSpec,
  instance: string,
  env: Record<string, string>,
  host: PoolHost,
  start: (spec: SpawnSpec) => C,
): WorkerProcess<C> {
  const { argv, cwd, identity } = spec.worker;
  const { plugin, release } = spec;
  const output = host.output.open({ id: plugin, instance, release }, KEEP_LINES);
  try {
    const child = start({ argv, cwd, env, identity, output: output.files });
    return new WorkerProcess(spec, instance, child, output, host);
  } catch (error) {
    output.end();
    throw error;
  }
}
