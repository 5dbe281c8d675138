/**
 * One copy of one configured process inside its owner (a release, or the daemon for services and
 * singletons): its port, its program, its place in the process book.
 *
 * Invariant: the port belongs to the slot from its making until the whole group is gone after a stop,
 * and is given back once; the book names the program from the turn it was spawned in until then.
 */

import type { Config, ProcessConfig } from "../config/config.ts";
import { Failure, messageOf } from "../core/failure.ts";
import { Process } from "../process/process.ts";
import type {
  ProcessSnapshot,
  ProcessSpec,
  StartOptions,
  StartReason,
  StopOptions,
  StopReport,
} from "../process/types.ts";
import type { PidIdentity } from "../os/system.ts";
import type { Ground } from "./ground.ts";
import {
  instanceId,
  markOf,
  renderLive,
  renderProcess,
  type Surroundings,
  upstreamHost,
} from "./render.ts";
import { identityOf } from "./identity.ts";

/** Which copy of which process, for whom. */
export interface SlotPlace {
  /** The newest settings. */
  config: ProcessConfig;
  index: number;
  count: number;
  port?: number;
}

/** A running or startable copy. */
export class Slot {
  readonly instance: string;
  readonly process: Process;
  #booked: PidIdentity | undefined;
  /** Stopped for good: the port goes back as soon as nothing of the group is left. */
  #over = false;
  #portLeft = false;
  #around: Surroundings;

  /** @throws Failure when a template has no value or the user is unknown. */
  constructor(
    readonly place: SlotPlace,
    around: Surroundings,
    readonly ground: Ground,
    readonly onChange: (slot: Slot) => void,
  ) {
    this.instance = instanceId(place.config.id, place);
    this.#around = around;
    this.process = new Process(this.#render(place, around), {
      system: ground.system,
      emit: ground.emit,
      output: ground.output,
      memory: ground.memory,
      signal: ground.signal,
    });
    this.process.onChange(() => {
      this.#book();
      this.#leavePort();
      this.onChange(this);
    });
  }

  get id(): string {
    return this.place.config.id;
  }

  get port(): number | undefined {
    return this.place.port;
  }

  /** What it was rendered from. */
  get around(): Surroundings {
    return this.#around;
  }

  /** Starts the program; resolves when it is proven. @throws Failure */
  start(reason: StartReason, options: StartOptions): Promise<void> {
    return this.process.start(reason, options);
  }

  /** The stop ladder; gives the port back when the group is gone. */
  async stop(options: StopOptions = {}): Promise<StopReport> {
    const report = await this.process.stop(options);
    this.#over = true;
    this.#leavePort();
    return report;
  }

  /** Takes on new settings without a restart; settings that cannot be rendered stay as they were. */
  update(config: ProcessConfig, whole: Config): void {
    const { index, count, port } = this.place;
    const around = { ...this.#around, config: whole };
    this.#attempt("settings", () => {
      this.process.update(renderLive(config, { index, count, port }, around));
      this.place.config = config;
    });
  }

  /** What its next start runs; what runs now goes on. What cannot be rendered stays as it was. */
  redefine(config: ProcessConfig, around: Surroundings): void {
    this.#attempt("definition", () => {
      this.process.redefine(this.#render({ ...this.place, config }, around));
      this.place.config = config;
      this.#around = around;
    });
  }

  snapshot(): ProcessSnapshot {
    return this.process.snapshot();
  }

  #book(): void {
    const now = this.process.identity;
    if (now?.pid === this.#booked?.pid && now?.start === this.#booked?.start) return;
    this.#unbook();
    if (now === undefined) return;
    const { config, port } = this.place;
    this.#booked = now;
    this.ground.book.put({
      ...now,
      mark: markOf(this.process.spec.env),
      instance: this.instance,
      id: config.id,
      policy: config.policy,
      release: this.around.release.release_id,
      port,
      fixed_port: hasFixedPort(config),
    });
  }

  #unbook(): void {
    if (this.#booked !== undefined) this.ground.book.remove(this.#booked);
    this.#booked = undefined;
  }

  #leavePort(): void {
    if (!this.#over || this.#portLeft || this.process.identity !== undefined) return;
    this.#portLeft = true;
    if (this.port !== undefined) this.ground.ports.release(this.port);
  }

  #render(place: SlotPlace, around: Surroundings): ProcessSpec {
    const { config, index, count, port } = place;
    const identity = identityOf(config, this.ground.system);
    return renderProcess(config, { index, count, port, identity }, around);
  }

  #attempt(what: string, run: () => void): void {
    try {
      run();
    } catch (error) {
      this.ground.emit("config_warning", {
        message: `"${this.instance}" keeps its earlier ${what}: ${messageOf(error)}`,
      });
    }
  }
}

/** Whether the process can only have one port, so that a second copy cannot run beside it. */
export function hasFixedPort({ port }: ProcessConfig): boolean {
  return port !== undefined && port.from === port.to && port.from !== 0;
}

/** Reserves a port for a copy, if its process has one. @throws Failure when none is free. */
export function reservePort(
  ground: Ground,
  config: Config,
  process: ProcessConfig,
  instance: string,
  release: string,
  not: ReadonlySet<number>,
): number | undefined {
  if (process.port === undefined) return undefined;
  return ground.ports.reserve(`${instance} of ${release}`, process.port, upstreamHost(config), not);
}

/** Joins what several stops could not stop. Undefined: everything is gone. */
export function stopFailure(what: string, reports: readonly StopReport[]): Failure | undefined {
  const left = reports.flatMap((report) => report.survivors);
  if (left.length === 0) return undefined;
  return new Failure(
    `${what}: ${left.length} process(es) survived SIGKILL: pid ${left.join(", ")}`,
    {
      fix:
        "look at them with `ps -o pid,stat,wchan,cmd`; a process in state D waits for the kernel",
      detail: { pids: left },
    },
  );
}
