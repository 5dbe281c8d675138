/**
 * A request from the client to a worker and its answer back.
 *
 * | step    | fails by                          | then                                          |
 * | ------- | --------------------------------- | --------------------------------------------- |
 * | body    | client leaves, too large, no form | nothing reaches a worker; 413, 400            |
 * | lease   | no pool is live                   | 503 with Retry-After                          |
 * | queue   | full, nobody free in time         | see failures.ts                               |
 * | worker  | dies, error frame, too late       | see failures.ts; never sent a second time     |
 * | head    | no head, a line end in a field    | 502, the reason is told                       |
 * | body    | worker dies in mid-stream         | client's connection is cut                    |
 * | any     | client leaves                     | leaves the queue, or the answer is cancelled;  |
 * |         |                                   | with uploaded files the worker is let finish  |
 * | any     | the drain is cut                  | 503 if no answer began, else cut              |
 *
 * Invariants: every lease is released exactly once; temporary files stay until the worker is done with
 * the request; a failure is an event, whoever is left to hear of it.
 */

import type { HttpConfig } from "../../lib/config/roadrunner/http.ts";
import type { Gate, Lease } from "../../lib/core/gate.ts";
import {
  answer,
  BodyBroken,
  BytesBody,
  type Exchange,
  type Handler,
  ResponseHead,
} from "../../lib/http/mod.ts";
import type { WorkerPool } from "../../lib/pool/contract.ts";
import { type Answer, type PoolCall, PoolError, type PoolErrorKind } from "../../lib/pool/types.ts";
import type { Emit } from "../../lib/telemetry/events.ts";
import { passOn } from "./answer.ts";
import { BadAnswer } from "./answer_head.ts";
import type { UploadHost } from "./body/mod.ts";
import { contextOf } from "./context.ts";
import type { DateField } from "./date.ts";
import { apologise } from "./failures.ts";
import { type RequestBody, requestBody } from "./request_body.ts";
import { hostProblem } from "./uri.ts";

/** A pool that requests go to. */
export interface Target {
  readonly pool: WorkerPool;
  /** Never changes in the life of a worker. */
  readonly encoding: HttpConfig["encoding"];
  readonly debug: boolean;
}

/** What of the configuration a request needs. */
export type HandleRules = Pick<
  HttpConfig,
  "internal_error_code" | "max_request_size" | "raw_body" | "uploads"
>;

/** What requests need of the outside. */
export interface HandleHost {
  readonly gate: Gate<Target>;
  readonly emit: Emit;
  readonly uploads: UploadHost;
  readonly date: DateField;
}

/** RoadRunner's own words; programs look for them. */
const TOO_LARGE = new TextEncoder().encode("serve_http: http: request body too large\n");
/** Requests that the pool itself turned away. */
const TOLD_BY_POOL: ReadonlySet<PoolErrorKind> = new Set(["no_worker", "queue_full"]);
/** Characters of a request in `workers` and logs. */
const MOST_WHAT = 200;

/** Makes the handler for one set of rules. */
export function handler(rules: HandleRules, host: HandleHost): Handler {
  return (exchange) => new Handling(exchange, rules, host).run();
}

/** One request. */
class Handling {
  readonly #exchange: Exchange;
  readonly #rules: HandleRules;
  readonly #host: HandleHost;
  #call: PoolCall | undefined;
  #answer: Answer | undefined;
  /** A worker may be reading temporary files: it is let finish, whoever left. */
  #hasFiles = false;
  /** The client left or the drain was cut: nothing more to do. */
  #stopped = false;
  /** The answer that a cut drain gives, on its way. */
  #farewell: Promise<void> | undefined;

  constructor(exchange: Exchange, rules: HandleRules, host: HandleHost) {
    this.#exchange = exchange;
    this.#rules = rules;
    this.#host = host;
  }

  async run(): Promise<void> {
    const exchange = this.#exchange;
    const { gate, uploads } = this.#host;
    if (gate.live === undefined) return await unavailable(exchange);
    const problem = hostProblem(exchange);
    if (problem !== undefined) return await this.#refuse(400, problem);
    let body: RequestBody;
    try {
      const reading = requestBody(exchange, this.#rules, uploads);
      body = reading instanceof Promise ? await reading : reading;
    } catch (error) {
      if (!(error instanceof BodyBroken)) throw error;
      return await this.#refuse(error.status, error.message);
    }
    try {
      for (let over = false; !over;) {
        if (exchange.gone) return;
        const lease = gate.lease();
        if (lease === undefined) return await unavailable(exchange);
        over = await this.#ask(lease, body);
      }
    } finally {
      await body.remove?.();
    }
  }

  /** @returns false when the release had nobody for it any more, and another one is live */
  async #ask(lease: Lease<Target>, body: RequestBody): Promise<boolean> {
    const exchange = this.#exchange;
    const { pool, encoding } = lease.target;
    const { head, client, tls } = exchange;
    const { parsed, uploads } = body;
    const { flags, context } = contextOf(encoding, { head, client, tls, parsed, uploads });
    this.#hasFiles = uploads !== null;
    lease.onCut = this.#cut;
    exchange.onGone = this.#stop;
    try {
      const what = nameOf(exchange);
      const call = this.#call = pool.call({ flags, context, body: body.parts, what });
      const answer = this.#answer = await call.answer;
      if (this.#stopped) answer.cancel();
      else await passOn(exchange, answer, this.#host.date, lease.draining);
    } catch (error) {
      if (this.#isLeftOver(error, lease)) return false;
      await this.#failed(error, lease);
    } finally {
      if (this.#farewell !== undefined) await this.#farewell;
      exchange.onGone = undefined;
      lease.release();
    }
    return true;
  }

  /** No worker has seen it, and those who could are gone with a release that is on its way out. */
  #isLeftOver(error: unknown, { draining }: Lease<Target>): boolean {
    const unseen = error instanceof PoolError && error.kind === "no_worker";
    return unseen && draining && !this.#stopped && this.#host.gate.live !== undefined;
  }

  async #failed(error: unknown, { target }: Lease<Target>): Promise<void> {
    const [kind, message, pid] = failureOf(error, this.#answer) ?? [];
    if (kind === undefined || message === undefined) throw error;
    // What ends because nobody wants it any more is no failure of anybody.
    if (this.#stopped) return;
    const exchange = this.#exchange;
    const inside = exchange.answered;
    const { internal_error_code: code } = this.#rules;
    const rules = { code, debug: target.debug };
    const status = inside ? null : await apologise(exchange, kind, message, rules);
    // Under overload they are too many; the pool tells how many there were.
    if (TOLD_BY_POOL.has(kind)) return;
    this.#host.emit("request_failed", {
      plugin: "http",
      release: target.pool.release,
      target: nameOf(exchange),
      error: inside ? `inside its answer: ${message}` : message,
      kind,
      status,
      pid,
    });
  }

  /** The client's own fault. */
  async #refuse(status: number, reason: string): Promise<void> {
    const exchange = this.#exchange;
    if (exchange.gone || exchange.answered) return;
    const { address } = exchange.client;
    this.#host.emit("proxy_refused", { status, reason, client: address });
    if (status !== 413) return await answer(exchange, status, reason);
    const head = ResponseHead.of(status, [["Content-Type", "text/plain; charset=utf-8"]]);
    await exchange.respond(head, new BytesBody(TOO_LARGE));
  }

  /** The client left. */
  readonly #stop = (): void => {
    this.#stopped = true;
    if (this.#answer !== undefined) this.#answer.cancel();
    else if (!this.#hasFiles) this.#call?.cancel();
  };

  /** The drain was cut. */
  readonly #cut = (): void => {
    if (this.#stopped) return;
    this.#stop();
    const exchange = this.#exchange;
    if (exchange.answered) return exchange.cut();
    const message = "the release that was answering is being stopped";
    this.#farewell = answer(exchange, 503, message, [["Retry-After", "1"]], true)
      .catch(() => exchange.cut());
  };
}

/** Kind, text and worker of a failure; undefined: it is a bug of ours. */
function failureOf(
  error: unknown,
  answer: Answer | undefined,
): [kind: PoolErrorKind, message: string, pid: number | undefined] | undefined {
  if (error instanceof PoolError) return [error.kind, error.message, error.pid ?? answer?.pid];
  if (error instanceof BadAnswer || error instanceof BodyBroken) {
    return ["broken", error.message, answer?.pid];
  }
}

async function unavailable(exchange: Exchange): Promise<void> {
  await answer(exchange, 503, "no release is live", [["Retry-After", "1"]]);
}

/** `GET /orders`: without the query, which may hold what no log should. */
function nameOf({ method, target }: Exchange): string {
  const query = target.indexOf("?");
  const path = query < 0 ? target : target.slice(0, query);
  const what = `${method} ${path}`;
  return what.length > MOST_WHAT ? `${what.slice(0, MOST_WHAT)}…` : what;
}
