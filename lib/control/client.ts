/**
 * The typed client of the control API, as the command line uses it.
 *
 * | what happens                      | what the caller gets                                       |
 * | --------------------------------- | ---------------------------------------------------------- |
 * | nobody listens, no socket         | Failure, exit 4, how to start a daemon                     |
 * | no right to connect               | Failure, exit 4, whose socket it is                        |
 * | another application's daemon      | Failure, exit 5, which one                                 |
 * | no answer to a look within 10 s   | Failure, exit 4, "does not answer"; nothing was asked      |
 * | connection ends before the answer | Failure, exit 1, "ended before it answered"                |
 * | the daemon says no                | the daemon's own Failure                                   |
 *
 * Invariant: no call ends silently; every call ends with an answer or with a Failure. One connection
 * per call, so a client that lives long holds nothing.
 */

import { type Clock, within } from "../core/clock.ts";
import { Exit, Failure } from "../core/failure.ts";
import { ProcessEnd } from "../os/process_end.ts";
import type { EventRecord } from "../telemetry/events.ts";
import { JobsClient } from "./jobs_client.ts";
import { jsonLines } from "./json_lines.ts";
import type {
  DeployRequest,
  DeployResult,
  EventsQuery,
  ExplainQuery,
  Explanation,
  Health,
  LogRecord,
  LogsQuery,
  Progress,
  ReloadResult,
  ResetRequest,
  ResetResult,
  RestartRequest,
  RestartResult,
  RollbackRequest,
  ScaleRequest,
  ScaleResult,
  Status,
  StopRequest,
  Workers,
  WorkersQuery,
} from "./operations.ts";
import { reach } from "./reach.ts";
import { asAnswer, ended, nameOf, orFailure } from "./read_answer.ts";

/** How long a look (status, health, the beginning of a stream) may take, milliseconds. */
const LOOK_TIME = 10_000;

/** How long the daemon may take to be gone after its shutdown was answered, milliseconds. */
const GONE_TIME = 10_000;

type Method = "GET" | "POST";

/** Whose daemon is meant, by its configuration. */
export interface Meant {
  application: string;
  /** The configuration file. */
  config: string;
}

/** A daemon, seen through its control socket. */
export class ControlClient {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #meant: Meant | undefined;
  /** It has answered, and is the one that is meant. */
  #met = false;

  /** @param path the control socket @param meant undefined: whoever is there */
  constructor(path: string, clock: Clock, meant?: Meant) {
    this.#path = path;
    this.#clock = clock;
    this.#meant = meant;
  }

  /** The control socket. */
  get path(): string {
    return this.#path;
  }

  health(): Promise<Health> {
    return this.#ask("GET", "health", undefined, LOOK_TIME);
  }

  status(): Promise<Status> {
    return this.#ask("GET", "status", undefined, LOOK_TIME);
  }

  stop(request: StopRequest): Promise<Status> {
    return this.#ask("POST", "stop", request);
  }

  restart(request: RestartRequest): Promise<RestartResult> {
    return this.#ask("POST", "restart", request);
  }

  scale(request: ScaleRequest): Promise<ScaleResult> {
    return this.#ask("POST", "scale", request);
  }

  reset(request: ResetRequest): Promise<ResetResult> {
    return this.#ask("POST", "reset", request);
  }

  workers({ plugin }: WorkersQuery): Promise<Workers> {
    const query = plugin === undefined ? "" : `?plugin=${encodeURIComponent(plugin)}`;
    return this.#ask("GET", `workers${query}`, undefined, LOOK_TIME);
  }

  reload(): Promise<ReloadResult> {
    return this.#ask("POST", "reload", {});
  }

  plan(): Promise<ReloadResult> {
    return this.#ask("POST", "plan", {});
  }

  /** Ends the daemon; resolves when its process is gone (where this machine can see it). */
  async shutdown(): Promise<{ status: "success"; message: string }> {
    await this.#meet("shutdown");
    // A daemon that cannot tell its status can be ended all the same; its end is then not awaited.
    const pid = await this.status().then((status) => status.pid, () => undefined);
    using end = pid === undefined ? undefined : new ProcessEnd(pid);
    const answer = await this.#ask<{ status: "success"; message: string }>("POST", "shutdown", {});
    await end?.within(GONE_TIME);
    return answer;
  }

  /** @param tell called with each step as it happens; `signal` only ends the watching */
  deploy(
    request: DeployRequest,
    tell: (step: Progress) => void,
    signal?: AbortSignal,
  ): Promise<DeployResult> {
    return this.#work("deploy", request, tell, signal);
  }

  /** As deploy(). */
  rollback(
    request: RollbackRequest,
    tell: (step: Progress) => void,
    signal?: AbortSignal,
  ): Promise<DeployResult> {
    return this.#work("rollback", request, tell, signal);
  }

  explain({ name }: ExplainQuery): Promise<Explanation> {
    return this.#ask("GET", `explain?name=${encodeURIComponent(name)}`, undefined, LOOK_TIME);
  }

  /** Events; with `follow` until the signal or the end of the daemon. */
  events(query: EventsQuery, signal?: AbortSignal): AsyncIterable<EventRecord> {
    return this.#records("events", { ...query }, signal);
  }

  /** Lines of output; with `follow` until the signal or the end of the daemon. */
  logs(query: LogsQuery, signal?: AbortSignal): AsyncIterable<LogRecord> {
    return this.#records("logs", { ...query }, signal);
  }

  /** The pipelines of jobs. */
  readonly jobs: JobsClient = new JobsClient((...args) => this.#ask(...args));

  async #ask<T>(method: Method, route: string, body?: unknown, limit?: number): Promise<T> {
    const call = await this.#send(method, route, body, limit);
    try {
      const text = await this.#bounded(route, limit, call.during(call.response.text()));
      return asAnswer(text, call.response.ok) as T;
    } finally {
      call.end();
    }
  }

  async #work(
    route: string,
    request: unknown,
    tell: (step: Progress) => void,
    signal?: AbortSignal,
  ): Promise<DeployResult> {
    const call = await this.#send("POST", route, request, LOOK_TIME, signal);
    try {
      if (!call.response.ok) asAnswer(await call.during(call.response.text()), false);
      const lines = jsonLines<Progress | { type: "result"; result: unknown }>(call.response.body!);
      while (true) {
        const { value, done } = await call.during(lines.next());
        if (done) throw ended(route);
        if (value.type === "progress") tell(value);
        else return orFailure(value.result) as DeployResult;
      }
    } finally {
      call.end();
    }
  }

  async *#records<T>(
    route: string,
    query: Record<string, unknown>,
    signal?: AbortSignal,
  ): AsyncGenerator<T> {
    const search = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) search.set(name, String(value));
    }
    let call: Call | undefined;
    try {
      call = await this.#send("GET", `${route}?${search}`, undefined, LOOK_TIME, signal);
      if (!call.response.ok) asAnswer(await call.during(call.response.text()), false);
      const lines = jsonLines<T>(call.response.body!);
      while (true) {
        const { value, done } = await call.during(lines.next());
        if (done) return;
        yield orFailure(value) as T;
      }
    } catch (error) {
      if (!signal?.aborted) throw error;
    } finally {
      call?.end();
    }
  }

  /** Sends a request, to a daemon that answers, and waits for the head of its answer. */
  async #send(
    method: Method,
    route: string,
    body: unknown,
    limit?: number,
    signal?: AbortSignal,
  ): Promise<Call> {
    await this.#meet(route, signal);
    return await this.#open(method, route, body, limit, signal);
  }

  /**
   * Before the first request: what may take as long as it likes is not asked of somebody who does not
   * answer at all, and nothing of the daemon of another application.
   *
   * @param route what is to be asked
   */
  async #meet(route: string, signal?: AbortSignal): Promise<void> {
    if (this.#met) return;
    const call = await this.#open("GET", "health", undefined, LOOK_TIME, signal, route);
    try {
      const text = await this.#bounded(route, LOOK_TIME, call.during(call.response.text()));
      // Why it is not well is in its answer to the request itself.
      if (call.response.ok) this.#check(asAnswer(text, true) as Health);
    } finally {
      call.end();
    }
    this.#met = true;
  }

  /** A daemon whose own file says another application now is the one that is meant. */
  #check({ application, config }: Health): void {
    const meant = this.#meant;
    if (meant === undefined || meant.config === config || meant.application === application) return;
    throw new Failure(
      `the daemon at "${this.#path}" runs the application "${application}", not "${meant.application}"`,
      {
        exit: Exit.running,
        fix: "give each application its own control.socket, or name this one with --socket",
      },
    );
  }

  /** @param about what the call is for, in what is told */
  async #open(
    method: Method,
    route: string,
    body: unknown,
    limit?: number,
    signal?: AbortSignal,
    about = route,
  ): Promise<Call> {
    // Tells precisely why there is no connection, which fetch does not.
    (await reach(this.#path, this.#clock)).close();
    signal?.throwIfAborted();
    const client = Deno.createHttpClient({
      proxy: { transport: "unix", path: this.#path },
      poolMaxIdlePerHost: 0,
    });
    const stop = new AbortController();
    const end = () => {
      if (stop.signal.aborted) return;
      signal?.removeEventListener("abort", end);
      stop.abort();
      client.close();
    };
    signal?.addEventListener("abort", end, { once: true });
    const during = <T>(work: Promise<T>) =>
      work.catch((error) => {
        throw signal?.aborted
          ? signal.reason
          : error instanceof Failure
          ? error
          : ended(about, error);
      });
    try {
      const sent = fetch(`http://localhost/v1/${route}`, {
        method,
        client,
        signal: stop.signal,
        headers: { "content-type": "application/json", "accept-encoding": "identity" },
        body: body === undefined ? undefined : JSON.stringify(body),
      });
      return { response: await this.#bounded(about, limit, during(sent)), during, end };
    } catch (error) {
      end();
      throw error;
    }
  }

  async #bounded<T>(route: string, limit: number | undefined, work: Promise<T>): Promise<T> {
    const answer = await within(this.#clock, limit, work);
    if (answer.done) return answer.value;
    // It will be rejected when the caller gives the call up; that has been told by then.
    work.catch(() => {});
    throw new Failure(
      `the daemon at "${this.#path}" does not answer: no ${nameOf(route)} after ${limit} ms`,
      { exit: Exit.noDaemon, fix: "look at its log and at what the machine is busy with" },
    );
  }
}

/** One request on its way. */
interface Call {
  response: Response;
  /** Turns the end of the connection into a Failure, and the caller's own signal into its reason. */
  during<T>(work: Promise<T>): Promise<T>;
  /** Gives the connection up. */
  end(): void;
}
