/**
 * Getting a worker: spawned, connected, hands shaken (twice, see manners.ts), warmed up.
 *
 * Invariants: the result is a worker that may be handed out, or a Failure and nothing left of it; it
 * takes no longer than `allocate_timeout` (half as long again when a worker does not answer twice).
 */

import { within } from "../core/clock.ts";
import { formatDuration } from "../core/duration.ts";
import { Failure } from "../core/failure.ts";
import type { RelayDoor } from "../goridge/doors.ts";
import { shakeHands } from "../goridge/handshake.ts";
import { pipesRelay } from "../goridge/pipes.ts";
import { FrameBroken, type Relay } from "../goridge/relay.ts";
import { killGroup } from "../process/stop.ts";
import type { WorkerHome } from "./home.ts";
import { SECOND_ANSWER } from "./manners.ts";
import { notProven, notSpawned } from "./start_failure.ts";
import type { Answer, PoolHost, PoolRequest, PoolSpec } from "./types.ts";
import { Worker } from "./worker.ts";
import { LAST_WORDS, launch, type WorkerProcess } from "./worker_process.ts";

/** A worker to get. */
export interface Order {
  spec: PoolSpec;
  /** `http#3` */
  instance: string;
  host: PoolHost;
  home: WorkerHome;
  /** Where it connects; undefined: pipes. */
  door: RelayDoor | undefined;
  signal: AbortSignal;
}

/** A program and the relay that it is about to have. */
interface Started {
  process: WorkerProcess;
  /** The relay and the pid the worker says it has. */
  connected: Promise<{ relay: Relay; pid: number }>;
  /** Ends the waiting for it. */
  giveUp(): void;
}

/** A worker that shook hands ended, or was silent, when it was asked again. */
class Unanswered extends Error {}

/** Gets a worker. @throws Failure (detail: StartFailureDetail), or the signal's reason */
export async function hire(order: Order): Promise<Worker> {
  const { manners } = order.home;
  if (!manners.ask) return await attempt(order, manners.answers);
  try {
    return await attempt(order, "ask");
  } catch (error) {
    if (!(error instanceof Unanswered)) throw error;
    return await attempt(order, false);
  }
}

/** @param asks whether it answers who it is at any time, or that it is to be asked */
async function attempt(order: Order, asks: boolean | "ask"): Promise<Worker> {
  const { spec, instance, host, home, signal } = order;
  signal.throwIfAborted();
  let started: Started;
  try {
    started = order.door === undefined ? piped(order) : connecting(order, order.door);
  } catch (error) {
    throw notSpawned(spec, instance, error);
  }
  const { process } = started;
  const cut = cutOf(order, process, started.connected);
  let worker: Worker | undefined;
  try {
    const { relay, pid } = await Promise.race([started.connected, cut.happened]);
    if (asks === "ask") {
      await Promise.race([askAgain(relay, order), cut.happened]);
      home.manners.answered();
    }
    worker = new Worker(instance, process, pid, relay, home, asks !== false);
    const warm = spec.warmup?.((request) => ask(worker!, request));
    if (warm !== undefined) await Promise.race([warm, cut.happened]);
    return worker;
  } catch (error) {
    const { exit, upMs } = process;
    started.giveUp();
    // Its last words are complete when nothing of it is left.
    await killGroup(host.system, process.id, process.child.exited);
    const failure = signal.aborted
      ? signal.reason
      : error instanceof Unanswered
      ? error
      : await notProven(spec, instance, { process, exit, elapsed: upMs, error }, host);
    if (worker === undefined) await process.end("kill");
    else await worker.discard();
    throw failure;
  } finally {
    cut.end();
  }
}

function piped({ spec, instance, host }: Order): Started {
  const start = host.system.spawnPiped.bind(host.system);
  const process = launch(spec, instance, spec.worker.env, host, start);
  const relay = pipesRelay(process.child, host.clock);
  const connected = shakeHands(relay, Deno.pid).then(async (pid) => {
    if (pid !== undefined) return { relay, pid };
    await within(host.clock, LAST_WORDS, process.child.exited);
    throw unmet(process);
  });
  return { process, connected, giveUp: () => relay.close() };
}

function connecting({ spec, instance, host }: Order, door: RelayDoor): Started {
  const env = { ...spec.worker.env, RR_RELAY: door.dsn };
  const process = launch(spec, instance, env, host, host.system.spawn.bind(host.system));
  const over = new AbortController();
  let own = process.id.pid;
  const isIt = (pid: number) => {
    const is = process.owns(pid);
    if (is) own = pid;
    return is;
  };
  const connected = door.expect({ isIt, signal: over.signal })
    .then((relay) => ({ relay, pid: own }));
  const giveUp = () => {
    over.abort();
    // It may have connected in the very turn.
    connected.then(({ relay }) => relay.close(), () => {});
  };
  return { process, connected, giveUp };
}

/** What ends the waiting for a worker: its exit, the limit, whoever ordered it. */
function cutOf({ home, host, signal }: Order, process: WorkerProcess, work: Promise<unknown>) {
  const cut = Promise.withResolvers<never>();
  // When nobody waits any more, nobody wants to know.
  cut.promise.catch(() => {});
  const limit = home.settings.allocate_timeout;
  const timer = host.clock.timer(limit, () => cut.reject(slow(process, limit)));
  const aborted = () => cut.reject(signal.reason);
  signal.addEventListener("abort", aborted);
  // What it had said before counts, and may say why.
  work.catch(() => {});
  process.child.exited.then(() => within(host.clock, LAST_WORDS, work))
    .then((said) => said.done || cut.reject(unmet(process)), (error) => cut.reject(error));
  return {
    happened: cut.promise,
    end() {
      timer.cancel();
      signal.removeEventListener("abort", aborted);
    },
  };
}

function unmet(process: WorkerProcess): Failure {
  return process.exit === undefined
    ? new Failure("it closed its stdout before it had answered the handshake")
    : new Failure(`it ${process.ending}, before it had answered the handshake`);
}

function slow(process: WorkerProcess, limit: number): Failure {
  const ms = formatDuration(limit);
  const state = process.exit === undefined ? "runs" : process.ending;
  return new Failure(`it ${state}, but was not ready within allocate_timeout (${ms})`, {
    fix: "check that the command runs a RoadRunner worker, or raise pool.allocate_timeout",
  });
}

/** Asks who it is a second time. @throws Unanswered */
async function askAgain(relay: Relay, { home, host: { clock } }: Order): Promise<void> {
  const limit = Math.min(SECOND_ANSWER, home.settings.allocate_timeout / 2);
  try {
    const asked = await within(clock, limit, shakeHands(relay, Deno.pid));
    if (asked.done && asked.value !== undefined) return;
  } catch (error) {
    if (!(error instanceof FrameBroken)) throw error;
  }
  throw new Unanswered();
}

/** Asks a worker that nobody else asks yet. */
function ask(worker: Worker, request: PoolRequest): Promise<Answer> {
  return new Promise((answered, failed) => worker.exec(request, { answered, failed }));
}
