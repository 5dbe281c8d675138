/**
 * One connection to Redis: commands go out in their order, and answers come in it.
 *
 * Invariants: it is usable when dial() resolves, and lost once; ioredis neither redials nor keeps
 * commands for later; no answer is waited for longer than ANSWER_LIMIT after the last byte that came,
 * so a server that stands still is one that is lost; never more than MAX_SENT commands are on their way.
 */

import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import type { Redis, RedisOptions } from "ioredis";
import type { BrokerTls } from "../../../lib/config/roadrunner/drivers/tls.ts";
import type { RedisBroker } from "../../../lib/config/roadrunner/drivers/redis.ts";
import type { Clock, Timer } from "../../../lib/core/clock.ts";
import { Failure, messageOf } from "../../../lib/core/failure.ts";
import type { Connection, LinkSpec } from "../link.ts";
import { type ScriptName, SCRIPTS } from "./scripts.ts";

/** Silence after which the server is taken for lost, while it owes an answer. */
export const ANSWER_LIMIT = 5000;
/** More time for each byte that is sent, milliseconds: a megabyte a second. */
const PER_BYTE = 1 / 1_000_000;
/** Commands without an answer. */
const MAX_SENT = 10_000;
/** Below it there is no XAUTOCLAIM, no exclusive range of a stream. */
const OLDEST = [6, 2];

/** What a script may be given. */
export type Arg = string | number | Uint8Array;

/** An answer: integers as numbers, texts as bytes. */
export type Reply = null | number | Uint8Array | Reply[];

const HASHES = Object.fromEntries(
  Object.entries(SCRIPTS).map(([name, text]) => [
    name,
    createHash("sha1").update(text).digest("hex"),
  ]),
) as Readonly<Record<ScriptName, string>>;

/** What only another connection, or another server, is rid of. */
const ELSEWHERE = /^(?:READONLY|LOADING|MASTERDOWN|NOAUTH|WRONGPASS)/;

/** An answer that says no: what was asked was not done. */
export class Refused extends Error {}

/** No answer, and there will be none: what was asked may have been done. */
export class Lost extends Failure {}

/** See the file's comment. */
export class RedisConnection implements Connection {
  readonly #lost = Promise.withResolvers<unknown>();
  readonly lost = this.#lost.promise;
  readonly #client: Redis;
  readonly #clock: Clock;
  readonly #whom: string;
  #isLost = false;
  /** What the socket said last. */
  #why: unknown;
  #closing: Promise<void> | undefined;
  /** Commands without an answer, and bytes of them. */
  #sent = 0;
  #bytes = 0;
  /** Clock milliseconds of the last byte, or of the first command after a rest. */
  #heard = 0;
  /** The longest that a command may block at the server. */
  #blocking = 0;
  #watch: Timer | undefined;
  /** What it says about how well it keeps jobs; undefined: nothing, or it does not tell. */
  weakness: string | undefined;

  private constructor(client: Redis, clock: Clock, whom: string) {
    this.#client = client;
    this.#clock = clock;
    this.#whom = whom;
  }

  /** A connection that can be used. @throws why there is none */
  static async dial(
    broker: RedisBroker,
    clock: Clock,
    signal: AbortSignal,
  ): Promise<RedisConnection> {
    const { Redis } = await import("./client.ts");
    const client = new Redis(await optionsOf(broker));
    const connection = new RedisConnection(client, clock, whomOf(broker));
    const abort = () => connection.#lose(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    try {
      await connection.#begin();
      signal.throwIfAborted();
      return connection;
    } catch (error) {
      await connection.close();
      throw error;
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  /** Runs a script on the keys below `base`. @throws Refused; Lost; Failure when too much is asked */
  async run(name: ScriptName, base: string, args: readonly Arg[]): Promise<Reply> {
    try {
      return await this.call("EVALSHA", [HASHES[name], 1, base, ...args]);
    } catch (error) {
      // Somebody emptied the server's memory of scripts.
      if (!(error instanceof Refused) || !error.message.startsWith("NOSCRIPT")) throw error;
      return await this.call("EVAL", [SCRIPTS[name], 1, base, ...args]);
    }
  }

  /** Waits at the server until the stream has something behind `id`, or `other` has anything. */
  async await(stream: string, id: string, other: string, ms: number): Promise<boolean> {
    this.#blocking = ms;
    const streams = ["COUNT", 1, "BLOCK", ms, "STREAMS", stream, other, id, "0-0"];
    return await this.call("XREAD", streams) !== null;
  }

  /** One command. @throws as run() */
  async call(command: string, args: readonly Arg[]): Promise<Reply> {
    if (this.#isLost) throw new Lost(`the connection to ${this.#whom} is lost`);
    if (this.#sent >= MAX_SENT) {
      throw new Failure(`${this.#whom} owes ${MAX_SENT} answers`, { fix: "push later" });
    }
    const own = args.map((arg) => arg instanceof Uint8Array ? bufferOf(arg) : arg);
    const bytes = args.reduce<number>((sum, arg) => sum + lengthOf(arg), 0);
    this.#bytes += bytes;
    if (this.#sent++ === 0) this.#expect();
    try {
      return await this.#client.callBuffer(command, ...own) as Reply;
    } catch (error) {
      if (isReply(error) && !ELSEWHERE.test(error.message)) throw new Refused(error.message);
      const lost = isReply(error)
        ? new Lost(`${this.#whom} says: ${error.message}`)
        : new Lost(this.#lostText, { cause: this.#why ?? error });
      // At once, so that nobody asks here again and again.
      this.#lose(lost);
      throw lost;
    } finally {
      this.#bytes -= bytes;
      this.#heard = this.#clock.now();
      if (--this.#sent === 0) this.#rest();
    }
  }

  close(): Promise<void> {
    return this.#closing ??= new Promise((resolve) => {
      this.#rest();
      this.#lose(new Failure(`the connection to ${this.#whom} is closed`));
      if (this.#client.status === "end" || this.#client.status === "wait") resolve();
      else this.#client.once("end", () => resolve());
    });
  }

  get #lostText(): string {
    const why = this.#why === undefined ? "" : `: ${messageOf(this.#why)}`;
    return `the connection to ${this.#whom} was lost before it answered${why}`;
  }

  async #begin(): Promise<void> {
    // connect() says only that it failed; the reason comes as an event.
    this.#client.on("error", (error) => this.#why = error);
    this.#client.on("end", () => this.#lose(this.#why ?? new Failure(`${this.#whom} hung up`)));
    try {
      await this.#client.connect();
    } catch (error) {
      throw this.#why ?? error;
    }
    this.#client.stream.on("data", () => this.#heard = this.#clock.now());
    // A password that is wrong is only an event: the first command is refused for it.
    const info = await this.#info();
    if (info !== undefined) this.#accept(info);
    for (const text of Object.values(SCRIPTS)) await this.call("SCRIPT", ["LOAD", text]);
  }

  /** What the server says of itself; undefined: it may not. */
  async #info(): Promise<Map<string, string> | undefined> {
    try {
      const reply = await this.call("INFO", []);
      const text = new TextDecoder().decode(reply as Uint8Array);
      const pairs = text.split("\r\n").map((line) => line.split(":", 2) as [string, string]);
      return new Map(pairs);
    } catch (error) {
      if (error instanceof Refused && error.message.startsWith("NOPERM")) return undefined;
      throw error;
    }
  }

  /** @throws Failure when it is no server for us */
  #accept(info: ReadonlyMap<string, string>): void {
    const version = info.get("redis_version") ?? "";
    const [major, minor] = version.split(".").map(Number);
    const is = `${this.#whom} is Redis`;
    if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])) {
      throw new Failure(`${is} ${version}, and ${OLDEST.join(".")} is the oldest that we know`);
    }
    if (info.get("cluster_enabled") === "1") {
      throw new Failure(`${is} Cluster, which is not supported`);
    }
    if (info.get("loading") === "1") throw new Failure(`${is} that still loads its data`);
    if (info.get("role") === "slave") throw new Failure(`${is} that only copies another`);
    this.weakness = info.get("aof_enabled") === "0"
      ? "it keeps no append-only file (appendonly no): a crash of it loses what was pushed last"
      : undefined;
  }

  /** An answer is owed from now on. */
  #expect(): void {
    this.#heard = this.#clock.now();
    this.#watch ??= this.#clock.timer(ANSWER_LIMIT, () => this.#look());
  }

  #rest(): void {
    this.#blocking = 0;
    this.#watch?.cancel();
    this.#watch = undefined;
  }

  #look(): void {
    const limit = ANSWER_LIMIT + this.#blocking + this.#bytes * PER_BYTE * 1000;
    const left = this.#heard + limit - this.#clock.now();
    this.#watch = undefined;
    if (left > 0) this.#watch = this.#clock.timer(left, () => this.#look());
    else {
      this.#lose(new Failure(`${this.#whom} did not answer within ${Math.round(limit / 1000)} s`));
    }
  }

  #lose(error: unknown): void {
    if (this.#isLost) return;
    this.#isLost = true;
    this.#lost.resolve(error);
    // Once only: each call sets a timer that the end of the socket takes back.
    if (this.#client.status !== "end") this.#client.disconnect();
    // Nothing is owed to us that we wait for; and who stands still does not say goodbye.
    this.#client.stream?.destroy();
  }
}

/** How connections to it are had. */
export function specOf(broker: RedisBroker, clock: Clock): LinkSpec<RedisConnection> {
  return {
    whom: whomOf(broker),
    fix: "see whether it runs, and the section redis",
    dial: (signal) => RedisConnection.dial(broker, clock, signal),
  };
}

/** As messages name it. */
export function whomOf({ addr }: RedisBroker): string {
  return `redis at ${"path" in addr ? addr.path : `${addr.host}:${addr.port}`}`;
}

async function optionsOf({ addr, username, password, db, tls }: RedisBroker) {
  const options: RedisOptions = {
    ..."path" in addr ? { path: addr.path } : addr,
    username,
    password,
    db,
    tls: tls && await tlsOf(tls),
    lazyConnect: true,
    retryStrategy: () => null,
    enableOfflineQueue: false,
    // Ours asks for more.
    enableReadyCheck: false,
    autoResubscribe: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    connectionName: "supervisor",
    keepAlive: 10_000,
    // The link has the deadline.
    connectTimeout: 0,
  };
  return options;
}

async function tlsOf({ cert, key, root_ca }: BrokerTls) {
  const read = (path?: string) => path === undefined ? undefined : Deno.readTextFile(path);
  return { cert: await read(cert), key: await read(key), ca: await read(root_ca) };
}

/** Whether the server said it. */
function isReply(error: unknown): error is Error {
  return error instanceof Error && error.name === "ReplyError";
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function lengthOf(arg: Arg): number {
  return typeof arg === "number" ? 8 : arg.length;
}
