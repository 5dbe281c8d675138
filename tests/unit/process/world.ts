/**
 * What a process needs to live in, for tests: a system, an output that remembers, events in a list.
 */

import type { Clock } from "../../../lib/core/clock.ts";
import { MemoryWatch } from "../../../lib/process/memory.ts";
import { Process } from "../../../lib/process/process.ts";
import type {
  LiveSettings,
  OutputLine,
  OutputRun,
  OutputSink,
  ProcessHost,
  ProcessSpec,
} from "../../../lib/process/types.ts";
import type { System } from "../../../lib/os/system.ts";
import type { EventName, Events } from "../../../lib/telemetry/events.ts";
import { FakeSystem } from "../../kit/fake_system.ts";
import { ManualClock } from "../../kit/manual_clock.ts";

/** Settings of tests: no probe, one second of grace, restart after 1 s, doubling, no limit. */
export const SETTINGS: LiveSettings = {
  stop_signal: "SIGTERM",
  graceful_stop: 10_000,
  lifecycle: { drain_timeout: 0 },
  restart: { delay: 1_000, window: 60_000, backoff_factor: 2, max_delay: 30_000 },
  probe: { kind: "none" },
  output_lines: 50,
};

/** A spec with what a test wants different. */
export function specOf(live: Partial<LiveSettings> = {}, rest: Partial<ProcessSpec> = {}) {
  const spec: ProcessSpec = {
    id: "web",
    instance: "web",
    release: "v1",
    argv: ["/bin/sh", "-c", "serve"],
    command: "serve",
    cwd: "/app",
    env: { PATH: "/usr/bin:/bin", SECRET: "hunter2" },
    live: { ...SETTINGS, ...live },
    ...rest,
  };
  return spec;
}

/** An output that keeps what the test writes, and counts the runs that are open. */
export class FakeOutput implements OutputSink {
  open_runs = 0;
  opened = 0;
  lines: OutputLine[] = [];
  /** Set to let the reading of the last output hang. */
  stuck = false;

  constructor(readonly clock: Clock) {}

  open(): OutputRun {
    this.open_runs++;
    this.opened++;
    let ended = false;
    return {
      files: { stdout: "/spool/out", stderr: "/spool/err" },
      recent: () => [...this.lines],
      settle: () => this.stuck ? new Promise(() => {}) : Promise.resolve(),
      end: () => {
        if (ended) throw new Error("the same run was ended twice");
        ended = true;
        this.open_runs--;
      },
    };
  }

  /** A line of a program, now. */
  say(line: string, stream: "stdout" | "stderr" = "stderr"): void {
    this.lines.push({ at: new Date(this.clock.wall()).toISOString(), stream, line });
  }
}

/** One event, as tests look at it. */
export type Told = { [N in EventName]: { event: N; data: Events[N] } }[EventName];

/** The surroundings of the processes of one test. */
export class World<S extends System = FakeSystem> {
  readonly told: Told[] = [];
  readonly output: FakeOutput;
  readonly end = new AbortController();
  readonly host: ProcessHost;

  constructor(readonly system: S, env?: Record<string, string>) {
    this.output = new FakeOutput(system.clock);
    this.host = {
      system,
      emit: (event, data) => void this.told.push({ event, data } as Told),
      output: this.output,
      memory: new MemoryWatch(system),
      env,
      signal: this.end.signal,
    };
  }

  process(spec: ProcessSpec): Process {
    return new Process(spec, this.host);
  }

  /** Names of the events so far. */
  get names(): EventName[] {
    return this.told.map((told) => told.event);
  }

  /** Facts of all events of one name. */
  events<N extends EventName>(name: N): Events[N][] {
    return this.told.filter((told) => told.event === name).map((told) => told.data as Events[N]);
  }
}

/** A world on a manual clock. */
export function manualWorld(env?: Record<string, string>) {
  const clock = new ManualClock();
  const system = new FakeSystem(clock);
  return { clock, system, world: new World(system, env) };
}
