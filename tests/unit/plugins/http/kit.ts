/**
 * The http plugin with a pool that a test answers for, on a real address.
 *
 * Invariant: a request that a test expects and that does not come is an error that says so.
 */

import type { Config } from "../../../../lib/config/config.ts";
import { HTTP, POOL } from "../../../../lib/config/defaults.ts";
import type { HttpConfig } from "../../../../lib/config/roadrunner/http.ts";
import { realClock } from "../../../../lib/os/clock.ts";
import type { System } from "../../../../lib/os/system.ts";
import { UpstreamSet } from "../../../../lib/http/mod.ts";
import type { WorkerPool } from "../../../../lib/pool/contract.ts";
import {
  type Answer,
  type AnswerPart,
  type PoolCall,
  PoolError,
  type PoolErrorKind,
  type PoolRequest,
  type PoolSettings,
  type PoolSnapshot,
} from "../../../../lib/pool/types.ts";
import type { ReleaseContext } from "../../../../lib/release/intake.ts";
import type { EventName, Events } from "../../../../lib/telemetry/events.ts";
import { noMetrics } from "../../../../lib/telemetry/metrics.ts";
import { type Generation, HttpIntake } from "../../../../plugins/http/intake.ts";
import type { PoolOrder } from "../../../../plugins/plugin.ts";
import { RawPeer, textOf } from "../../../kit/raw_http.ts";
import { soon } from "../../../kit/wait.ts";
import { configOf } from "../../release/configs.ts";

const HOST = "127.0.0.1";
const PID = 4711;

/** Headers of a worker's answer. */
export type Headers = Record<string, string | string[]>;

/** A request that came to the pool, to be answered by the test. */
export class FakeCall implements PoolCall {
  /** The caller left before an answer. */
  cancelled = false;
  /** No worker has it; a test says so. */
  waiting = false;
  readonly #answer = Promise.withResolvers<Answer>();
  #sent: FakeAnswer | undefined;

  constructor(readonly request: PoolRequest) {}

  get answer(): Promise<Answer> {
    return this.#answer.promise;
  }

  /** The context, as a worker reads it. */
  // deno-lint-ignore no-explicit-any -- the shape is what tests look at
  get context(): any {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(this.request.context));
  }

  /** The body as Latin-1 text. */
  get body(): string {
    return this.request.body.map(textOf).join("");
  }

  /** Answers whole, or with `more` begins to. */
  reply(status: number, headers: Headers = {}, body: string | Uint8Array = "", more = false): this {
    return this.raw(JSON.stringify({ status, headers }), body, more);
  }

  /** Answers with this context. */
  raw(context: string | Uint8Array, body: string | Uint8Array = "", more = false, flags = 0): this {
    this.#sent = new FakeAnswer({ flags, context: bytes(context), body: bytes(body), more });
    this.#answer.resolve(this.#sent);
    return this;
  }

  /** A further part of a stream. */
  part(body: string | Uint8Array, more = true, context = ""): this {
    this.#sent!.part({ flags: 0, context: bytes(context), body: bytes(body), more });
    return this;
  }

  fail(kind: PoolErrorKind, message = `it was ${kind}`): this {
    const error = new PoolError(kind, message, PID);
    if (this.#sent === undefined) this.#answer.reject(error);
    else this.#sent.fail(error);
    return this;
  }

  cancel(): void {
    if (this.#sent !== undefined) return this.#sent.cancel();
    this.cancelled = true;
    this.#answer.reject(new PoolError("cancelled", "the request was cancelled"));
  }

  /** Resolves when the rest of the answer was cancelled. */
  get stopped(): Promise<void> {
    return this.#sent!.stopped.promise;
  }

  /** Parts that were taken so far. */
  get taken(): number {
    return this.#sent!.taken;
  }
}

class FakeAnswer implements Answer {
  readonly pid = PID;
  readonly flags: number;
  readonly context: Uint8Array;
  readonly body: Uint8Array;
  readonly more: boolean;
  readonly stopped = Promise.withResolvers<void>();
  taken = 1;
  readonly #parts: AnswerPart[] = [];
  #error: PoolError | undefined;
  #over = false;
  #wake: (() => void) | undefined;

  constructor({ flags, context, body, more }: AnswerPart) {
    this.flags = flags;
    this.context = context;
    this.body = body;
    this.more = more;
  }

  part(part: AnswerPart): void {
    this.#parts.push(part);
    this.#wake?.();
  }

  fail(error: PoolError): void {
    this.#error = error;
    this.#wake?.();
  }

  async next(): Promise<AnswerPart | undefined> {
    for (;;) {
      const part = this.#parts.shift();
      if (part !== undefined) {
        this.taken++;
        return part;
      }
      if (this.#error !== undefined) throw this.#error;
      if (this.#over) return undefined;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  cancel(): void {
    this.#over = true;
    this.stopped.resolve();
    this.#wake?.();
  }
}

/** A pool without workers. */
export class FakePool implements WorkerPool {
  alive = 1;
  /** Requests that came, in order. */
  readonly calls: FakeCall[] = [];
  readonly updates: PoolSettings[] = [];
  destroyed = false;
  /** Pids that outlive everything. */
  survivors: number[] = [];
  #taken = 0;
  #arrived: (() => void) | undefined;

  constructor(readonly release: string, readonly order: PoolOrder) {}

  get plugin(): string {
    return this.order.plugin;
  }
  get name(): string {
    return this.order.name;
  }

  call(request: PoolRequest): FakeCall {
    const call = new FakeCall(request);
    this.calls.push(call);
    this.#arrived?.();
    return call;
  }

  /** The next request. */
  async next(): Promise<FakeCall> {
    const arrived = new Promise<void>((resolve) => this.#arrived = resolve);
    if (this.calls.length <= this.#taken) await soon("a request at the pool", arrived);
    return this.calls[this.#taken++];
  }

  start(): Promise<void> {
    return Promise.resolve();
  }
  reset(): Promise<number> {
    return Promise.resolve(0);
  }
  resize(): Promise<void> {
    return Promise.resolve();
  }
  update(settings: PoolSettings): void {
    this.updates.push(settings);
  }
  quiesce(): void {}
  destroy(): Promise<number[]> {
    this.destroyed = true;
    return Promise.resolve(this.survivors);
  }
  hurry(): void {}
  onChange(_listener: () => void): () => void {
    return () => {};
  }
  snapshot(): PoolSnapshot {
    throw new Error("nobody asks");
  }
  workers() {
    return [];
  }
}

/** A section with every default, on any port. */
export function httpOf(more: Partial<HttpConfig> = {}): HttpConfig {
  return {
    ...HTTP,
    address: { host: HOST, port: 0 },
    middleware: [],
    trusted_subnets: [],
    trusted_headers: [],
    uploads: { dir: "/nowhere", forbid: [], allow: [] },
    headers: { request: {}, response: {} },
    static: undefined,
    ssl: undefined,
    pool: { ...POOL, num_workers: 1, max_surge: 1 },
    ...more,
  };
}

/** A configuration with that section; undefined: without. */
export function withHttp(http: HttpConfig | undefined = httpOf()): Config {
  return configOf([], { proxy: undefined, sections: http === undefined ? {} : { http } });
}

/** What was told, by name. */
export type Told = { [N in EventName]: [N, Events[N]] }[EventName];

/** The plugin's intake, what it made and what it told. */
export class Stage implements AsyncDisposable {
  readonly told: Told[] = [];
  /** Pools without workers, as far as no others are opened. */
  readonly pools: FakePool[] = [];
  readonly intake: HttpIntake;

  constructor(
    config: Config = withHttp(),
    open?: (order: PoolOrder, release: ReleaseContext) => WorkerPool,
  ) {
    const clock = realClock;
    const system = {
      clock,
      bootId: "boot",
      identify: () => undefined,
      listeners: () => [{ address: HOST, pids: [7] }],
      row: (pid: number) => ({ pid, command: "nginx" }),
      alive: () => false,
    } as unknown as System;
    this.intake = new HttpIntake({
      system,
      clock,
      emit: (name, data) => void this.told.push([name, data] as Told),
      metrics: noMetrics,
      config,
      state_dir: "/nowhere",
      signal: new AbortController().signal,
      pool: (order, release) => {
        if (open !== undefined) return Promise.resolve(open(order, release));
        const pool = new FakePool(release.release_id, order);
        this.pools.push(pool);
        return Promise.resolve(pool);
      },
    });
  }

  /** Started, with a live pool. */
  static async live(http: Partial<HttpConfig> = {}): Promise<Stage> {
    const config = withHttp(httpOf(http));
    const stage = new Stage(config);
    await stage.intake.start();
    stage.intake.swap(await stage.build(config));
    return stage;
  }

  /** The pool built last. */
  get pool(): FakePool {
    return this.pools.at(-1)!;
  }

  get port(): number {
    return this.intake.fronts[0].address.port;
  }

  /** Events of a name. */
  events<N extends EventName>(name: N): Events[N][] {
    return this.told.filter(([one]) => one === name).map(([, data]) => data as Events[N]);
  }

  build(config: Config, release_id = `v${this.pools.length + 1}`): Promise<Generation> {
    return this.intake.build(releaseOf(config, release_id), new AbortController().signal);
  }

  connect(): Promise<RawPeer> {
    return RawPeer.connect(this.port);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.intake[Symbol.asyncDispose]();
    await this.intake.drain(0);
  }
}

function releaseOf(config: Config, release_id: string): ReleaseContext {
  return {
    release_id,
    release_path: "/srv/app",
    revision: release_id,
    config,
    ports: new Map(),
    upstreams: new UpstreamSet(release_id),
    hopeful: false,
    onReadiness: undefined,
  };
}

function bytes(text: string | Uint8Array): Uint8Array {
  return typeof text === "string" ? new TextEncoder().encode(text) : text;
}
