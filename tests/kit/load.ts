/**
 * Load on a port while something happens behind it: every failed request is counted by how it
 * failed, and the slowest one and the versions that answered are known.
 *
 *   const load = startLoad({ port, connections: 8 });
 *   … deploy …
 *   const report = await load.stop();
 *   assertEquals(report.failed, 0, report.text);
 *
 * Invariants: `ok + failed` is the number of requests whose outcome is known, and stop() waits for
 * those in flight, so that none is dropped from the count; a connection that the other side closed
 * after saying so (`connection: close`) is no failure, one closed without a word is.
 */

import { AnswerReader, Broken, broken, type Flaw } from "./response.ts";
import { soon } from "./wait.ts";

/** Load to make. */
export interface LoadOptions {
  port: number;
  host?: string;
  /** How many at the same time; default 4. */
  connections?: number;
  /** keep-alive (default): many requests on a connection; close: one. */
  mode?: "keep-alive" | "close";
  method?: string;
  /** Default `/`. */
  path?: string;
  headers?: Record<string, string>;
  body?: string;
  /** A request that takes longer is a failure; milliseconds, default 15 s. */
  timeout?: number;
  /** Pause between two requests of a connection, milliseconds; default 0. */
  every?: number;
  /** Statuses that count as ok; default 200 only. */
  accept?: number[];
  /** Told of each request as it ends. */
  onEnd?: (request: LoadRequest) => void;
}

/** One request that ended. Times as of performance.now(). */
export interface LoadRequest {
  begin: number;
  end: number;
  /** Its status, or how it failed without one. */
  outcome: number | Flaw;
  good: boolean;
  /** The `x-version` of the answer. */
  version?: string;
}

/** What happened. */
export interface LoadReport {
  ok: number;
  failed: number;
  /** Failed requests by kind of failure. */
  flaws: Record<Flaw, number>;
  /** Answers by status. */
  statuses: Map<number, number>;
  /** Answers by the `x-version` they carried. */
  versions: Map<string, number>;
  /** The versions in the order they first answered. */
  order: string[];
  /** The slowest request, milliseconds. */
  slowest: number;
  /** What went wrong with the first failures. */
  failures: string[];
  /** All of it in one line, for messages of assertions. */
  text: string;
}

const FAILURES_KEPT = 10;
const TIMEOUT = 15_000;

/** Load that is on. */
export class Load {
  readonly #options: LoadOptions;
  readonly #request: Uint8Array;
  readonly #runs: Promise<void>[];
  readonly #flaws = { refused: 0, reset: 0, eof: 0, partial: 0, timeout: 0, garbled: 0 };
  readonly #statuses = new Map<number, number>();
  readonly #versions = new Map<string, number>();
  readonly #failures: string[] = [];
  #ok = 0;
  #badStatus = 0;
  #slowest = 0;
  #stopping = false;
  #watchers: { count: number; version?: string; resolve: () => void }[] = [];

  /** Use startLoad. */
  constructor(options: LoadOptions) {
    this.#options = options;
    this.#request = requestBytes(options);
    this.#runs = Array.from({ length: options.connections ?? 4 }, () => this.#run());
  }

  /** Requests that got a good answer so far. */
  get ok(): number {
    return this.#ok;
  }

  /** Resolves after `count` more good answers (from `version`, when given). */
  async answers(count: number, version?: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#watchers.push({ count, version, resolve });
    await soon(`${count} answers${version === undefined ? "" : ` of ${version}`}`, promise);
  }

  /** Lets the requests in flight end and reports. */
  async stop(): Promise<LoadReport> {
    this.#stopping = true;
    await Promise.all(this.#runs);
    const broken = Object.values(this.#flaws).reduce((sum, count) => sum + count, 0);
    const failed = broken + this.#badStatus;
    const report = {
      ok: this.#ok,
      failed,
      flaws: this.#flaws,
      statuses: this.#statuses,
      versions: this.#versions,
      order: [...this.#versions.keys()],
      slowest: this.#slowest,
      failures: this.#failures,
    };
    const counts = (entries: Iterable<[unknown, number]>) =>
      [...entries].filter(([, count]) => count > 0).map(([name, count]) => `${name} × ${count}`)
        .join(", ");
    const text = `${this.#ok} ok, ${failed} failed (${counts(Object.entries(this.#flaws))}); ` +
      `statuses ${counts(this.#statuses)}; versions ${counts(this.#versions)}; ` +
      `slowest ${this.#slowest.toFixed(0)} ms${this.#failures.map((f) => `\n  ${f}`).join("")}`;
    return { ...report, text };
  }

  async #run(): Promise<void> {
    let connection: Connection | undefined;
    while (!this.#stopping) {
      const begin = performance.now();
      try {
        connection ??= await Connection.open(this.#options);
        const answer = await connection.exchange(this.#request, this.#options);
        this.#count(answer.status, answer.headers.get("x-version"), begin);
        if (!answer.reusable || this.#options.mode === "close") connection = connection.close();
      } catch (error) {
        this.#fail(broken(error, connection?.reader.begun ?? false), begin);
        connection = connection?.close();
        // Nobody there: as a user would, wait a moment instead of burning a core.
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      const { every } = this.#options;
      if (every !== undefined) await new Promise((resolve) => setTimeout(resolve, every));
    }
    connection?.close();
  }

  #count(status: number, version: string | undefined, begin: number): void {
    const end = performance.now();
    const ms = end - begin;
    const good = (this.#options.accept ?? [200]).includes(status);
    this.#options.onEnd?.({ begin, end, outcome: status, good, version });
    this.#statuses.set(status, (this.#statuses.get(status) ?? 0) + 1);
    this.#slowest = Math.max(this.#slowest, ms);
    if (!good) {
      this.#badStatus++;
      this.#note(`status ${status} after ${ms.toFixed(0)} ms`);
      return;
    }
    this.#ok++;
    if (version !== undefined) this.#versions.set(version, (this.#versions.get(version) ?? 0) + 1);
    for (const watcher of this.#watchers) {
      if (watcher.version !== undefined && watcher.version !== version) continue;
      if (--watcher.count === 0) watcher.resolve();
    }
    this.#watchers = this.#watchers.filter((watcher) => watcher.count > 0);
  }

  #fail(error: Broken, begin: number): void {
    const end = performance.now();
    const ms = end - begin;
    this.#options.onEnd?.({ begin, end, outcome: error.flaw, good: false });
    this.#flaws[error.flaw]++;
    this.#slowest = Math.max(this.#slowest, ms);
    this.#note(`${error.message} after ${ms.toFixed(0)} ms`);
  }

  #note(failure: string): void {
    if (this.#failures.length < FAILURES_KEPT) this.#failures.push(failure);
  }
}

/** One client connection. */
class Connection {
  private constructor(readonly conn: Deno.TcpConn, readonly reader: AnswerReader) {}

  static async open(options: LoadOptions): Promise<Connection> {
    const conn = await Deno.connect({ hostname: options.host ?? "127.0.0.1", port: options.port });
    conn.setNoDelay(true);
    return new Connection(conn, new AnswerReader(conn));
  }

  /** @throws Broken, or the socket's own error */
  async exchange(request: Uint8Array, options: LoadOptions) {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.close();
    }, options.timeout ?? TIMEOUT);
    try {
      this.reader.begun = false;
      for (let sent = 0; sent < request.length;) {
        sent += await this.conn.write(request.subarray(sent));
      }
      return await this.reader.answer(options.method);
    } catch (error) {
      if (late) throw new Broken("timeout", `no answer in ${options.timeout ?? TIMEOUT} ms`);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  close(): undefined {
    try {
      this.conn.close();
    } catch {
      // Closed before, by the time limit.
    }
  }
}

function requestBytes(options: LoadOptions): Uint8Array {
  const { method = "GET", path = "/", body, mode, headers = {} } = options;
  const lines = [`${method} ${path} HTTP/1.1`, `Host: ${options.host ?? "127.0.0.1"}`];
  if (mode === "close") lines.push("Connection: close");
  if (body !== undefined) lines.push(`Content-Length: ${new TextEncoder().encode(body).length}`);
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`);
  return new TextEncoder().encode(`${lines.join("\r\n")}\r\n\r\n${body ?? ""}`);
}

/** Begins to make load; it goes on until stop(). */
export function startLoad(options: LoadOptions): Load {
  return new Load(options);
}
