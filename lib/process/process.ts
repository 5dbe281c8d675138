/**
 * The life of one program: started, proven, watched, restarted, stopped.
 *
 * The rules are a table (life.ts, pure). This file performs what the table asks for: it turns what
 * happens (an exit, a verdict, a timer, a caller) into events, and effects into deeds. The deeds
 * have files of their own: run.ts (one run), probe.ts (proof), stop.ts (the ladder), memory.ts.
 *
 * Invariants: events are taken one after the other, never inside each other; listeners hear of a
 * change (above all "not healthy any more") before anything else is done about it; at most one run
 * exists, and a new one begins only when nothing of the last is alive.
 */

import { freshHistory, nextTry, stayedUp } from "../core/backoff.ts";
import { abortable, sleep, stamp, type Timer } from "../core/clock.ts";
import { formatDuration } from "../core/duration.ts";
import { Failure, messageOf } from "../core/failure.ts";
import type { ExitStatus, PidIdentity, ProcRow } from "../os/system.ts";
import { AT_REST, type Effect, type Life, type LifeEvent, shown, step } from "./life.ts";
import { judge, residentBytes } from "./memory.ts";
import { prove, type Verdict } from "./probe.ts";
import { launch, type Run } from "./run.ts";
import { snapshotOf } from "./snapshot.ts";
import { describeTrouble, portTaken, startFailure, type Trouble } from "./start_failure.ts";
import { descend, killGroup } from "./stop.ts";
import type {
  LiveSettings,
  OutputRun,
  ProcessHost,
  ProcessSnapshot,
  ProcessSpec,
  ProcessState,
  StartOptions,
  StartReason,
  StopOptions,
  StopReport,
} from "./types.ts";

/** The longest a program that never worked may take to stop, whatever `graceful_stop` says. */
const UNPROVEN_GRACE = 30_000;

/** One program to keep alive. */
export class Process {
  readonly #host: ProcessHost;
  /** What the next run is made from. */
  #spec: ProcessSpec;
  #live: LiveSettings;
  #life: Life = AT_REST;
  /** The run that is on; kept until its whole group is gone. */
  #run: Run | undefined;
  /** A group that SIGKILL did not empty; nothing is started beside it. */
  #remains: PidIdentity | undefined;
  #output: OutputRun | undefined;
  #unwatch = () => {};
  /** Milliseconds a run without a probe must stay up to count as proven. */
  #stay = 0;

  #history = freshHistory();
  #retry: { timer: Timer; at: string } | undefined;
  #trouble: Trouble | undefined;
  #reason: string | undefined;
  #restarts = 0;
  #memoryRestarts = 0;
  #lastMemoryRestartAt: string | undefined;
  #lastStartReason: StartReason | undefined;
  #exit: ProcessSnapshot["exit"] = null;

  readonly #events: LifeEvent[] = [];
  readonly #listeners = new Set<(process: Process) => void>();
  #told = "";
  #attending = false;
  #starts: PromiseWithResolvers<void>[] = [];
  #stops: PromiseWithResolvers<StopReport>[] = [];
  #report: Omit<StopReport, "survivors"> = { killed: false, exit: null, ms: 0 };

  constructor(spec: ProcessSpec, host: ProcessHost) {
    this.#spec = spec;
    this.#live = spec.live;
    this.#host = host;
    this.#told = this.#appearance();
  }

  /** What the next start runs. */
  get spec(): ProcessSpec {
    return this.#spec;
  }

  get state(): ProcessState {
    return shown(this.#life);
  }

  /** Proven in this run, and nobody has begun to stop it. */
  get healthy(): boolean {
    return this.#life.phase === "running";
  }

  /** Pid of the leader while it runs. */
  get pid(): number | undefined {
    return this.#run?.alive ? this.#run.id.pid : undefined;
  }

  /** Leader of the group, for as long as any of the group may be alive. */
  get identity(): PidIdentity | undefined {
    return this.#run?.id ?? this.#remains;
  }

  /** Whether it would start again by itself. */
  get quiesced(): boolean {
    return this.#life.quiesced;
  }

  /**
   * Starts it, or joins a start that is on. Revives what was given up, and forgets earlier crashes.
   * Resolves when it is proven (without a probe: spawned), at once if it runs already.
   *
   * @throws Failure when this attempt fails (detail: StartFailureDetail) or a stop comes first; when
   *   supervised it is then tried again under its restart policy
   */
  start(reason: StartReason, options: StartOptions = {}): Promise<void> {
    return this.#want("start", reason, options);
  }

  /** Stops what runs, then starts anew; otherwise as start(). A start that waits goes on waiting. */
  restart(reason: StartReason, options: StartOptions = {}): Promise<void> {
    return this.#want("restart", reason, options);
  }

  /** Stops it by the ladder of stop.ts. Callers of the same time share one stop. Never rejects. */
  stop(options: StopOptions = {}): Promise<StopReport> {
    const stop = Promise.withResolvers<StopReport>();
    this.#stops.push(stop);
    if (options.within !== undefined) this.#run?.haste.hurry(options.within);
    this.#happen({ type: "stop" });
    return stop.promise;
  }

  /** Shortens a stop that is on: quiet and drain end at once, SIGKILL comes in at most `ms`. */
  hurry(ms: number): void {
    if (this.#life.phase === "stopping") this.#run?.haste.hurry(ms);
  }

  /** From now on it is not started again by itself (until somebody starts it); it is not stopped. */
  quiesce(): void {
    this.#happen({ type: "quiesce" });
  }

  /** New settings, also for a run and a stop that are on (as far as the stop has not come). */
  update(live: LiveSettings): void {
    this.#live = live;
    this.#spec = { ...this.#spec, live };
    this.#watchMemory();
  }

  /** What the next start runs; the program that runs now stays as it is, but for the settings. */
  redefine(spec: ProcessSpec): void {
    this.#spec = spec;
    this.update(spec.live);
  }

  /**
   * Calls `listener` in the very turn in which state, health or identity changed.
   *
   * @returns takes the listener back
   */
  onChange(listener: (process: Process) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Everything there is to know. */
  snapshot(): ProcessSnapshot {
    return snapshotOf({
      spec: this.#spec,
      state: this.state,
      healthy: this.healthy,
      run: this.#run,
      restarts: this.#restarts,
      memoryRestarts: this.#memoryRestarts,
      lastMemoryRestartAt: this.#lastMemoryRestartAt,
      lastStartReason: this.#lastStartReason,
      exit: this.#exit,
      reason: this.#reason,
      nextStartAt: this.#retry?.at,
      logs: this.#output?.recent().slice(-this.#live.output_lines) ?? [],
    }, this.#members());
  }

  // Events in, effects out.

  #want(type: "start" | "restart", reason: StartReason, options: StartOptions): Promise<void> {
    const ended = [this.#host.signal, options.signal].find((signal) => signal?.aborted);
    if (ended !== undefined) return Promise.reject(ended.reason);
    this.#stay = options.stay ?? 0;
    const start = Promise.withResolvers<void>();
    this.#starts.push(start);
    this.#happen({ type, reason, trial: options.supervise === false });
    return abortable(start.promise, options.signal);
  }

  /** Takes an event, after those that are being dealt with. */
  #happen(event: LifeEvent): void {
    this.#events.push(event);
    if (this.#events.length > 1) return;
    while (this.#events.length > 0) {
      try {
        this.#turn(this.#events[0]);
      } finally {
        this.#events.shift();
      }
    }
  }

  #turn(event: LifeEvent): void {
    const { life, effects } = step(this.#life, event);
    this.#life = life;
    this.#attend(life.phase !== "stopped" && life.phase !== "failed");
    this.#tell();
    for (const effect of effects) this.#perform(effect);
  }

  #perform(effect: Effect): void {
    switch (effect) {
      case "spawn":
        return this.#spawn();
      case "prove":
        return void this.#prove(this.#run!);
      case "descend":
        return void this.#descend(this.#run!);
      case "descend_fast":
        this.#run!.haste.hurry(Math.min(UNPROVEN_GRACE, graceOf(this.#live)));
        return void this.#descend(this.#run!);
      case "clear":
        return void this.#clear(this.#run!);
      case "retry":
        return this.#scheduleRetry();
      case "disarm":
        return this.#disarm();
      case "forgive":
        this.#history = freshHistory();
        return;
      case "answer_start":
        for (const start of this.#starts.splice(0)) start.resolve();
        return;
      case "fail_start":
        return void this.#failStart();
      case "cancel_start":
        return this.#cancelStarts(
          new Failure(`cannot start "${this.#spec.instance}": it was stopped meanwhile`),
        );
      case "answer_stop":
        return this.#answerStops();
    }
  }

  /** Tells listeners, if there is anything new to see. */
  #tell(): void {
    const appearance = this.#appearance();
    if (appearance === this.#told) return;
    this.#told = appearance;
    for (const listener of [...this.#listeners]) {
      try {
        listener(this);
      } catch (error) {
        this.#bug("a listener of a process", error);
      }
    }
  }

  #appearance(): string {
    return `${this.state} ${this.healthy} ${this.identity?.pid}`;
  }

  /** Listens to the daemon's end, but only while there is something to end. */
  #attend(active: boolean): void {
    if (active === this.#attending) return;
    this.#attending = active;
    if (active) this.#host.signal.addEventListener("abort", this.#abandon);
    else this.#host.signal.removeEventListener("abort", this.#abandon);
  }

  readonly #abandon = () => {
    this.#cancelStarts(this.#host.signal.reason);
    this.#run?.over.abort();
    this.hurry(0);
    this.quiesce();
  };

  // Starting.

  #spawn(): void {
    const { reason } = this.#life;
    const { emit } = this.#host;
    emit("process_starting", { ...this.#name(), reason });
    this.#disarm();
    try {
      this.#refuseBesideRemains();
      this.#run = launch(this.#spec, reason, this.#host);
    } catch (error) {
      this.#trouble = { kind: "unspawned", error };
      return this.#happen({ type: "unspawned" });
    }
    const run = this.#run;
    this.#output = run.output;
    this.#lastStartReason = reason;
    if (reason === "crash") this.#restarts++;
    if (reason === "memory") {
      this.#memoryRestarts++;
      this.#lastMemoryRestartAt = run.startedAt;
    }
    run.child.exited.then((status) => this.#exited(run, status));
    this.#watchMemory();
    emit("process_started", { ...this.#name(), pid: run.id.pid, reason });
    this.#happen({ type: "spawned" });
  }

  #refuseBesideRemains(): void {
    const left = this.#survivors();
    if (left.length === 0) return;
    const pids = left.join(", ");
    throw new Failure(`its last run is still there: SIGKILL did not end pid ${pids}`, {
      fix: "look what these processes wait for (state D: usually a disk or a network mount)",
    });
  }

  async #prove(run: Run): Promise<void> {
    const { system } = this.#host;
    const probe = this.#live.probe;
    let verdict: Verdict = { proven: true };
    try {
      if (probe.kind !== "none") {
        verdict = await prove(system, run.id.pid, probe, run.over.signal);
      } else if (this.#stay > 0) {
        await sleep(system.clock, this.#stay, run.over.signal);
      }
    } catch (error) {
      if (run.over.signal.aborted) return;
      verdict = { proven: false, reason: messageOf(error), port_taken: false };
    }
    if (run !== this.#run || this.#life.phase !== "starting") return;
    if (verdict.proven) return this.#proven(run);
    this.#unproven({ kind: "unproven", run, ...verdict });
  }

  #proven(run: Run): void {
    this.#reason = undefined;
    this.#host.emit("process_ready", { ...this.#name(), pid: run.id.pid, ms: run.upMs });
    this.#happen({ type: "proven" });
  }

  #unproven(trouble: Trouble): void {
    this.#trouble = trouble;
    this.#reason = describeTrouble(trouble);
    this.#happen({ type: "unproven" });
  }

  /** Reports the attempt that just failed, and rejects whoever waits for it. */
  async #failStart(): Promise<void> {
    const starts = this.#starts.splice(0);
    const trouble = this.#trouble!;
    this.#reason = describeTrouble(trouble);
    try {
      const { system, emit } = this.#host;
      const failure = await startFailure(this.#spec, this.#live.probe, trouble, system);
      // The command line may hold secrets, and events go to logs.
      const { argv: _, ...detail } = failure.detail ?? {};
      emit("process_start_failed", { ...this.#name(), error: failure.message, detail });
      for (const start of starts) start.reject(failure);
    } catch (error) {
      this.#bug("the report of a failed start", error);
      for (const start of starts) start.reject(error);
    }
  }

  #cancelStarts(reason: unknown): void {
    for (const start of this.#starts.splice(0)) start.reject(reason);
  }

  // Ending.

  #exited(run: Run, status: ExitStatus): void {
    run.ended(status);
    this.#exit = run.exit!;
    const wanted = run !== this.#run || this.#life.phase === "stopping";
    if (!wanted) {
      this.#reason = run.ending;
      const port_taken = !this.healthy && portTaken(this.#host.system, run, this.#live.probe);
      this.#trouble = { kind: "ended", run, port_taken };
    }
    stayedUp(this.#live.restart, this.#history, run.upMs);
    if (run === this.#run) this.#happen({ type: "exited" });
    this.#host.emit("process_exited", {
      ...this.#name(),
      pid: run.id.pid,
      code: status.code,
      signal: status.signal,
      wanted,
      up_ms: run.upMs,
    });
  }

  async #descend(run: Run): Promise<void> {
    const { system, emit, signal } = this.#host;
    const since = system.clock.now();
    if (signal.aborted) run.haste.hurry(0);
    this.#unwatch();
    let result = { survivors: [run.id.pid], killed: true };
    try {
      result = await descend({
        system,
        emit,
        name: this.#name(),
        id: run.id,
        exited: run.child.exited,
        settings: () => this.#live,
        hook: (command) => run.hook(command),
      }, run.haste);
    } catch (error) {
      this.#bug("the stop of a process", error);
    }
    const ms = Math.round(system.clock.now() - since);
    if (result.survivors.length === 0) emit("process_stopped", { ...this.#name(), ms });
    this.#gone(run, result.survivors, { killed: result.killed, exit: run.exit ?? null, ms });
  }

  /** A crashed leader's leftovers must not hold ports or locks against its successor. */
  async #clear(run: Run): Promise<void> {
    const { system, emit } = this.#host;
    const since = system.clock.now();
    this.#unwatch();
    let survivors = [run.id.pid];
    try {
      const left = this.#members().map((member) => member.pid).filter((pid) => pid !== run.id.pid);
      if (left.length > 0) emit("process_leftovers_killed", { ...this.#name(), pids: left });
      survivors = await killGroup(system, run.id, run.child.exited);
    } catch (error) {
      this.#bug("the end of a crashed process's group", error);
    }
    const ms = Math.round(system.clock.now() - since);
    this.#gone(run, survivors, { killed: true, exit: run.exit ?? null, ms });
  }

  #gone(run: Run, survivors: number[], report: Omit<StopReport, "survivors">): void {
    run.over.abort();
    run.output.end();
    this.#run = undefined;
    this.#report = report;
    if (survivors.length > 0) this.#outlived(run.id, survivors);
    this.#happen({ type: "gone" });
  }

  /** Remembers a group that would not die, until it does. */
  #outlived(id: PidIdentity, pids: number[]): void {
    const { system, emit, signal } = this.#host;
    emit("process_stop_failed", { ...this.#name(), pids });
    this.#reason = `pid ${pids.join(", ")} outlived SIGKILL`;
    this.#remains = id;
    system.groupGone(id.pid, signal).then(() => {
      if (this.#remains === id) this.#remains = undefined;
      this.#tell();
    }, () => {/* The daemon ended first. */});
  }

  #answerStops(): void {
    const report = { survivors: this.#survivors(), ...this.#report };
    for (const stop of this.#stops.splice(0)) stop.resolve(report);
    this.#report = { killed: false, exit: null, ms: 0 };
  }

  // Restarting.

  #scheduleRetry(): void {
    const { system: { clock }, emit } = this.#host;
    const policy = this.#live.restart;
    const retry = nextTry(policy, this.#history, clock.now());
    if ("giveUp" in retry) {
      const { tries } = retry;
      this.#reason = `${gaveUp(tries, policy.window)}; last: ${this.#reason}`;
      emit("process_gave_up", { ...this.#name(), tries, window_ms: policy.window });
      return this.#happen({ type: "spent" });
    }
    const delay_ms = Math.round(retry.delay);
    const timer = clock.timer(delay_ms, () => this.#happen({ type: "due" }));
    this.#retry = { timer, at: stamp(clock.wall() + delay_ms) };
    emit("process_restart_scheduled", { ...this.#name(), delay_ms, restarts: this.#restarts });
  }

  #disarm(): void {
    this.#retry?.timer.cancel();
    this.#retry = undefined;
  }

  // Watching.

  #watchMemory(): void {
    this.#unwatch();
    const run = this.#run;
    const marks = this.#live.memory;
    const { phase } = this.#life;
    if (run === undefined || marks === undefined) return;
    if (phase !== "starting" && phase !== "running") return;
    this.#unwatch = this.#host.memory.watch({
      pid: run.id.pid,
      interval: marks.check_interval,
      sampled: (members) => this.#weigh(run, members),
    });
  }

  #weigh(run: Run, members: ProcRow[]): void {
    const marks = this.#live.memory;
    if (marks === undefined) return;
    const { emit } = this.#host;
    const rss_bytes = residentBytes(members);
    const verdict = judge(rss_bytes, marks);
    if (verdict === "limit") {
      emit("memory_limit_exceeded", { ...this.#name(), rss_bytes, limit_bytes: marks.limit });
      this.#reason = `used ${rss_bytes} bytes of memory, more than the limit of ${marks.limit}`;
      this.#trouble = { kind: "unproven", run, reason: this.#reason, port_taken: false };
      return this.#happen({ type: "memory" });
    }
    if (verdict === "warn" && !run.warned) {
      emit("memory_warning", { ...this.#name(), rss_bytes, warn_bytes: marks.warn });
    }
    run.warned = verdict === "warn";
  }

  #members(): ProcRow[] {
    const id = this.identity;
    return id === undefined ? [] : this.#host.system.group(id.pid).members;
  }

  /** Who is left of a group that SIGKILL did not empty. */
  #survivors(): number[] {
    if (this.#remains === undefined) return [];
    return this.#host.system.group(this.#remains.pid).members.map((member) => member.pid);
  }

  #name(): { process: string; release?: string } {
    const { instance, release } = this.#run?.spec ?? this.#spec;
    return { process: instance, ...(release !== undefined && { release }) };
  }

  #bug(where: string, error: unknown): void {
    const stack = error instanceof Error ? error.stack : undefined;
    this.#host.emit("internal_error", { where, error: messageOf(error), stack });
  }
}

function graceOf({ graceful_stop }: LiveSettings): number {
  return graceful_stop === "indefinite" ? Infinity : graceful_stop;
}

function gaveUp(tries: number, window: number): string {
  if (tries === 0) return "not restarted: max_restarts is 0";
  const time = window > 0 ? ` within ${formatDuration(window)}` : "";
  return `given up after ${tries} restart${tries === 1 ? "" : "s"}${time}`;
}
