/**
 * Daemons with pools of PHP workers, their releases, and requests that are held.
 *
 *   daemonTest("…", { config: workers({ num_workers: 2 }), files: WORKER }, async (d) => {
 *     await using held = await hold(d);
 *     await d.ok("deploy", "--release-path", workerRelease(d, "v2"));
 *     assertEquals((await held.finish()).text, "waited");
 *   });
 *
 * The worker is fixtures/php/http_worker.php, required by the `worker.php` of the release.
 *
 * Invariant: `http` listens on the port that is the proxy's elsewhere (Daemon.port), unless the test
 * says otherwise.
 */

import { Fifo } from "./gate.ts";
import { fixture, type Yaml } from "./programs.ts";
import type { Daemon } from "./daemon.ts";
import type { Place } from "./daemon_options.ts";
import type { EventRecord } from "../../lib/telemetry/events.ts";
import type { Workers, WorkerSnapshot } from "../../lib/control/operations.ts";

/** A worker that serves the routes of the fixture. @param first PHP that runs before the handshake */
export function workerScript(first = ""): string {
  return `<?php\n${first}\nrequire '${fixture("php/http_worker.php")}';\n`;
}

/** For the directory of the configuration: workers of release `initial`. */
export const WORKER = { "worker.php": workerScript() };

/** A configuration with an `http` section. @param more sections; `server` and `http` are laid over */
export function workers(pool: Yaml = {}, { server, http, ...more }: Yaml = {}) {
  return ({ port }: Pick<Place, "port">): Yaml => ({
    server: { command: "php worker.php", ...(server as Yaml | undefined) },
    http: {
      address: `127.0.0.1:${port}`,
      ...(http as Yaml | undefined),
      pool: { num_workers: 2, max_surge: 1, ...pool },
    },
    ...more,
  });
}

/** Makes a release of workers. @returns its path */
export function workerRelease(d: Daemon, name: string, script = workerScript()): string {
  d.write(`releases/${name}/worker.php`, script);
  return d.path("releases", name);
}

/** Makes a release of workers and deploys it, which must succeed. */
export async function deployWorkers(d: Daemon, name: string, ...args: string[]) {
  return await d.ok("deploy", "--release-path", workerRelease(d, name), ...[
    "--release-id",
    name,
    ...args,
  ]);
}

/** What `workers --json` says. */
export async function workersOf(d: Daemon): Promise<Workers> {
  return await (await d.api("/v1/workers")).json();
}

/** Pids of the workers that are not on their way out. */
export async function pidsOf(d: Daemon, release?: string): Promise<number[]> {
  const { workers } = await workersOf(d);
  return workers.filter((worker) =>
    STAYING.includes(worker.state) && (release ?? worker.release_id) === worker.release_id
  ).map(({ pid }) => pid);
}

const STAYING: readonly WorkerSnapshot["state"][] = ["ready", "working"];

/** Facts of the events of one name, so far. */
// deno-lint-ignore no-explicit-any -- each event has its own facts
export async function told(d: Daemon, name: EventRecord["event"]): Promise<any[]> {
  return (await d.events()).filter(({ event }) => event === name).map(({ data }) => data);
}

/** A request that a worker holds until it is let go. */
export class Held implements AsyncDisposable {
  constructor(
    /** Of the worker. */
    readonly pid: number,
    readonly answer: Promise<{ status: number; text: string }>,
    readonly gate: Fifo,
    readonly there: Fifo,
  ) {}

  /** Lets it be answered. */
  finish(): Promise<{ status: number; text: string }> {
    this.gate.release();
    return this.answer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.gate[Symbol.asyncDispose]();
    await this.there[Symbol.asyncDispose]();
    await this.answer.catch(() => {});
  }
}

/** Sends a request and waits until a worker has it. */
export async function hold(d: Daemon, more = ""): Promise<Held> {
  const name = `held${++holds}`;
  const gate = new Fifo(d.path(name));
  const there = new Fifo(d.path(`${name}.there`));
  const answer = d.get(`/wait?gate=${gate.path}&told=${there.path}${more}`);
  answer.catch(() => {}); // Whoever waits for it hears of it.
  try {
    return new Held(Number(await there.line()), answer, gate, there);
  } catch (error) {
    await gate[Symbol.asyncDispose]();
    await there[Symbol.asyncDispose]();
    throw error;
  }
}

let holds = 0;

/** Whether a process is there (and no zombie). */
export function runs(pid: number): boolean {
  try {
    const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
    return !stat.slice(stat.lastIndexOf(")") + 2).startsWith("Z");
  } catch {
    return false;
  }
}
