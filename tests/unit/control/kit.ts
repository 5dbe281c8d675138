/**
 * A control server with operations that a test directs, and raw access to its socket.
 *
 * Invariant: everything opened here is closed when the scope ends, so that a leak fails the test.
 */

import { ControlClient } from "../../../lib/control/client.ts";
import type { ControlLimits } from "../../../lib/control/app.ts";
import type {
  DeployResult,
  Operations,
  Progress,
  Status,
} from "../../../lib/control/operations.ts";
import type { JobsOperations, PipelineStatus } from "../../../lib/control/jobs.ts";
import { type Control, openControl } from "../../../lib/control/server.ts";
import type { Clock } from "../../../lib/core/clock.ts";
import { realClock } from "../../../lib/os/clock.ts";
import type { EventRecord } from "../../../lib/telemetry/events.ts";
import { Feed } from "../../../lib/telemetry/feed.ts";
import { Scratch } from "../../kit/scratch.ts";

/** An event as a journal makes it. */
export function event(seq: number, padding = ""): EventRecord {
  const data = { file: padding };
  return { at: "2030-01-01T00:00:00.000Z", seq, level: "info", event: "log_reopened", data };
}

export const STATUS: Status = {
  application: "shop",
  state: "running",
  pid: 4711,
  version: "0.1.0",
  started_at: "2030-01-01T00:00:00.000Z",
  uptime_ms: 61_000,
  rss_bytes: 50_000_000,
  config: "/srv/shop/supervisor.yaml",
  state_dir: "/var/lib/supervisor/shop",
  log_dir: "/var/log/supervisor/shop",
  active_release_id: null,
  control: { path: "/run/supervisor/shop/control.sock", mode: "600" },
  intakes: [],
  releases: [],
  services: [],
  singletons: [],
  orphans: [],
  leases: 0,
  operation: null,
  counters: {},
};

export const DEPLOYED: DeployResult = {
  status: "success",
  active_release_id: "v2",
  previous_release_id: "v1",
  release_path: "/srv/shop/v2",
  revision: "v2",
  ms: 800,
  errors: [],
};

/** One step of a deploy. */
export function step(message: string): Progress {
  return { type: "progress", ms: 1, step: "started", message };
}

/** The pipeline `mail`, empty. */
export const MAIL: PipelineStatus = {
  pipeline: "mail",
  driver: "memory",
  pool: "jobs",
  consuming: true,
  ready: true,
  priority: 10,
  declared: false,
  waiting: 0,
  delayed: 0,
  reserved: 0,
  dead: 0,
  running: 0,
  counts: {
    pushed: 0,
    refused: 0,
    delivered: 0,
    done: 0,
    failed: 0,
    requeued: 0,
    dead: 0,
    dropped: 0,
  },
};

const LETTER = {
  id: "a b",
  job: "mail",
  attempts: 5,
  error: "no route",
  died_at: "2030-01-01T00:00:00.000Z",
  priority: 10,
  headers: {},
  payload_bytes: 2,
};

/** Pipelines that answer plainly and write down what they were asked. */
class FakeJobs implements JobsOperations {
  readonly #asked: [name: string, request: unknown][];

  constructor(asked: [name: string, request: unknown][]) {
    this.#asked = asked;
  }

  #answer<T>(name: string, request: unknown, answer: T): Promise<T> {
    this.#asked.push([name, request]);
    return Promise.resolve(answer);
  }

  pipelines: JobsOperations["pipelines"] = (query) =>
    this.#answer("jobs", query, { pipelines: [MAIL], schedules: [] });
  push: JobsOperations["push"] = (request) =>
    this.#answer("push", request, { status: "success", pipeline: request.pipeline, id: "1" });
  pause: JobsOperations["pause"] = ({ pipeline }) =>
    this.#answer("pause", pipeline, {
      status: "success",
      pipeline,
      consuming: false,
      changed: true,
    });
  resume: JobsOperations["resume"] = ({ pipeline }) =>
    this.#answer("resume", pipeline, {
      status: "success",
      pipeline,
      consuming: true,
      changed: true,
    });
  dead: JobsOperations["dead"] = (query) =>
    this.#answer("dead", query, { pipeline: query.pipeline, letters: [LETTER], more: false });
  letter: JobsOperations["letter"] = (query) =>
    this.#answer("letter", query, {
      ...LETTER,
      pipeline: query.pipeline,
      payload: "{}",
      payload_cut: false,
    });
  retry: JobsOperations["retry"] = (request) =>
    this.#answer("retry", request, { status: "success", pipeline: "mail", count: 1 });
  drop: JobsOperations["drop"] = (request) =>
    this.#answer("drop", request, { status: "success", pipeline: "mail", count: 1 });
}

/** Operations that answer plainly and write down what they were asked; a test replaces single ones. */
export class FakeOperations implements Operations {
  readonly asked: [name: string, request: unknown][] = [];
  readonly feed = new Feed<EventRecord>(
    (record) => JSON.stringify(record).length,
    () => event(-1, "dropped"),
  );

  #note(name: string, request: unknown): void {
    this.asked.push([name, request]);
  }

  health: Operations["health"] = () => ({
    status: "ok",
    live: false,
    active_release_id: null,
    application: "app",
    config: "/srv/supervisor.yaml",
  });
  status: Operations["status"] = () => STATUS;
  deploy: Operations["deploy"] = (request, tell) => {
    this.#note("deploy", request);
    tell(step("one"));
    tell(step("two"));
    return Promise.resolve(DEPLOYED);
  };
  rollback: Operations["rollback"] = (request) => {
    this.#note("rollback", request);
    return Promise.resolve(DEPLOYED);
  };
  stop: Operations["stop"] = (request) => {
    this.#note("stop", request);
    return Promise.resolve(STATUS);
  };
  restart: Operations["restart"] = (request) => {
    this.#note("restart", request);
    return Promise.resolve({ status: "success", restarted: ["web"] });
  };
  scale: Operations["scale"] = (request) => {
    this.#note("scale", request);
    return Promise.resolve({ status: "success", ...request, previous: 1 });
  };
  reset: Operations["reset"] = (request) => {
    this.#note("reset", request);
    return Promise.resolve({
      status: "success",
      pools: [{ pool: "http", replaced: 4, ms: 20 }],
    });
  };
  workers: Operations["workers"] = (query) => {
    this.#note("workers", query);
    return { pools: [], workers: [] };
  };
  reload: Operations["reload"] = () =>
    Promise.resolve({ status: "success", changes: [], warnings: [], errors: [] });
  plan: Operations["plan"] = () =>
    Promise.resolve({
      status: "success",
      changes: [{ field: "processes.web.command", effect: "generation" }],
      warnings: [],
      errors: [],
    });
  shutdown: Operations["shutdown"] = () =>
    Promise.resolve({ status: "success", message: "stopped" });
  explain: Operations["explain"] = (query) => {
    this.#note("explain", query);
    return Promise.resolve({ name: query.name, subjects: [] });
  };
  events: Operations["events"] = (query, signal) => {
    this.#note("events", query);
    const past = [event(1), event(2)].slice(-(query.limit ?? 2));
    return chain(past, query.follow ? this.feed.follow(signal) : undefined);
  };
  readonly jobs = new FakeJobs(this.asked);
  logs: Operations["logs"] = (query) => {
    this.#note("logs", query);
    const at = "2030-01-01T00:00:00.000Z";
    const record = { at, process: "web", release: "v1", stream: "stdout" as const, line: "hello" };
    return chain([record]);
  };
}

async function* chain<T>(past: T[], coming?: AsyncIterable<T>): AsyncGenerator<T> {
  yield* past;
  if (coming !== undefined) yield* coming;
}

/** What happened, as the server told it. */
export interface Told {
  event: string;
  data: Record<string, unknown>;
}

/** An open control server in a directory of its own. */
export class Server implements AsyncDisposable {
  readonly operations = new FakeOperations();
  readonly events: Told[] = [];
  readonly client: ControlClient;
  #held: Deno.UnixConn[] = [];

  private constructor(
    readonly scratch: Scratch,
    readonly path: string,
    readonly clock: Clock,
  ) {
    this.client = new ControlClient(path, realClock);
  }

  control!: Control;

  static async open(
    options: { mode?: number; limits?: Partial<ControlLimits>; clock?: Clock } = {},
  ): Promise<Server> {
    const scratch = new Scratch();
    const server = new Server(scratch, scratch.path("control.sock"), options.clock ?? realClock);
    server.control = await server.another(options);
    return server;
  }

  /** Opens one more server at the same path. */
  another(options: { mode?: number; limits?: Partial<ControlLimits> } = {}): Promise<Control> {
    return openControl({
      path: this.path,
      mode: options.mode ?? 0o600,
      operations: this.operations,
      emit: (event, data) => void this.events.push({ event, data: { ...data } }),
      clock: this.clock,
      limits: options.limits,
    });
  }

  /** A raw connection, closed with the server. */
  async connect(): Promise<Deno.UnixConn> {
    const connection = await Deno.connect({ transport: "unix", path: this.path });
    this.#held.push(connection);
    return connection;
  }

  /** Sends text as it is and reads to the end of the connection. */
  async raw(text: string): Promise<string> {
    const connection = await this.connect();
    await writeAll(connection, new TextEncoder().encode(text));
    return await readAll(connection);
  }

  /** One request by fetch. */
  async fetch(path: string, init: RequestInit = {}): Promise<{ status: number; text: string }> {
    using client = Deno.createHttpClient({ proxy: { transport: "unix", path: this.path } });
    const response = await fetch(`http://localhost${path}`, { ...init, client });
    return { status: response.status, text: await response.text() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const connection of this.#held) close(connection);
    await this.control.close(0);
    this.scratch[Symbol.dispose]();
  }
}

/** Closes what may be closed already. */
export function close(connection: Deno.UnixConn): void {
  try {
    connection.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}

/** Writes all of it, however the kernel splits it; a peer that has gone ends it. */
export async function writeAll(connection: Deno.UnixConn, bytes: Uint8Array): Promise<boolean> {
  try {
    for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) return false;
    if (error instanceof Deno.errors.ConnectionReset) return false;
    throw error;
  }
}

/** Everything up to the end of the connection; a reset is an end too. */
export async function readAll(connection: Deno.UnixConn): Promise<string> {
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(64 * 1024);
  let text = "";
  try {
    for (let size; (size = await connection.read(buffer)) !== null;) {
      text += decoder.decode(buffer.subarray(0, size), { stream: true });
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.ConnectionReset)) throw error;
  }
  return text;
}
