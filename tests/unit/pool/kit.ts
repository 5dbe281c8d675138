/** Pools of real PHP workers on the real system: FIFOs, not sleeps, say when. */

import { relayDoors } from "../../../lib/goridge/relay_doors.ts";
import type { Clock } from "../../../lib/core/clock.ts";
import { realSystem } from "../../../lib/os/real.ts";
import type { Machine } from "../../../lib/os/system.ts";
import type { WorkerPool } from "../../../lib/pool/contract.ts";
import { openPool } from "../../../lib/pool/pool.ts";
import type {
  Answer,
  BookedWorker,
  PoolCall,
  PoolHost,
  PoolSettings,
  PoolSpec,
} from "../../../lib/pool/types.ts";
import type { OutputLine, OutputRun } from "../../../lib/process/types.ts";
import type { EventName, Events } from "../../../lib/telemetry/events.ts";
import { Fifo } from "../../kit/gate.ts";
import { Scratch } from "../../kit/scratch.ts";
import { soon } from "../../kit/wait.ts";

export const WORKER = new URL("../../fixtures/php/pool_worker.php", import.meta.url).pathname;

/** Two workers, short limits, nothing that replaces them by itself. */
export const SETTINGS: PoolSettings = {
  debug: false,
  num_workers: 2,
  max_jobs: 0,
  max_queue_size: 0,
  allocate_timeout: 20_000,
  reset_timeout: 20_000,
  stream_timeout: 20_000,
  destroy_timeout: 20_000,
  supervisor: { watch_tick: 5_000, ttl: 0, idle_ttl: 0, exec_ttl: 0, max_worker_memory: 0 },
  max_surge: 1,
};

/** What a test wants different. */
export interface Wanted extends Partial<Omit<PoolSettings, "supervisor">> {
  supervisor?: Partial<PoolSettings["supervisor"]>;
}

export const never = new AbortController().signal;

/** A directory, the real system, and pools on it; all gone at the end of the test. */
export class Bench implements AsyncDisposable {
  readonly #scratch = new Scratch();
  readonly #fifos: Fifo[] = [];
  readonly system: Machine = realSystem({ adoptOrphans: true });
  readonly end = new AbortController();
  readonly told: { event: EventName; data: unknown }[] = [];
  /** Workers in the process book, by pid. */
  readonly booked = new Map<number, BookedWorker>();
  readonly #pools: WorkerPool[] = [];
  readonly host: PoolHost = {
    system: this.system,
    clock: this.system.clock,
    emit: (event, data) => void this.told.push({ event, data }),
    output: { open: () => this.#open() },
    signal: this.end.signal,
    doors: relayDoors({
      clock: this.system.clock,
      emit: (event, data) => void this.told.push({ event, data }),
    }),
    booked: (worker) => void this.booked.set(worker.pid, worker),
    unbooked: ({ pid }) => void this.booked.delete(pid),
  };
  #runs = 0;

  get dir(): string {
    return this.#scratch.dir;
  }

  path(name: string): string {
    return this.#scratch.path(name);
  }

  write(name: string, text: string): string {
    return this.#scratch.write(name, text);
  }

  fifo(name: string): Fifo {
    const fifo = new Fifo(this.#scratch.path(name));
    this.#fifos.push(fifo);
    return fifo;
  }

  spec(wanted: Wanted = {}, args: string[] = [], rest: Partial<PoolSpec> = {}): PoolSpec {
    const { supervisor, ...others } = wanted;
    const argv = ["php", WORKER, ...args];
    const env = { PATH: "/usr/bin:/bin", SECRET: "hunter2", RR_RELAY: "pipes" };
    return {
      plugin: "http",
      name: "http",
      release: "v1",
      worker: { argv, command: argv.join(" "), cwd: this.dir, env, relay: "pipes" },
      settings: {
        ...SETTINGS,
        ...others,
        supervisor: { ...SETTINGS.supervisor, ...supervisor },
      },
      ...rest,
    };
  }

  open(spec: PoolSpec, host: PoolHost = this.host): WorkerPool {
    const pool = openPool(spec, host);
    this.#pools.push(pool);
    return pool;
  }

  /** A pool that is ready. */
  async pool(wanted: Wanted = {}, args: string[] = []): Promise<WorkerPool> {
    const pool = this.open(this.spec(wanted, args));
    await pool.start(never);
    return pool;
  }

  events<N extends EventName>(name: N): Events[N][] {
    return this.told.filter((told) => told.event === name).map((told) => told.data as Events[N]);
  }

  /** Whether a pid is alive and no zombie. */
  runs(pid: string | number): boolean {
    const row = this.system.row(Number(pid));
    return row !== undefined && row.state !== "Z" && row.state !== "X";
  }

  #open(): OutputRun {
    const run = ++this.#runs;
    const files = { stdout: this.path(`${run}.out`), stderr: this.path(`${run}.err`) };
    for (const path of Object.values(files)) Deno.writeTextFileSync(path, "");
    return {
      files,
      recent: () => [...linesOf(files.stdout, "stdout"), ...linesOf(files.stderr, "stderr")],
      settle: () => Promise.resolve(),
      end: () => {},
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const fifo of this.#fifos) await fifo[Symbol.asyncDispose]();
    for (const pool of this.#pools) {
      pool.hurry(0);
      await soon("the end of a pool", pool.destroy());
    }
    this.end.abort();
    this.system[Symbol.dispose]();
    this.#scratch[Symbol.dispose]();
    if (this.booked.size > 0) throw new Error(`still booked: ${[...this.booked.keys()]}`);
    const bugs = this.events("internal_error");
    if (bugs.length > 0) throw new Error(`internal errors: ${JSON.stringify(bugs)}`);
  }
}

function linesOf(path: string, stream: OutputLine["stream"]): OutputLine[] {
  const at = new Date().toISOString();
  const lines = Deno.readTextFileSync(path).split("\n").filter((line) => line !== "");
  return lines.map((line) => ({ at, stream, line }));
}

const utf8 = new TextEncoder();

/** Asks a pool. */
export function ask(pool: WorkerPool, what: string, body = ""): PoolCall {
  return pool.call({ flags: 0x08, context: utf8.encode(what), body: [utf8.encode(body)], what });
}

/** Asks a pool and reads the whole answer: the bodies, one after the other. */
export async function told(pool: WorkerPool, what: string, body = ""): Promise<string> {
  return await bodyOf(await soon(what, ask(pool, what, body).answer));
}

/** The rest of an answer. */
export async function bodyOf(answer: Answer): Promise<string> {
  const decoder = new TextDecoder();
  let text = decoder.decode(answer.body);
  for (;;) {
    const part = await soon("a part", answer.next());
    if (part === undefined) return text;
    text += decoder.decode(part.body);
  }
}

/** A clock that is `times` as fast as the real one. */
export function fast(clock: Clock, times: number): Clock {
  return {
    now: () => clock.now() * times,
    wall: () => clock.wall(),
    timer: (ms, run) => clock.timer(ms / times, run),
  };
}
