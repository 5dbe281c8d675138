/**
 * Webhooks: events sent to whoever wants to be told, as CloudEvents 1.0 (structured JSON).
 *
 * Each hook has one queue and sends one event at a time, in order:
 *
 * | the answer                        | what becomes of the event                                    |
 * | --------------------------------- | ------------------------------------------------------------ |
 * | 2xx                               | delivered; `webhook_recovered` when it had failed            |
 * | 408, 429, 5xx, none within limit  | tried again under backoff; after the last try given up       |
 * | any other (redirects, too)        | given up at once: asking again would change nothing          |
 *
 * Invariants: put() never waits and never throws; what waits is bounded, the oldest gives way; that a
 * hook fails is told once until it takes events again. Neither its path nor its secret is ever told.
 */

import { nextTry, type RetryHistory, type RetryPolicy } from "../core/backoff.ts";
import { type Clock, sleep, within } from "../core/clock.ts";
import { messageOf } from "../core/failure.ts";
import type { Emit, EventRecord } from "./events.ts";
import { envelope, signature } from "./cloud_event.ts";

/** Events that wait for one hook. */
const MAX_WAITING = 1000;
/** The longest an attempt may take, milliseconds. */
const ATTEMPT_LIMIT = 10_000;
/** How long the end of the daemon waits for what is still to be sent, milliseconds. */
const CLOSE_LIMIT = 3000;
/** Nine attempts within about four minutes. */
const RETRY: RetryPolicy = {
  delay: 1000,
  max_restarts: 8,
  window: 0,
  backoff_factor: 2,
  max_delay: 60_000,
};
/** Answers after which it is worth asking again, besides 5xx. */
const TRY_AGAIN = [408, 429];

/** One hook as it is configured. */
export interface WebhookSettings {
  url: string;
  /** Names of events, or their beginnings and a `*`; undefined: what is a warning or an error. */
  events?: string[];
  secret?: string;
}

/** Sends one request; the global fetch, or a test's. */
export type Post = (url: string, init: RequestInit) => Promise<Response>;

/** What hooks are made with. */
export interface WebhookHost {
  clock: Clock;
  emit: Emit;
  /** The application, for `source`. */
  application: string;
  post?: Post;
}

/** What became of the events, for status. */
export interface WebhookStats {
  webhooks_delivered: number;
  webhooks_retried: number;
  webhooks_dropped: number;
}

/** See the file's comment. */
export class Webhooks implements AsyncDisposable {
  readonly #host: WebhookHost;
  readonly #stats: WebhookStats = {
    webhooks_delivered: 0,
    webhooks_retried: 0,
    webhooks_dropped: 0,
  };
  /** Makes the ids of events unique beyond the life of this daemon. */
  readonly #life = crypto.randomUUID().slice(0, 8);
  #hooks: Hook[] = [];

  constructor(host: WebhookHost, settings: readonly WebhookSettings[]) {
    this.#host = host;
    this.configure(settings);
  }

  /** Takes one event. */
  put(record: EventRecord): void {
    for (const hook of this.#hooks) hook.put(record);
  }

  /** Counters; nothing when there is no hook. */
  stats(): WebhookStats | Record<string, never> {
    return this.#hooks.length === 0 ? {} : { ...this.#stats };
  }

  /** Other hooks from now on; those that stay keep what waits. */
  configure(settings: readonly WebhookSettings[]): void {
    const before = this.#hooks;
    this.#hooks = settings.map((its) => {
      const same = before.find((hook) => hook.isThe(its));
      return same ?? new Hook(its, this.#host, this.#stats, this.#life);
    });
    for (const hook of before) if (!this.#hooks.includes(hook)) hook.drop();
  }

  /** Sends what waits, within a limit; hooks that fail are not waited for. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#hooks.map((hook) => hook.close()));
  }
}

class Hook {
  readonly #settings: WebhookSettings;
  readonly #host: WebhookHost;
  readonly #stats: WebhookStats;
  readonly #life: string;
  /** For people: never the path, which is a secret for many receivers. */
  readonly #name: string;
  readonly #wants: (record: EventRecord) => boolean;
  readonly #end = new AbortController();
  #waiting: EventRecord[] = [];
  #sending: Promise<void> | undefined;
  /** Given up since it began to fail; undefined: it takes events. */
  #dropped: number | undefined;

  constructor(settings: WebhookSettings, host: WebhookHost, stats: WebhookStats, life: string) {
    this.#settings = settings;
    this.#host = host;
    this.#stats = stats;
    this.#life = life;
    this.#name = new URL(settings.url).origin;
    this.#wants = wanted(settings.events);
  }

  isThe(settings: WebhookSettings): boolean {
    return JSON.stringify(settings) === JSON.stringify(this.#settings);
  }

  put(record: EventRecord): void {
    if (this.#end.signal.aborted || !this.#wants(record) || this.#isAboutThis(record)) return;
    this.#waiting.push(record);
    if (this.#waiting.length > MAX_WAITING) {
      this.#waiting.shift();
      this.#lose(1);
    }
    this.#sending ??= this.#send();
  }

  /** Whoever does not answer needs not be told so. */
  #isAboutThis({ event, data }: EventRecord): boolean {
    return event.startsWith("webhook_") && data.webhook === this.#name;
  }

  /** It is configured no more. */
  drop(): void {
    this.#end.abort(new Error("the webhook is configured no more"));
    this.#lose(this.#waiting.length);
    this.#waiting = [];
  }

  async close(): Promise<void> {
    const { clock } = this.#host;
    if (this.#dropped === undefined && this.#sending !== undefined) {
      await within(clock, CLOSE_LIMIT, this.#sending);
    }
    this.#end.abort(new Error("the daemon has ended"));
  }

  async #send(): Promise<void> {
    await Promise.resolve(); // put() is over before anything of this begins
    for (let record = this.#waiting[0]; record !== undefined; record = this.#waiting[0]) {
      await this.#deliver(record);
      if (this.#end.signal.aborted) break;
      // While it was sent, a full queue may have given it up.
      if (this.#waiting[0] === record) this.#waiting.shift();
    }
    this.#sending = undefined;
  }

  /** Tries until it is taken or given up; ends early when the hook does. */
  async #deliver(record: EventRecord): Promise<void> {
    const { url, secret } = this.#settings;
    const { clock, application } = this.#host;
    const body = envelope(record, { application, life: this.#life });
    const headers: Record<string, string> = { "content-type": "application/cloudevents+json" };
    if (secret !== undefined) headers["x-supervisor-signature"] = await signature(secret, body);
    const history: RetryHistory = { tries: [], streak: 0 };
    while (true) {
      const trouble = await this.#attempt(url, headers, body);
      if (this.#end.signal.aborted) return;
      if (trouble === undefined) return this.#taken();
      this.#failed(trouble.error);
      const next = nextTry(RETRY, history, clock.now());
      if (!trouble.again || "giveUp" in next) return this.#lose(1);
      this.#stats.webhooks_retried++;
      const waited = sleep(clock, next.delay, this.#end.signal).then(() => true, () => false);
      if (!await waited) return;
    }
  }

  /** Undefined: it was taken. */
  async #attempt(
    url: string,
    headers: Record<string, string>,
    body: string,
  ): Promise<{ error: string; again: boolean } | undefined> {
    const { clock, post = fetch } = this.#host;
    const limit = new AbortController();
    const late = new Error(`no answer within ${ATTEMPT_LIMIT} ms`);
    const timer = clock.timer(ATTEMPT_LIMIT, () => limit.abort(late));
    const signal = AbortSignal.any([limit.signal, this.#end.signal]);
    try {
      const response = await post(url, {
        method: "POST",
        headers,
        body,
        signal,
        redirect: "manual",
      });
      await response.body?.cancel();
      if (response.ok) return undefined;
      const { status } = response;
      return { error: `answered ${status}`, again: status >= 500 || TRY_AGAIN.includes(status) };
    } catch (error) {
      // The message of a failed fetch quotes the whole URL.
      return { error: messageOf(error).replaceAll(url, this.#name), again: true };
    } finally {
      timer.cancel();
    }
  }

  #taken(): void {
    this.#stats.webhooks_delivered++;
    if (this.#dropped === undefined) return;
    const dropped = this.#dropped;
    this.#dropped = undefined;
    this.#host.emit("webhook_recovered", { webhook: this.#name, dropped });
  }

  #failed(error: string): void {
    if (this.#dropped !== undefined) return;
    this.#dropped = 0;
    const waiting = this.#waiting.length;
    this.#host.emit("webhook_failed", { webhook: this.#name, error, waiting });
  }

  #lose(events: number): void {
    this.#stats.webhooks_dropped += events;
    if (this.#dropped !== undefined) this.#dropped += events;
  }
}

/** Whether a hook wants an event. */
function wanted(names: string[] | undefined): (record: EventRecord) => boolean {
  if (names === undefined) return ({ level }) => level === "warn" || level === "error";
  return ({ event }) =>
    names.some((name) => name.endsWith("*") ? event.startsWith(name.slice(0, -1)) : event === name);
}
