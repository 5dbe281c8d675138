/**
 * The life of one program: started, proven, watched, restarted, stopped.
 *
 * The rules are a table (life.ts, pure). This file turns what happens (an exit, a verdict, a timer,
 * a caller) into events, and effects into deeds: run.ts, probe.ts, stop.ts (the ladder), memory.ts.
 *
 * Invariants: events are taken one after the other, never inside each other; listeners hear of a
 * change (above all "not healthy any more") before anything else is done about it; at most one run
 * exists, and a new one begins only when nothing of the last is alive.
 */

import { abortable, sleep } from "../core/clock.ts";
import { Failure, messageOf } from "../core/failure.ts";
import type { ExitStatus, PidIdentity, ProcRow } from "../os/system.ts";
import { Chronicle } from "./chronicle.ts";
import { type Effect, shown } from "./life.ts";
import { MemoryGuard } from "./memory_guard.ts";
import { Observers } from "./observers.ts";
import { Pending } from "./pending.ts";
import { prove, type Verdict } from "./probe.ts";
import { Remains } from "./remains.ts";
import { describeGivingUp, Restarts } from "./restart.ts";
import { launch, type Run } from "./run.ts";
import { snapshotOf } from "./snapshot.ts";
import { startFailure } from "./start_failure.ts";
import { descend, type Descent, graceOf, killGroup } from "./stop.ts";
import { Turns } from "./turns.ts";
import type {
  LiveSettings,
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
/** The report of a stop when nothing ran. */
const NOTHING_RAN = { killed: false, exit: null, ms: 0 };

/** One program to keep alive. */
export class Process {
  readonly #host: ProcessHost;
  /** What the next run is made from. */
  #spec: ProcessSpec;
  #live: LiveSettings;

  readonly #turns: Turns;
  readonly #observers = new Observers<Process>();
  readonly #past = new Chronicle();

  /** The run that is on; kept until its whole group is gone. */
  #run: Run | undefined;
  #guard: MemoryGuard | undefined;
  readonly #restarts: Restarts;
  readonly #remains: Remains;
  readonly #starts = new Pending<void>();
  readonly #stops = new Pending<StopReport>();
  /** Milliseconds a run without a probe must stay up to count as proven. */
  #stay = 0;
  #report: Omit<StopReport, "survivors"> = NOTHING_RAN;

  constructor(spec: ProcessSpec, host: ProcessHost) {
    this.#spec = spec;
    this.#live = spec.live;
    this.#host = host;
    this.#restarts = new Restarts(host.system.clock);
    this.#remains = new Remains(host.system);
    this.#turns = new Turns({
      changed: () => this.#changed(),
      perform: (effect) => this.#perform(effect),
      bug: (where, error) => this.#bug(where, error),
    });
  }

  /** What the next start runs. */
  get spec(): ProcessSpec {
    return this.#spec;
  }

  get state(): ProcessState {
    return shown(this.#turns.life);
  }

  /** Proven in this run, and nobody has begun to stop it. */
  get healthy(): boolean {
    return this.#turns.life.phase === "running";
  }

  /** Pid of the leader while it runs. */
  get pid(): number | undefined {
    return this.#run?.alive ? this.#run.id.pid : undefined;
  }

  /** Leader of the group, for as long as any of the group may be alive. */
  get identity(): PidIdentity | undefined {
    return this.#run?.id ?? this.#remains.id;
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
    const stopped = this.#stops.add();
    if (options.within !== undefined) this.#run?.haste.hurry(options.within);
    this.#turns.take({ type: "stop" });
    return stopped;
  }

  /** Shortens a stop that is on: quiet and drain end at once, SIGKILL comes in at most `ms`. */
  hurry(ms: number): void {
    if (this.#turns.life.phase === "stopping") this.#run?.haste.hurry(ms);
  }

  /** From now on it is not started again by itself (until somebody starts it); it is not stopped. */
  quiesce(): void {
    this.#turns.take({ type: "quiesce" });
  }

  /** New settings, also for a run and a stop that are on (as far as the stop has not come). */
  update(live: LiveSettings): void {
    this.#live = live;
    this.#spec = { ...this.#spec, live };
    this.#guard?.apply(live);
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
  onChange(listener: (subject: Process) => void): () => void {
    return this.#observers.add(listener);
  }

  /** Everything there is to know. */
  snapshot(): ProcessSnapshot {
    return snapshotOf({
      spec: this.#spec,
      state: this.state,
      healthy: this.healthy,
      run: this.#run,
      past: this.#past,
      nextStartAt: this.#restarts.nextAt,
      logs: this.#past.output?.recent().slice(-this.#live.output_lines) ?? [],
    }, this.#members());
  }

  // Events in, effects out.

  #want(type: "start" | "restart", reason: StartReason, options: StartOptions): Promise<void> {
    const ended = [this.#host.signal, options.signal].find((signal) => signal?.aborted);
    if (ended !== undefined) return Promise.reject(ended.reason);
    this.#stay = options.stay ?? 0;
    const started = this.#starts.add();
    this.#turns.take({ type, reason, trial: options.supervise === false });
    return abortable(started, options.signal);
  }

  /** Listeners hear of it first; the daemon's end is listened to while there is something to end. */
  #changed(): void {
    this.#tell();
    const atRest = this.state === "stopped" || this.state === "failed";
    if (atRest) this.#host.signal.removeEventListener("abort", this.#abandon);
    else this.#host.signal.addEventListener("abort", this.#abandon);
  }

  #tell(): void {
    const appearance =
      `${this.state} ${this.healthy} ${this.identity?.pid} ${this.#past.portTaken}`;
    const failed = (error: unknown) => this.#bug("a listener of a process", error);
    this.#observers.tell(this, appearance, failed);
  }

  readonly #abandon = () => {
    this.#starts.reject(this.#host.signal.reason);
    this.#run?.over.abort();
    this.hurry(0);
    this.quiesce();
  };

  #perform(effect: Effect): void {
    const run = this.#run;
    switch (effect) {
      case "spawn":
        return this.#spawn();
      case "prove":
        return void this.#prove(run!);
      case "descend":
        return void this.#end(run!, () => this.#descend(run!));
      case "descend_fast":
        run!.haste.hurry(Math.min(UNPROVEN_GRACE, graceOf(this.#live)));
        return void this.#end(run!, () => this.#descend(run!));
      case "clear":
        return void this.#end(run!, () => this.#clear(run!));
      case "retry":
        return this.#retry();
      case "disarm":
        return this.#restarts.disarm();
      case "forgive":
        return this.#restarts.forgive();
      case "answer_start":
        return this.#starts.resolve();
      case "fail_start":
        return void this.#failStart();
      case "cancel_start":
        return this.#starts.reject(
          new Failure(`process "${this.#spec.instance}" did not start: it was stopped meanwhile`),
        );
      case "answer_stop":
        this.#stops.resolve({ survivors: this.#remains.pids, ...this.#report });
        this.#report = NOTHING_RAN;
    }
  }

  // Starting.

  #spawn(): void {
    const { emit, memory } = this.#host;
    const { reason } = this.#turns.life;
    emit("process_starting", { ...this.#name(), reason });
    let run: Run;
    try {
      this.#remains.refuse();
      run = launch(this.#spec, reason, this.#host);
    } catch (error) {
      this.#past.troubled({ kind: "unspawned", error });
      return this.#turns.take({ type: "unspawned" });
    }
    this.#run = run;
    this.#past.began(run);
    run.child.exited.then((status) => this.#exited(run, status));
    const { pid } = run.id;
    const exceeded = (reason: string) => this.#failed("memory", run, { reason });
    this.#guard = new MemoryGuard(memory, { pid, name: this.#name(), emit, exceeded });
    this.#guard.apply(this.#live);
    emit("process_started", { ...this.#name(), pid, reason });
    this.#turns.take({ type: "spawned" });
  }

  async #prove(run: Run): Promise<void> {
    const { system, emit } = this.#host;
    const { probe } = this.#live;
    const { signal } = run.over;
    let verdict: Verdict = { proven: true };
    try {
      if (probe.kind !== "none") verdict = await prove(system, run.id.pid, probe, signal);
      else if (this.#stay > 0) await sleep(system.clock, this.#stay, signal);
    } catch (error) {
      if (signal.aborted) return;
      verdict = { proven: false, reason: messageOf(error), port_taken: false };
    }
    if (signal.aborted) return;
    if (!verdict.proven) return this.#failed("unproven", run, verdict);
    this.#past.proven();
    emit("process_ready", { ...this.#name(), pid: run.id.pid, ms: run.upMs });
    this.#turns.take({ type: "proven" });
  }

  /** The program runs, but not as it should. */
  #failed(
    type: "unproven" | "memory",
    run: Run,
    why: { reason: string; port_taken?: boolean },
  ): void {
    this.#past.troubled({ kind: "unproven", run, port_taken: false, ...why });
    this.#turns.take({ type });
  }

  /** Reports the attempt that just failed, and refuses whoever waits for it. */
  async #failStart(): Promise<void> {
    const { system, emit } = this.#host;
    const starts = this.#starts.take();
    const trouble = this.#past.trouble!;
    const name = this.#name();
    try {
      const failure = await startFailure(this.#spec, this.#live.probe, trouble, system);
      // The command line may hold secrets, and events go to logs.
      const { argv: _, ...detail } = failure.detail ?? {};
      this.#past.portTaken = detail.port_taken === true;
      this.#tell();
      emit("process_start_failed", { ...name, error: failure.message, fix: failure.fix, detail });
      starts.reject(failure);
    } catch (error) {
      this.#bug("the report of a failed start", error);
      starts.reject(error);
    }
  }

  // Ending.

  #exited(run: Run, status: ExitStatus): void {
    const current = run === this.#run;
    const wanted = !current || this.#turns.life.phase === "stopping";
    this.#past.ended(run, status, wanted);
    this.#restarts.ran(this.#live.restart, run.upMs);
    if (current) this.#turns.take({ type: "exited" });
    const { code, signal } = status;
    const facts = { pid: run.id.pid, code, signal, wanted, up_ms: run.upMs };
    this.#host.emit("process_exited", { ...this.#name(), ...facts });
  }

  /** Ends a run, by the ladder or at once, until its whole group is gone. */
  async #end(run: Run, work: () => Promise<Descent>): Promise<void> {
    const { system: { clock }, emit, signal } = this.#host;
    const since = clock.now();
    const wanted = this.#turns.life.phase === "stopping";
    run.over.abort();
    this.#guard?.end();
    let descent: Descent;
    try {
      descent = await work();
    } catch (error) {
      this.#bug("the end of a run", error);
      descent = { survivors: [run.id.pid], killed: true };
    }
    const { survivors, killed } = descent;
    const ms = Math.round(clock.now() - since);
    run.output.end();
    if (survivors.length > 0) {
      this.#past.reason = `pid ${survivors.join(", ")} outlived SIGKILL`;
      this.#remains.keep(run.id, () => this.#tell(), signal);
      emit("process_stop_failed", { ...this.#name(), pids: survivors });
    } else if (wanted) emit("process_stopped", { ...this.#name(), ms });
    this.#run = undefined;
    this.#report = { killed, exit: run.exit ?? null, ms };
    this.#turns.take({ type: "gone" });
  }

  #descend(run: Run): Promise<Descent> {
    const { system, emit, signal } = this.#host;
    if (signal.aborted) run.haste.hurry(0);
    const settings = () => this.#live;
    const hook = (command: string) => run.hook(command);
    const { id, child: { exited } } = run;
    return descend({ system, emit, name: this.#name(), id, exited, settings, hook }, run.haste);
  }

  /** A crashed leader's leftovers must not hold ports or locks against its successor. */
  async #clear(run: Run): Promise<Descent> {
    const pids = this.#members().map((member) => member.pid).filter((pid) => pid !== run.id.pid);
    if (pids.length > 0) this.#host.emit("process_leftovers_killed", { ...this.#name(), pids });
    const survivors = await killGroup(this.#host.system, run.id, run.child.exited);
    return { survivors, killed: pids.length > 0 };
  }

  #retry(): void {
    const { emit } = this.#host;
    const policy = this.#live.restart;
    const plan = this.#restarts.plan(policy, () => this.#turns.take({ type: "due" }));
    if ("delay_ms" in plan) {
      const { restarts } = this.#past;
      return emit("process_restart_scheduled", { ...this.#name(), ...plan, restarts });
    }
    this.#past.reason = `${describeGivingUp(plan.tries, policy)}; last: ${this.#past.reason}`;
    emit("process_gave_up", { ...this.#name(), ...plan, window_ms: policy.window });
    this.#turns.take({ type: "spent" });
  }

  // Looking.

  #members(): ProcRow[] {
    const id = this.identity;
    return id === undefined ? [] : this.#host.system.group(id.pid).members;
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
