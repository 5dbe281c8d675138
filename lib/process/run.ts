/**
 * One run of a program: from its spawn until its whole group is gone.
 *
 * Invariant: the identity never changes; `over` is aborted in the turn in which the leader's exit is
 * seen, so nothing waits on behalf of a program that ended.
 */

import { type Clock, stamp } from "../core/clock.ts";
import { formatDuration } from "../core/duration.ts";
import type { Child, ExitStatus, PidIdentity, SpawnSpec, System } from "../os/system.ts";
import { Haste } from "./haste.ts";
import { describeExit } from "./hook.ts";
import type { OutputRun, ProcessHost, ProcessSpec, StartReason } from "./types.ts";

/** A started program. */
export class Run {
  readonly id: PidIdentity;
  readonly startedAt: string;
  /** The budgets of its one stop. */
  readonly haste: Haste;
  /** Ends what waits for it to work. */
  readonly over = new AbortController();
  exit: (ExitStatus & { at: string }) | undefined;
  readonly #clock: Clock;
  readonly #since: number;
  #until: number | undefined;

  constructor(
    readonly spec: ProcessSpec,
    readonly reason: StartReason,
    readonly child: Child,
    readonly output: OutputRun,
    readonly env: Record<string, string>,
    system: System,
  ) {
    this.#clock = system.clock;
    this.id = { pid: child.pid, start: child.start, boot_id: system.bootId };
    this.haste = new Haste(system.clock);
    this.#since = system.clock.now();
    this.startedAt = stamp(system.clock.wall());
  }

  /** Whether the leader runs. */
  get alive(): boolean {
    return this.exit === undefined;
  }

  /** How long the leader has been up, or was. Milliseconds. */
  get upMs(): number {
    return Math.round((this.#until ?? this.#clock.now()) - this.#since);
  }

  /** `exited with code 1 after 120ms`. */
  get ending(): string {
    if (this.exit === undefined) return `runs for ${formatDuration(this.upMs)}`;
    return `${describeExit(this.exit)} after ${formatDuration(this.upMs)}`;
  }

  /** Takes note of the leader's exit. */
  ended(status: ExitStatus): void {
    this.#until = this.#clock.now();
    this.exit = { code: status.code, signal: status.signal, at: stamp(this.#clock.wall()) };
    this.over.abort();
  }

  /** How a lifecycle hook of this run is started: beside it, into the same log. */
  hook(command: string): SpawnSpec {
    return {
      argv: ["/bin/sh", "-c", command],
      cwd: this.spec.cwd,
      env: { ...this.env, SUPERVISOR_PID: String(this.id.pid) },
      identity: this.spec.identity,
      output: this.output.files,
    };
  }
}

/** Starts a program. @throws Failure; nothing is left then. */
export function launch(spec: ProcessSpec, reason: StartReason, host: ProcessHost): Run {
  const { id, instance, release, argv, cwd, identity } = spec;
  const env = { ...host.env, ...spec.env };
  const output = host.output.open({ id, instance, release }, spec.live.output_lines);
  try {
    const child = host.system.spawn({ argv, cwd, env, identity, output: output.files });
    return new Run(spec, reason, child, output, env, host.system);
  } catch (error) {
    output.end();
    throw error;
  }
}
