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

import { abortable, sleep } from "../core/clock.ts";
import { Failure, messageOf } from "../core/failure.ts";
import type { ExitStatus, PidIdentity, ProcRow } from "../os/system.ts";
import { AT_REST, type Effect, type Life, type LifeEvent, shown, step } from "./life.ts";
import { MemoryGuard } from "./memory_guard.ts";
import { Pending } from "./pending.ts";
import { prove, type Verdict } from "./probe.ts";
import { Remains } from "./remains.ts";
import { describeGivingUp, Restarts } from "./restart.ts";
import { launch, type Run } from "./run.ts";
import { snapshotOf } from "./snapshot.ts";
import { describeTrouble, startFailure, type Trouble } from "./start_failure.ts";
import { descend, type Descent, killGroup } from "./stop.ts";
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
/** The report of a stop when nothing ran. */
const NOTHING_RAN = { killed: false, exit: null, ms: 0 };

/** One program to keep alive. */
export class Process {
  readonly #host: ProcessHost;
  /** What the next run is made from. */
  #spec: ProcessSpec;
  #live: LiveSettings;

  #life: Life = AT_REST;
  readonly #events: LifeEvent[] = [];
  readonly #listeners = new Set<(subject: Process) => void>();
  #told: string;
  #attending = false;

  /** The run that is on; kept until its whole group is gone. */
  #run: Run | undefined;
  #guard: MemoryGuard | undefined;
  readonly #restarts: Restarts;
  readonly #remains: Remains;
  readonly #starts = new Pending<void>();
  readonly #stops = new Pending<StopReport>();
  /** Milliseconds a run without a probe must stay up to count as proven. */
  #stay = 0;

  // What is told of the past.
  #output: OutputRun | undefined;
  #trouble: Trouble | undefined;
  #reason: string | undefined;
  #crashRestarts = 0;
  #memoryRestarts = 0;
  #lastMemoryRestartAt: string | undefined;
  #lastStartReason: StartReason | undefined;
  #exit: ProcessSnapshot["exit"] = null;
  #report: Omit<StopReport, "survivors"> = NOTHING_RAN;

  constructor(spec: ProcessSpec, host: ProcessHost) {
    this.#spec = spec;
    this.#live = spec.live;
    this.#host = host;
    this.#restarts = new Restarts(host.system.clock);
    this.#remains = new Remains(host.system);
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
    return this.#run?.id ?? this.#remains.id;
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
    const stopped = this.#stops.add();
    if (options.within !== undefined) this.#run?.haste.hurry(options.within);
    this.#happen({ type: "stop" });
    return stopped;
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
    if (this.#run?.alive) this.#guard?.apply(live);
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
      restarts: this.#crashRestarts,
      memoryRestarts: this.#memoryRestarts,
      lastMemoryRestartAt: this.#lastMemoryRestartAt,
      lastStartReason: this.#lastStartReason,
      exit: this.#exit,
      reason: this.#reason,
      nextStartAt: this.#restarts.nextAt,
      logs: this.#output?.recent().slice(-this.#live.output_lines) ?? [],
    }, this.#members());
  }

  // Events in, effects out.

  #want(type: "start" | "restart", reason: StartReason, options: StartOptions): Promise<void> {
    const ended = [this.#host.signal, options.signal].find((signal) => signal?.aborted);
    if (ended !== undefined) return Promise.reject(ended.reason);
    this.#stay = options.stay ?? 0;
    const started = this.#starts.add();
    this.#happen({ type, reason, trial: options.supervise === false });
    return abortable(started, options.signal);
  }

  /** Takes an event, after those that are being dealt with. */
  #happen(event: LifeEvent): void {
    if (this.#events.push(event) > 1) return;
    for (; this.#events.length > 0; this.#events.shift()) this.#turn(this.#events[0]);
  }

  #turn(event: LifeEvent): void {
    const { life, effects } = step(this.#life, event);
    this.#life = life;
    this.#attend(life.phase !== "stopped" && life.phase !== "failed");
    this.#tell();
    for (const effect of effects) {
      try {
        this.#perform(effect);
      } catch (error) {
        // A bug of ours must not cost the effects that follow: somebody waits for their answers.
        this.#bug(`the effect ${effect}`, error);
      }
    }
  }

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
          new Failure(`cannot start "${this.#spec.instance}": it was stopped meanwhile`),
        );
      case "answer_stop":
        this.#stops.resolve({ survivors: this.#remains.pids, ...this.#report });
        this.#report = NOTHING_RAN;
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
    this.#starts.reject(this.#host.signal.reason);
    this.#run?.over.abort();
    this.hurry(0);
    this.quiesce();
  };

  // Starting.

  #spawn(): void {
    const { emit, memory } = this.#host;
    const { reason } = this.#life;
    this.#restarts.disarm();
    emit("process_starting", { ...this.#name(), reason });
    let run: Run;
    try {
      this.#remains.refuse();
      run = launch(this.#spec, reason, this.#host);
    } catch (error) {
      this.#trouble = { kind: "unspawned", error };
      return this.#happen({ type: "unspawned" });
    }
    this.#run = run;
    this.#output = run.output;
    this.#lastStartReason = reason;
    if (reason === "crash") this.#crashRestarts++;
    if (reason === "memory") {
      this.#memoryRestarts++;
      this.#lastMemoryRestartAt = run.startedAt;
    }
    run.child.exited.then((status) => this.#exited(run, status));
    const { pid } = run.id;
    const exceeded = (why: string) => this.#failed("memory", run, why);
    this.#guard = new MemoryGuard(memory, { pid, name: this.#name(), emit, exceeded });
    this.#guard.apply(this.#live);
    emit("process_started", { ...this.#name(), pid, reason });
    this.#happen({ type: "spawned" });
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
    if (!verdict.proven) {
      return this.#failed("unproven", run, verdict.reason, verdict.port_taken);
    }
    this.#reason = undefined;
    emit("process_ready", { ...this.#name(), pid: run.id.pid, ms: run.upMs });
    this.#happen({ type: "proven" });
  }

  /** The program runs, but not as it should. */
  #failed(type: "unproven" | "memory", run: Run, reason: string, port_taken = false): void {
    this.#trouble = { kind: "unproven", run, reason, port_taken };
    this.#reason = reason;
    this.#happen({ type });
  }

  /** Reports the attempt that just failed, and refuses whoever waits for it. */
  async #failStart(): Promise<void> {
    const { system, emit } = this.#host;
    const starts = this.#starts.take();
    const trouble = this.#trouble!;
    const name = this.#name();
    this.#reason = describeTrouble(trouble);
    try {
      const failure = await startFailure(this.#spec, this.#live.probe, trouble, system);
      // The command line may hold secrets, and events go to logs.
      const { argv: _, ...detail } = failure.detail ?? {};
      emit("process_start_failed", { ...name, error: failure.message, detail });
      starts.reject(failure);
    } catch (error) {
      this.#bug("the report of a failed start", error);
      starts.reject(error);
    }
  }

  // Ending.

  #exited(run: Run, status: ExitStatus): void {
    run.ended(status);
    this.#exit = run.exit!;
    const current = run === this.#run;
    const wanted = !current || this.#life.phase === "stopping";
    if (!wanted) {
      this.#reason = run.ending;
      this.#trouble = { kind: "ended", run };
    }
    this.#restarts.ran(this.#live.restart, run.upMs);
    if (current) this.#happen({ type: "exited" });
    const { code, signal } = status;
    const facts = { pid: run.id.pid, code, signal, wanted, up_ms: run.upMs };
    this.#host.emit("process_exited", { ...this.#name(), ...facts });
  }

  /** Ends a run, by the ladder or at once, until its whole group is gone. */
  async #end(run: Run, work: () => Promise<Descent>): Promise<void> {
    const { system: { clock }, emit, signal } = this.#host;
    const since = clock.now();
    const wanted = this.#life.phase === "stopping";
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
      this.#reason = `pid ${survivors.join(", ")} outlived SIGKILL`;
      this.#remains.keep(run.id, () => this.#tell(), signal);
      emit("process_stop_failed", { ...this.#name(), pids: survivors });
    } else if (wanted) emit("process_stopped", { ...this.#name(), ms });
    this.#run = undefined;
    this.#report = { killed, exit: run.exit ?? null, ms };
    this.#happen({ type: "gone" });
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
    const plan = this.#restarts.plan(policy, () => this.#happen({ type: "due" }));
    if ("delay_ms" in plan) {
      const { delay_ms } = plan;
      emit("process_restart_scheduled", {
        ...this.#name(),
        delay_ms,
        restarts: this.#crashRestarts,
      });
      return;
    }
    const { tries } = plan;
    this.#reason = `${describeGivingUp(tries, policy)}; last: ${this.#reason}`;
    emit("process_gave_up", { ...this.#name(), tries, window_ms: policy.window });
    this.#happen({ type: "spent" });
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

function graceOf({ graceful_stop }: LiveSettings): number {
  return graceful_stop === "indefinite" ? Infinity : graceful_stop;
}
