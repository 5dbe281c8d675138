/**
 * The composition root: everything a daemon is made of is created here, from top to bottom, and taken
 * apart in the reverse order.
 *
 * | step               | when it fails                                                      |
 * | ------------------ | ------------------------------------------------------------------ |
 * | configuration      | exit 3, nothing was touched                                        |
 * | directories, locks | exit 1, or 5 when a daemon lives                                   |
 * | logs, listeners    | exit 1: one sentence                                               |
 * | release asked for  | exit 1: everything started is stopped                              |
 * | release remembered | stays up (503), says why, tries again                              |
 * | control socket     | exit 1; it opens last: whoever reaches it finds everything in place |
 *
 * Invariant: whatever fails at whatever step, what was made before is taken apart, and no child is
 * left behind.
 */

import { join } from "@std/path";
import { sections } from "../../plugins/registry.ts";
import type { Config } from "../config/config.ts";
import { readDotenv, readOrFail } from "../config/mod.ts";
import { type Control, openControl } from "../control/server.ts";
import { Exit, type ExitCode, Failure, messageOf } from "../core/failure.ts";
import { VERSION } from "../core/version.ts";
import { raiseFileLimit } from "../os/limits.ts";
import { ServiceNotice } from "../os/notify.ts";
import { realSystem } from "../os/real.ts";
import type { Machine } from "../os/system.ts";
import { MemoryWatch } from "../process/memory.ts";
import { openOutput } from "../process/output.ts";
import type { OutputSink } from "../process/types.ts";
import { Fleet } from "../release/fleet.ts";
import { ForwardIntake } from "../release/forward_intake.ts";
import type { Ground } from "../release/ground.ts";
import { History } from "../release/history.ts";
import { Orphans } from "../release/orphans.ts";
import { PidBook } from "../release/pid_book.ts";
import { PortTable } from "../release/ports.ts";
import { Standing } from "../release/standing.ts";
import type { Emit } from "../telemetry/events.ts";
import { Journal } from "../telemetry/journal.ts";
import { Log, type Reopened } from "../telemetry/log.ts";
import { startBudget, stopBudget } from "./budget.ts";
import { claim } from "./claim.ts";
import type { Addressed, Context } from "./context.ts";
import { inheritable } from "./environment.ts";
import { firstRelease, restoration } from "./first_release.ts";
import { catchStrays } from "./last_resort.ts";
import { plugIn } from "./plugged.ts";
import { portMover } from "./move_port.ts";
import { rpcTables } from "../control/rpc/mod.ts";
import { rpcHost } from "./rpc_host.ts";
import { RpcDoor } from "./rpc_door.ts";
import { Services } from "./services.ts";
import { countEvents } from "../telemetry/event_counter.ts";
import { Prometheus } from "../telemetry/prometheus.ts";
import { logSettings } from "../config/roadrunner/log_settings.ts";
import { statusAddress } from "../control/status_address.ts";
import { statusHost } from "./health.ts";
import { MetricsAddress } from "../control/metrics_address.ts";
import { daemonMetrics } from "../control/daemon_metrics.ts";
import { jobsMetrics } from "../control/jobs_metrics.ts";
import { pipelineStatuses } from "./jobs_operations.ts";
import { operations, reload } from "./operations.ts";
import type { Ready, ServeOptions } from "./options.ts";
import { type Paths, pathsOf } from "./paths.ts";
import { listenToSignals } from "./signals.ts";
import {
  closeIntakes,
  drainIntakes,
  endLeftovers,
  hurry,
  stopping,
  stopProcesses,
} from "./stop.ts";
import { Teardown } from "./teardown.ts";
import { Turn } from "./turn.ts";
import { ServiceManager } from "./service_manager.ts";
import { Told } from "./told.ts";

/** Grace of orphans and hurried stops when the configuration has no proxy section. */
const FORCE_STOP = 10_000;

/** The longest a step of the end may take that does not bound itself, ms. */
const STEP_LIMIT = 10_000;

/**
 * Runs a daemon from its start to its end.
 *
 * @returns the exit code of a daemon that was up
 * @throws Failure when it does not come up
 */
export async function runDaemon(options: ServeOptions): Promise<ExitCode> {
  const machine = realSystem({ adoptOrphans: true });
  const { clock } = machine;
  const started = { wall: clock.wall(), now: clock.now() };
  const teardown = new Teardown(clock);
  let control: Control | undefined;
  /** Set once somebody asked for the end. */
  let ending: Promise<void> | undefined;
  /** Why it does not come up, for the log; who started it gets the sentence. */
  let failed: ExitCode | undefined;
  try {
    const ownEnv = Deno.env.toObject();
    const { file, overrides, dotenv } = options;
    const env = dotenv === undefined ? ownEnv : { ...await readDotenv(dotenv), ...ownEnv };
    const read = () => readOrFail({ file, env: ownEnv, overrides, dotenv }, sections());
    const config = await read();
    const paths = pathsOf(config, ownEnv, Deno.uid() ?? 0);
    const claimed = claim(paths, config.control, machine, options.pid_file);
    teardown.add("locks", () => claimed.release());
    teardown.add("name of the control socket", () => control?.hide());
    let unlisten = () => {};
    teardown.add("signals", () => unlisten());
    Deno.chdir("/");

    const log = Log.open({ clock, ...logSettings(config, options) });
    teardown.add("log", () => log[Symbol.asyncDispose](), STEP_LIMIT);
    const journal = new Journal(clock, log);
    const prometheus = new Prometheus();
    const emit = countEvents(journal.emit, prometheus);
    const told = new Told({ config, paths, clock, emit, journal });
    teardown.add("who is told of events", () => told[Symbol.asyncDispose](), STEP_LIMIT);
    teardown.add("last word", (wrong) => {
      const exit = failed ?? (wrong.length === 0 ? Exit.done : Exit.failed);
      emit("daemon_stopped", { exit });
    });
    const strays = catchStrays(emit);
    teardown.add("last resort", () => strays.remove());
    emit("daemon_started", { pid: Deno.pid, version: VERSION, config: config.file });
    for (const message of config.warnings) emit("config_warning", { message });
    raiseFileLimit();
    const manager = new ServiceManager({ clock }, new ServiceNotice(ownEnv, Deno.pid));
    teardown.add("service manager", () => manager.close());

    const { log_dir, spool_dir } = paths;
    const output = openOutput({ log_dir, spool_dir, clock, emit });
    teardown.add("output", () => output[Symbol.asyncDispose](), STEP_LIMIT);
    teardown.add("output read to its end", () => output.settle(), STEP_LIMIT);

    const root = new AbortController();
    const ground = groundOf(config, paths, env, machine, emit, output.sink, root.signal);
    const proxy = new ForwardIntake(config, machine, emit);
    const plugged = plugIn(ground, config, prometheus, {
      state_dir: paths.state_dir,
      rpc: () => rpc.address,
      count: (pool, configured) => fleet.poolCount(pool, configured),
    });
    const history = new History(join(paths.state_dir, "state.json"), config.application);
    const remembered = history.read();
    const fleet = new Fleet(
      ground,
      [proxy, ...plugged.intakes],
      new Standing(ground),
      history,
      remembered,
      config,
    );
    teardown.add("retention", () => fleet.close());
    fleet.retain();
    const context: Context = {
      machine,
      clock,
      emit,
      journal,
      output,
      paths,
      fleet,
      proxy,
      queues: plugged.queues,
      addresses: () => [...fleet.intakes, rpc, status, metrics, logFollower(log, options), told],
      manager,
      turn: new Turn(clock, () => manager.live(fleet.active?.release_id ?? null)),
      restore: restoration({ clock, emit }, () => context),
      read,
      started,
      counters: () => ({
        internal_errors: strays.count(),
        ...journal.stats(),
        ...told.stats(),
        ...output.stats(),
      }),
      hurried: undefined,
      state: "starting",
      config,
    };
    fleet.onPortTaken = portMover(context);
    const services = new Services(fleet);
    const rpc: RpcDoor = new RpcDoor(context, () => {
      const host = rpcHost(context, services, () => prometheus.app);
      return rpcTables(host, plugged.tables);
    });
    const outside = { system: machine, clock, emit };
    const status = statusAddress(statusHost(context), () => context.config, outside);
    const asked = operations(context, (why) => end(why));
    const metrics = new MetricsAddress(prometheus, outside);
    daemonMetrics(prometheus, asked);
    jobsMetrics(prometheus, () => pipelineStatuses(context));
    teardown.add("status", () => status.drain(), STEP_LIMIT);
    teardown.add("metrics", () => metrics.drain(), STEP_LIMIT);
    teardown.add("rpc", () => rpc.close(), STEP_LIMIT);
    teardown.add("leftovers", () => endLeftovers(context));
    teardown.add("what intakes hold", () => closeIntakes(context), STEP_LIMIT);
    teardown.add("processes", async () => raise(await stopProcesses(context)));
    teardown.add("services of clients", () => services.end());
    teardown.add("intakes", () => drainIntakes(context));

    const ended = Promise.withResolvers<void>();
    const abort = () => root.abort(stopping());
    const end = (why: string) =>
      ending ??= endDaemon(context, teardown, why).finally(() => {
        abort();
        ended.resolve();
      });
    unlisten = listenToSignals({
      end(signal, times) {
        // What goes wrong is told below, to whoever started the daemon.
        if (times === 1) return void end(signal).catch(() => {});
        const ms = times === 2 ? forceStopTimeout(context.config) : 0;
        hurry(context, ms);
        // Whatever then still waits for anything, waits no more, and what still stops is killed.
        clock.timer(ms, abort);
      },
      reload: () => void reloadFromSignal(context),
      reopenLogs: () => void reopenLogs(emit, [log, told, output]),
    }, emit);

    status.start(config);
    await metrics.start(config);
    await rpc.start(config);
    for (const intake of fleet.intakes) await intake.start();
    followOrphans(context);
    manager.extend(startBudget(config));
    await firstRelease(context, options.release, remembered.live);
    if (context.state === "starting") {
      control = await openControl({
        path: paths.socket,
        mode: config.control.mode,
        owner: claimed.owner.uid,
        group: claimed.owner.gid,
        operations: asked,
        emit,
        clock,
      });
      if (ending === undefined) becomeReady(context, options, log.file);
    }
    await ended.promise;
    await ending;
    return Exit.done;
  } catch (error) {
    if (ending !== undefined) {
      // It was told to end while it came up: what failed is what was told to end.
      await ending;
      return Exit.done;
    }
    failed = error instanceof Failure ? error.exit : Exit.failed;
    const wrong = await teardown.run();
    if (error instanceof Failure && wrong.length === 0) throw error;
    const { exit, fix, detail } = error instanceof Failure ? error : {};
    const message = [messageOf(error), ...wrong].join("; ");
    throw new Failure(message, { exit, fix, detail, cause: error });
  } finally {
    await control?.close();
    machine[Symbol.dispose]();
  }
}

/** The log, as one that follows the configuration. */
function logFollower(log: Log, options: ServeOptions): Addressed {
  return { rebind: (next) => log.rebind(logSettings(next, options)), configure() {} };
}

/** The control socket is open, and with it everything else. */
function becomeReady(
  context: Context,
  { onReady }: ServeOptions,
  log_file: string | undefined,
): void {
  const { clock, emit, manager, started } = context;
  context.state = "running";
  const ready = readiness(context);
  manager.ready(ready.active_release_id);
  emit("daemon_ready", { started_in_ms: Math.round(clock.now() - started.now) });
  onReady(log_file === undefined ? ready : { ...ready, log_file });
}

/** The one end of a daemon. @throws Failure naming what could not be ended */
async function endDaemon(context: Context, teardown: Teardown, why: string): Promise<void> {
  context.state = "stopping";
  context.emit("daemon_stopping", { reason: why });
  context.manager.stopping(stopBudget(context.config));
  context.restore.forget();
  context.turn.close(stopping());
  raise(await teardown.run());
}

/** @throws Failure with all sentences, when there are any */
function raise(wrong: readonly string[]): void {
  if (wrong.length > 0) throw new Failure(`the daemon ended, but: ${wrong.join("; ")}`);
}

function forceStopTimeout(config: Config): number {
  return config.proxy?.force_stop_timeout ?? FORCE_STOP;
}

function groundOf(
  config: Config,
  paths: Paths,
  env: Record<string, string>,
  machine: Machine,
  emit: Emit,
  output: OutputSink,
  signal: AbortSignal,
): Ground {
  const file = join(paths.state_dir, "processes.json");
  const left = PidBook.read(file, emit);
  const book = new PidBook(file, emit);
  return {
    system: machine,
    clock: machine.clock,
    emit,
    output,
    memory: new MemoryWatch(machine),
    ports: new PortTable(machine.portState, machine.ephemeralPort),
    book,
    orphans: new Orphans(left, machine, book, emit, forceStopTimeout(config)),
    env: inheritable(env),
    signal,
  };
}

/** Reads on what processes of a dead daemon still print, until they are gone. */
function followOrphans({ output, fleet }: Context): void {
  const { orphans } = fleet.ground;
  const runs = output.recover(({ instance, release }) => orphans.has(instance, release));
  for (const { instance, release, run } of runs) {
    orphans.whenGone(instance, release, () => run.end());
  }
}

async function reloadFromSignal(context: Context): Promise<void> {
  try {
    await context.manager.reloading(() => reload(context, "SIGHUP"));
  } catch {
    // Told as an event; there is nobody else to tell.
  }
}

/** Opens all files of these anew, one after the other. */
async function reopenLogs(emit: Emit, all: { reopen(): Promise<Reopened[]> }[]): Promise<void> {
  for (const one of all) {
    for (const { file, error } of await one.reopen()) {
      emit("log_reopened", error === undefined ? { file } : { file, error });
    }
  }
}

function readiness({ paths, fleet }: Context): Ready {
  const addresses = fleet.intakes.map((intake) => intake.snapshot())
    .filter(({ state, address }) => state === "open" && address !== "")
    .map(({ address }) => address);
  return {
    ready: true,
    pid: Deno.pid,
    socket: paths.socket,
    addresses,
    active_release_id: fleet.active?.release_id ?? null,
  };
}
